"""Masks, reversal and the walk over time, each against numbers worked out by hand."""

import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from s2s.nn import (
    RecurrentCell,
    last_output,
    length_mask,
    reverse_within,
    run_steps,
    stand_still,
    unroll,
    unroll_folded,
)

LENGTHS = torch.tensor([3, 1])


class Tape(RecurrentCell):
    """Appends each input to a number as its last digit: the state tells what was read, and in which order."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        number = 10 * state[0] + x
        return number, (number,)


@pytest.mark.parametrize("steps_at_once", [1, 2, 100])
@pytest.mark.parametrize(
    ("reverse", "expected", "last"),
    [(False, [[1, 12, 123], [4, 0, 0]], [123, 4]), (True, [[321, 32, 3], [4, 0, 0]], [321, 4])],
)
def test_tokens_are_looked_up_as_they_are_read(
    steps_at_once: int, reverse: bool, expected: Any, last: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["s2s.nn.unroll"], "AT_ONCE", 2 * steps_at_once)
    tokens, digits = torch.tensor([[6, 2, 3], [4, 5, 5]]), torch.tensor([9.0, 9, 2, 3, 4, 8, 1]).unsqueeze(1)
    outputs, state = unroll_folded(Tape(1, 1), tokens, LENGTHS, digits, reverse=reverse)
    assert outputs.squeeze(-1).tolist() == expected
    assert state[0].squeeze(-1).tolist() == last


def test_length_mask() -> None:
    assert length_mask(LENGTHS, 4).tolist() == [[True, True, True, False], [True, False, False, False]]


def test_reverse_within() -> None:
    x = torch.tensor([[1, 2, 3, 9], [4, 8, 8, 8]]).unsqueeze(-1)
    assert reverse_within(x, LENGTHS).squeeze(-1).tolist() == [[3, 2, 1, 9], [4, 8, 8, 8]]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_reversing_twice(lengths: list[int]) -> None:
    x = torch.randn(len(lengths), max(lengths), 2)
    real = torch.tensor(lengths)
    assert torch.equal(reverse_within(reverse_within(x, real), real), x)


def test_gradient_of_reversing() -> None:
    x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([4, 1, 3])
    assert torch.autograd.gradcheck(lambda x: reverse_within(x, lengths), x)
    assert torch.autograd.gradgradcheck(lambda x: reverse_within(x.square(), lengths), x)


def test_last_output() -> None:
    x = torch.arange(8).view(2, 4, 1)
    assert last_output(x, LENGTHS).tolist() == [[2], [4]]


def test_both_directions_by_hand() -> None:
    """Rows 1 2 3 and 5, padded with NaN; first state 0."""
    x = torch.tensor([[1.0, 2.0, 3.0], [5.0, float("nan"), float("nan")]]).unsqueeze(-1)
    outputs, state = unroll(Tape(1, 1), x, LENGTHS)
    assert outputs.squeeze(-1).tolist() == [[1, 12, 123], [5, 0, 0]]
    assert state[0].flatten().tolist() == [123, 5]
    outputs, state = unroll(Tape(1, 1), x, LENGTHS, reverse=True)
    assert outputs.squeeze(-1).tolist() == [[321, 32, 3], [5, 0, 0]]
    assert state[0].flatten().tolist() == [321, 5]


def test_given_state() -> None:
    x = torch.tensor([[[1.0], [2.0]]])
    outputs, state = unroll(Tape(1, 1), x, torch.tensor([2]), (torch.tensor([[7.0]]),))
    assert outputs.flatten().tolist() == [71, 712] and state[0].item() == 712


def test_run_steps_is_what_a_cell_without_a_fused_way_gets() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [5.0, 0.0, 0.0]]).unsqueeze(-1)
    outputs, state = run_steps(Tape(1, 1), x, length_mask(LENGTHS, 3), (torch.zeros(2, 1),), None)
    assert outputs.squeeze(-1)[0].tolist() == [1, 12, 123] and outputs[1, 0].item() == 5
    assert state[0].flatten().tolist() == [123, 5]


def test_fused_is_used_where_there_is_one() -> None:
    class Fast(Tape):
        def fused(self, x: Tensor, mask: Tensor, state: Any, noise: Any) -> tuple[Tensor, Any]:
            assert not x[~mask].any()  # zeroed before any product
            return torch.full((*x.shape[:2], 1), 7.0), (state[0] + 1,)

    x = torch.full((2, 3, 1), float("nan")).masked_fill(length_mask(LENGTHS, 3).unsqueeze(-1), 1.0)
    outputs, state = unroll(Fast(1, 1), x, LENGTHS)
    assert outputs.squeeze(-1).tolist() == [[7, 7, 7], [7, 0, 0]]
    assert state[0].flatten().tolist() == [1, 1]


def test_noise_is_drawn_once_per_sequence_in_training() -> None:
    class Noisy(Tape):
        drawn = 0

        def noise(self, batch_size: int, *, like: Tensor) -> Any:
            self.drawn += 1
            return (like.new_ones(batch_size, 1),)

        def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
            return super().step(x + noise[0], state)

    cell = Noisy(1, 1)
    x = torch.tensor([[[1.0], [2.0]]])
    assert unroll(cell, x, torch.tensor([2]))[0].flatten().tolist() == [2, 23]
    assert cell.drawn == 1
    given_noise = (torch.tensor([[3.0]]),)
    assert unroll(cell, x, torch.tensor([2]), noise=given_noise)[0].flatten().tolist() == [4, 45]
    assert cell.drawn == 1


def test_stand_still() -> None:
    following, state = (torch.ones(2, 1), torch.ones(2, 2, 3)), (torch.zeros(2, 1), torch.zeros(2, 2, 3))
    chosen = stand_still(torch.tensor([True, False]), following, state)
    assert chosen[0].flatten().tolist() == [1, 0]
    assert chosen[1][0].all() and not chosen[1][1].any()


@pytest.mark.parametrize("moving", [True, False])
def test_counts_and_truth_values_stand_still_too(moving: bool) -> None:
    """A leaf [batch] among them; of truth values every combination."""
    following, state = torch.tensor([False, False, True, True]), torch.tensor([False, True, False, True])
    rows = torch.full((4,), moving)
    chosen = stand_still(
        rows, (following, following[:, None], following.long()), (state, state[:, None], state.long())
    )
    expected = following if moving else state
    assert [leaf.dtype for leaf in chosen] == [torch.bool, torch.bool, torch.int64]
    assert [leaf.shape for leaf in chosen] == [(4,), (4, 1), (4,)]
    assert all(torch.equal(leaf.flatten().bool(), expected) for leaf in chosen)
