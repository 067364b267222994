"""The emulated accelerator: as strict about devices as a real one, with the CPU's numbers."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from s2s.testing import KITS
from s2s.testing.accelerator import DeviceMismatch, NotEmulated, Placed, emulated_accelerator
from s2s_plugins.cells.gru import GRU


@pytest.fixture
def device() -> Iterator[torch.device]:
    with emulated_accelerator() as there:
        yield there


MIXED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "sum": lambda here, there: here + there,
    "in place": lambda here, there: there.mul_(here),
    "product": lambda here, there: here @ there,
    "layer": lambda here, there: F.linear(there, here),
    "cat": lambda here, there: torch.cat([here, there]),
    "stack": lambda here, there: torch.stack([there, here]),
    "where": lambda here, there: torch.where(here > 0, there, 0.0),
    "fill": lambda here, there: there.masked_fill(here > 0, 0.0),
    "gather": lambda here, there: there.gather(1, torch.zeros(3, 1, dtype=torch.long)),
    "select": lambda here, there: there.index_select(0, torch.tensor([0, 1])),
    "lookup": lambda here, there: F.embedding(torch.tensor([0, 1]), there),
    "made there": lambda here, there: torch.arange(3.0, device=there.device) * torch.arange(3.0),
    "a list made there": lambda here, there: torch.tensor([1.0, 2.0, 3.0], device="cuda") * torch.arange(3.0),
    "a constant": lambda here, there: there * torch.linspace(0, 1, 3),
}


@pytest.mark.parametrize("operation", MIXED)
def test_tensors_of_two_devices_are_refused(device: torch.device, operation: str) -> None:
    here = torch.randn(3, 3)
    with pytest.raises(
        DeviceMismatch, match=r"of tensors on the accelerator with one on the CPU, of shape \("
    ):
        MIXED[operation](here, here.to(device))


@pytest.mark.parametrize("operation", MIXED)
def test_in_inference_mode_too(device: torch.device, operation: str) -> None:
    with torch.inference_mode(), pytest.raises(DeviceMismatch):
        here = torch.randn(3, 3)
        MIXED[operation](here, here.to(device))


INDICES: dict[str, Any] = {
    "a number": 1,
    "a slice": (slice(None), slice(1, 3)),
    "a list": (1, [0, 2]),
    "an empty list": (1, []),
    "two lists": ([0, 1], [1, 2]),
    "an array": (slice(None), np.array([2, 0])),
    "a mask in a list": [True, False],
    "a tensor": (1, torch.tensor([0, 2])),
    "a mask": torch.arange(6).view(2, 3) > 2,
    "a new axis": (None, ..., 1),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("inference", [False, True])
def test_indices(device: torch.device, name: str, *, inference: bool) -> None:
    with torch.inference_mode(inference):
        here = torch.arange(6.0).view(2, 3)
        there = here.to(device)
        assert torch.equal(there[INDICES[name]].cpu(), here[INDICES[name]])
        for value in (7.0, torch.tensor(8.0)):
            here[INDICES[name]], there[INDICES[name]] = value, value
            assert torch.equal(there.cpu(), here)


def test_a_tensor_without_numbers_is_no_result() -> None:
    unseen = torch.zeros(3, device="meta")
    with (
        emulated_accelerator() as device,
        pytest.raises(NotEmulated, match="add of a tensor whose making the emulation did not see"),
    ):
        torch.add(unseen, torch.zeros(3, device=device))


def test_layers_whose_input_is_elsewhere(device: torch.device) -> None:
    lstm = nn.LSTM(3, 3).to(device)
    with pytest.raises(DeviceMismatch, match="lstm of tensors on the accelerator with one on the CPU"):
        lstm(torch.randn(2, 1, 3))
    with pytest.raises(DeviceMismatch):
        nn.Linear(3, 3)(torch.randn(2, 3, device=device))


def test_what_a_real_one_allows(device: torch.device) -> None:
    """Single numbers and indices may be on the CPU."""
    here = torch.randn(3, 3)
    there = here.to(device)
    index, mask = torch.tensor([2, 0]), here > 0
    changed, expected = there.clone(), here.clone()
    changed[index] = torch.tensor(1.0)
    expected[index] = 1.0
    for found, wanted in (
        (there * torch.tensor(2.0), here * 2),
        (there[index], here[index]),
        (there[mask], here[mask]),
        (changed, expected),
        (torch.empty_like(there).copy_(here), here),
    ):
        assert isinstance(found, Placed)
        assert found.device == device
        assert torch.equal(found.cpu(), wanted)


def test_lengths_are_on_the_cpu(device: torch.device) -> None:
    torch.manual_seed(0)
    lstm, x, lengths = nn.LSTM(4, 4, batch_first=True), torch.randn(2, 3, 4), torch.tensor([3, 2])
    expected, _ = lstm(pack_padded_sequence(x, lengths, batch_first=True))
    found, _ = lstm.to(device)(pack_padded_sequence(x.to(device).requires_grad_(), lengths, batch_first=True))
    assert torch.equal(found.data.cpu(), expected.data)
    padded, back = pad_packed_sequence(found, batch_first=True)
    assert back.tolist() == [3, 2]
    assert padded.device == device
    padded.sum().backward()
    assert all(parameter.grad is not None for parameter in lstm.parameters())


class DrawsByItsOwnGenerator(GRU):
    """Which only a driver has."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        torch.Generator(x.device)
        return super().step(x, state, noise)


