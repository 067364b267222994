"""Cells without a recurrent product: all at once against step by step, and that all at once was really taken."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from s2s.nn import RecurrentCell, leaves, unroll
from s2s_plugins.cells.mingru import MinGRU
from s2s_plugins.cells.minlstm import MinLSTM
from s2s_plugins.cells.qrnn import QRNN
from s2s_plugins.cells.sru import SRU
from s2s_plugins.cells.ssru import SSRU

INPUT, HIDDEN = 3, 4
LENGTHS = torch.tensor([7, 1, 4, 2])  # shorter than the widest window, too

CELLS: dict[str, Callable[[], RecurrentCell]] = {
    "MinGRU": partial(MinGRU, INPUT, HIDDEN),
    "MinLSTM": partial(MinLSTM, INPUT, HIDDEN),
    "QRNN": partial(QRNN, INPUT, HIDDEN),
    "QRNN-window-4-zoneout": partial(QRNN, INPUT, HIDDEN, window=4, zoneout=0.4),
    "QRNN-window-9": partial(QRNN, INPUT, HIDDEN, window=9),
    "SRU": partial(SRU, INPUT, HIDDEN),
    "SRU-same-size": partial(SRU, HIDDEN, HIDDEN),
    "SSRU": partial(SSRU, INPUT, HIDDEN),
}
TOLERANCES = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 5e-2}
"""Relative to the largest number compared, or to 1: rounding over seven steps; bfloat16 keeps 8 bits."""


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", CELLS)
def test_all_at_once_equals_step_by_step(
    name: str, dtype: torch.dtype, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    mixed = dtype == torch.bfloat16
    kept = torch.float32 if mixed else dtype
    cell = CELLS[name]().to(kept).train()
    x = torch.randn(len(LENGTHS), int(LENGTHS.max()), cell.input_size, dtype=kept, requires_grad=True)
    state = tuple(
        torch.randn(len(LENGTHS), size, dtype=kept, requires_grad=True) for size in cell.state_sizes
    )
    noise = cell.noise(len(LENGTHS), like=x)

    def values_and_gradients() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            outputs, last = unroll(cell, x, LENGTHS, state, reverse=reverse, noise=noise)
        generator = torch.Generator().manual_seed(1)
        loss = sum((v * torch.randn(v.shape, generator=generator)).sum() for v in (outputs, *leaves(last)))
        gradients = torch.autograd.grad(loss, [x, *state, *cell.parameters()])
        return [value.detach() for value in (outputs, *leaves(last), *gradients)]

    with monkeypatch.context() as patch:
        patch.setattr(cell, "fused", lambda *arguments: None)
        stepped = values_and_gradients()
    monkeypatch.setattr(cell, "step", None)  # the way that is taken now does not need it
    at_once = values_and_gradients()
    for found, expected in zip(at_once, stepped, strict=True):
        assert found.dtype == expected.dtype
        allowed = TOLERANCES[dtype] * max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, rtol=0, atol=allowed)


@pytest.mark.parametrize("name", CELLS)
def test_parts_of_the_input_sum_to_its_projection(name: str) -> None:
    """What a decoder with feedback relies on; some of these cells project in their own way."""
    torch.manual_seed(0)
    cell = CELLS[name]().double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, cell.input_size, dtype=torch.float64)
    parts = cell.project_part(x[:, :2], 0) + cell.project_part(x[:, 2:], 2)
    torch.testing.assert_close(parts, cell.project(x))


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_sentence_in_two_parts_is_the_sentence(window: int) -> None:
    """QRNN's state carries all that earlier inputs have to say."""
    torch.manual_seed(0)
    cell = QRNN(INPUT, HIDDEN, window=window).double()
    x = torch.randn(1, 6, INPUT, dtype=torch.float64)
    outputs, last = unroll(cell, x, torch.tensor([6]))
    first, between = unroll(cell, x[:, :2], torch.tensor([2]))
    second, end = unroll(cell, x[:, 2:], torch.tensor([4]), between)
    torch.testing.assert_close(torch.cat([first, second], dim=1), outputs)
    torch.testing.assert_close(end, last)


def test_gates_that_are_shut_altogether() -> None:
    """minLSTM divides by the sum of its gates, which underflows to 0 where both are shut: the quotient must not."""
    cell = MinLSTM(INPUT, HIDDEN)
    x = torch.tensor([[-300.0] * 8 + [1.0] * 4, [-300.0] * 4 + [-200.0] * 4 + [1.0] * 4], requires_grad=True)
    h, _ = cell.step(x, (torch.zeros(2, HIDDEN),))
    torch.testing.assert_close(h, torch.tensor([0.5, 1.0]).view(2, 1).expand(2, HIDDEN))
    (gradient,) = torch.autograd.grad(h.sum(), x)
    assert gradient.isfinite().all()
