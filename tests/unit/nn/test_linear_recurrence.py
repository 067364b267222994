"""The linear recurrence against a loop that is written to be read, and against finite differences."""

import pytest
import torch
from torch import Tensor

from s2s.nn import RecurrentCell, State, leaves, linear_recurrence, run_steps, unroll
from s2s.nn.unroll import length_mask

BATCH, TIME, SIZE = 4, 6, 3


def loop(decay: Tensor, drive: Tensor, mask: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Row by row, step by step."""
    rows = []
    for row in range(decay.size(0)):
        states, h = [], start[row]
        for time in range(decay.size(1)):
            if mask[row, time]:
                h = decay[row, time] * h + drive[row, time]
            states.append(h)
        rows.append(torch.stack(states))
    return torch.stack(rows), torch.stack([row[-1] for row in rows])


def example(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Decays in [0, 1] with both ends, a mask with padding on the right."""
    torch.manual_seed(0)
    decay = torch.rand(BATCH, TIME, SIZE, dtype=dtype)
    decay[0, 1], decay[0, 2] = 0.0, 1.0
    drive, start = torch.randn(BATCH, TIME, SIZE, dtype=dtype), torch.randn(BATCH, SIZE, dtype=dtype)
    mask = length_mask(torch.tensor([6, 1, 3, 6]), TIME)
    return decay.requires_grad_(), drive.requires_grad_(), mask, start.requires_grad_()


def gradients(found: tuple[Tensor, Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Of a fixed random weighting of the states and the last state."""
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(value.shape, generator=generator, dtype=torch.float64) for value in found]
    return list(torch.autograd.grad([(v * w).sum() for v, w in zip(found, weights, strict=True)], inputs))


@pytest.mark.parametrize("scattered", [False, True])
def test_equals_the_loop(scattered: bool) -> None:
    decay, drive, mask, start = example()
    if scattered:  # not only on the right: holes anywhere
        mask = torch.rand(BATCH, TIME) < 0.5
    inputs = [decay, drive, start]
    found, expected = linear_recurrence(decay, drive, mask, start), loop(decay, drive, mask, start)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)  # float64, six steps of order one
    torch.testing.assert_close(gradients(found, inputs), gradients(expected, inputs), rtol=0, atol=1e-13)


def test_gradcheck() -> None:
    decay, drive, mask, start = example()
    torch.autograd.gradcheck(
        lambda *inputs: linear_recurrence(*inputs[:2], mask, inputs[2]), (decay, drive, start)
    )


def test_one_step() -> None:
    decay, drive, mask, start = (value[:, :1] if value.dim() == 3 else value for value in example())
    found = linear_recurrence(decay, drive, mask[:, :1], start)
    torch.testing.assert_close(found[1], decay[:, 0] * start + drive[:, 0])
    torch.testing.assert_close(found[0][:, 0], found[1])


def test_what_lies_where_the_mask_is_false_does_not_matter() -> None:
    decay, drive, mask, start = example()
    inputs = [decay, drive, start]
    clean = linear_recurrence(decay, drive, mask, start)
    holes = ~mask.unsqueeze(-1)
    dirty = linear_recurrence(
        decay.masked_fill(holes, float("nan")), drive.masked_fill(holes, float("inf")), mask, start
    )
    for found, expected in zip(
        [*dirty, *gradients(dirty, inputs)], [*clean, *gradients(clean, inputs)], strict=True
    ):
        assert torch.equal(found, expected)


def test_decays_of_zero_and_one_are_exact_over_a_thousand_steps() -> None:
    """Prefix products and their quotients, or sums of logarithms, would lose these."""
    start = torch.tensor([[0.1, 1e30, 3.0]])
    drive = torch.zeros(1, 1000, 3)
    everywhere = torch.ones(1, 1000, dtype=torch.bool)
    assert torch.equal(linear_recurrence(torch.ones(1, 1000, 3), drive, everywhere, start)[1], start)
    drive[:, -1] = 0.25
    assert linear_recurrence(torch.zeros(1, 1000, 3), drive, everywhere, start)[1].tolist() == [[0.25] * 3]
    tiny = linear_recurrence(torch.full((1, 1000, 3), 1e-3), drive, everywhere, start)[1]
    assert tiny.tolist() == [[0.25] * 3]


def test_runs_in_the_type_of_the_state() -> None:
    """Under mixed precision gates come in bfloat16, and the state must not be rounded to it at every step."""
    decay, drive, mask, start = example(torch.float32)
    states, last = linear_recurrence(decay.bfloat16(), drive.bfloat16(), mask, start)
    expected, _ = loop(decay.bfloat16().float(), drive.bfloat16().float(), mask, start)
    assert states.dtype == last.dtype == torch.float32
    torch.testing.assert_close(states, expected, rtol=0, atol=1e-6)


def test_second_derivatives_raise() -> None:
    decay, drive, mask, start = example()
    (gradient,) = torch.autograd.grad(
        linear_recurrence(decay, drive, mask, start)[1].square().sum(), decay, create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


class Leaky(RecurrentCell):
    """A stranger's cell, fused as the docstring of `linear_recurrence` shows."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        keep, new = x.chunk(2, dim=-1)
        return keep.sigmoid(), new.tanh()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        keep, new = self.gates(x)
        h = keep * state[0] + new
        return h, (h,)

    def fused(self, x, mask, state, noise):  # type: ignore[no-untyped-def]
        keep, new = self.gates(self.project(x))
        outputs, last = linear_recurrence(keep, new, mask, state[0])
        return outputs, (last,)


def test_a_cell_as_the_documentation_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    cell, lengths = Leaky(3, 4).double(), torch.tensor([5, 2])
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    mask = length_mask(lengths, 5)
    expected, expected_state = run_steps(cell, x, mask, cell.initial_state(2, like=x), None)
    monkeypatch.setattr(cell, "step", None)  # it must not be needed
    found, state = unroll(cell, x, lengths)
    torch.testing.assert_close(found, expected.masked_fill(~mask.unsqueeze(-1), 0))
    torch.testing.assert_close(leaves(state), leaves(expected_state))