class NeedsItsNumbersElsewhere(GRU):
    def step(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        x.detach().numpy()
        return super().step(x, state, noise)


def test_what_cannot_be_emulated_is_no_fault_of_a_part() -> None:
    (check,) = (one for one in KITS["cell"] if one.name == "devices")
    check(DrawsByItsOwnGenerator)
    with pytest.raises(AssertionError, match=r"RuntimeError: .numpy\(\) is not supported .* x.detach"):
        check(NeedsItsNumbersElsewhere)


MADE: dict[str, Callable[[Any], Tensor]] = {
    "zeros": lambda device: torch.zeros(2, 3, device=device),
    "arange": lambda device: torch.arange(4, device=device),
    "tensor": lambda device: torch.tensor([[1.0, 2.0]], device=device),
    "as_tensor": lambda device: torch.as_tensor([1, 2], device=device),
    "full": lambda device: torch.full((2,), 7, device=device),
    "moved": lambda device: torch.eye(3).to(device),
    "a type, too": lambda device: torch.eye(3).to(device, torch.float64),
    "new_zeros": lambda device: torch.eye(3).to(device).new_zeros(2),
    "new_tensor": lambda device: torch.eye(3).to(device).new_tensor([1, 2]),
    "zeros_like": lambda device: torch.zeros_like(torch.eye(3).to(device)),
    "a view": lambda device: torch.eye(3).to(device)[1:, ::2].t(),
    "a part": lambda device: torch.eye(4).to(device).chunk(2)[1],
    "a slice that is written to": lambda device: _written(torch.zeros(3, 2, device=device)),
}


def _written(x: Tensor) -> Tensor:
    x[1] = 5
    x.view(-1)[0] = 3
    return x


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("inference", [False, True])
def test_made_there_with_the_cpus_numbers(device: torch.device, name: str, *, inference: bool) -> None:
    with torch.inference_mode(inference):
        found, expected = MADE[name](device), MADE[name]("cpu")
        assert found.device == device
        assert found.is_cuda
        assert not found.is_meta
        assert found.tolist() == expected.tolist()
        assert found.dtype == expected.dtype
        assert found.cpu().device == torch.device("cpu")


def _model() -> nn.ModuleDict:
    torch.manual_seed(0)
    parts: dict[str, nn.Module] = {
        "embedding": nn.Embedding(11, 6),
        "lstm": nn.LSTM(6, 6, batch_first=True, bidirectional=True),
        "gru": nn.GRU(12, 6, batch_first=True),
        "head": nn.Linear(6, 11),
    }
    model = nn.ModuleDict(parts)
    model["head"].weight = model["embedding"].weight
    return model


def _trained(model: nn.ModuleDict, device: torch.device | str) -> tuple[list[float], dict[str, Tensor]]:
    model = copy.deepcopy(model).to(device)
    assert model["head"].weight is model["embedding"].weight
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    words = torch.arange(22).remainder(11).view(2, 11).to(device)
    losses = []
    for _ in range(3):
        hidden, _ = model["lstm"](model["embedding"](words[:, :-1]))
        scores = model["head"](F.dropout(model["gru"](hidden)[0], 0.0))
        loss = F.cross_entropy(scores.flatten(0, 1), words[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: value.cpu() for name, value in model.state_dict().items()}


def test_training_is_that_of_the_cpu(device: torch.device) -> None:
    """Backward passes, an optimizer, tied weights, recurrent layers of the library."""
    losses, weights = _trained(_model(), "cpu")
    found, moved = _trained(_model(), device)
    assert found == pytest.approx(losses, rel=1e-6)
    assert losses[2] < losses[0]
    for name, value in weights.items():
        assert torch.allclose(moved[name], value, atol=1e-6)


COMPLEX: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "polar": lambda x, y: torch.view_as_real(torch.polar(x, y)),
    "product": lambda x, y: (x * y).abs(),
    "parts": lambda x, y: (x * y).real + 2 * (x * y).imag,
    "conjugate": lambda x, y: (x.conj() * y).imag,
    "a part of the conjugate": lambda x, y: (x * y).conj().imag,
    "view": lambda x, y: torch.view_as_complex(torch.view_as_real(x * y)).angle(),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_numbers(device: torch.device, name: str) -> None:
    torch.manual_seed(0)
    given = torch.rand(2, 3, 4, dtype=torch.float64)
    found = {}
    for place in ("cpu", device):
        inputs = given.clone().to(place).requires_grad_()
        x, y = inputs.unbind()
        if name != "polar":
            x, y = torch.complex(x, 2 * x), torch.complex(y, -y)
        result = COMPLEX[name](x, y)
        result.pow(2).sum().backward()
        assert inputs.grad is not None
        found[str(place)] = result.detach().cpu(), inputs.grad.cpu()
    for one, other in zip(*found.values(), strict=True):
        assert torch.allclose(one, other)
        assert one.any()


def test_saved_as_numbers(device: torch.device) -> None:
    file = io.BytesIO()
    torch.save({"x": torch.arange(3).to(device)}, file)
    loaded = torch.load(io.BytesIO(file.getvalue()), weights_only=True)["x"]
    assert loaded.device == torch.device("cpu")
    assert loaded.tolist() == [0, 1, 2]


def test_outside_there_is_none() -> None:
    with emulated_accelerator():
        pass
    assert torch.zeros(1, device="meta").is_meta
    layer = nn.Linear(2, 2)
    layer.to(torch.float64)
    assert isinstance(layer.weight, nn.Parameter)
