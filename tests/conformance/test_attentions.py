"""What every registered attention must keep, whatever its formula; and one that must be stepped."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.nn import Attention, leaves, length_mask, map_state, select_state
from s2s.registry import catalogue
from tests.references.odd_attention import Coverage

SIZE = 4  # of queries and of memory: equal, for those that ask for it
ATTENTIONS: dict[str, Any] = {
    **{entry.name: catalogue().load("attention", entry.name) for entry in catalogue().entries("attention")},
    "sequential": Coverage,
}
every_attention = pytest.mark.parametrize("name", ATTENTIONS)


def build(name: str) -> Attention:
    torch.manual_seed(0)
    attention: Attention = ATTENTIONS[name](SIZE, SIZE)
    return attention.double()


def outputs_of(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Encoder outputs, zero at padding, and their mask."""
    mask = length_mask(torch.tensor(lengths), max(lengths))
    outputs = torch.randn(*mask.shape, SIZE, dtype=torch.float64)
    return outputs.masked_fill(~mask.unsqueeze(-1), 0.0), mask


@every_attention
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 2**16))
def test_a_sentence_alone(name: str, lengths: list[int], seed: int) -> None:
    """Shapes; weights zero at padding, summing to one; the same answers in a batch and alone, asked twice."""
    attention = build(name)
    torch.manual_seed(seed)
    outputs, mask = outputs_of(lengths)
    memory = attention.memorize(outputs, mask)
    assert all(leaf.size(0) == len(lengths) for leaf in leaves(memory))
    state = attention.initial_state(memory)
    alone_state = [None] * len(lengths)
    for _ in range(2):  # the second time with a state that is not the first
        query = torch.randn(len(lengths), SIZE, dtype=torch.float64)
        answer = attention.attend(query, memory, state)
        assert answer.context.shape == (len(lengths), attention.context_size)
        assert answer.weights.shape == mask.shape
        assert not answer.weights[~mask].any()
        torch.testing.assert_close(answer.weights.sum(-1), torch.ones(len(lengths), dtype=torch.float64))
        for row, length in enumerate(lengths):
            own = attention.memorize(outputs[row : row + 1, :length], mask[row : row + 1, :length])
            before = attention.initial_state(own) if alone_state[row] is None else alone_state[row]
            alone = attention.attend(query[row : row + 1], own, before)
            alone_state[row] = alone.state
            torch.testing.assert_close(answer.context[row : row + 1], alone.context, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(
                answer.weights[row : row + 1, :length], alone.weights, rtol=1e-10, atol=1e-12
            )
        state = answer.state


@every_attention
def test_all_queries_at_once(name: str) -> None:
    """[batch, time, hidden] gives what single steps give, unless the attention says that it is sequential."""
    attention = build(name)
    memory = attention.memorize(*outputs_of([3, 1, 4]))
    state = attention.initial_state(memory)
    query = torch.randn(3, 5, SIZE, dtype=torch.float64)
    if attention.sequential:
        changed = attention.attend(query[:, 0], memory, state).state
        assert any(not torch.equal(a, b) for a, b in zip(leaves(changed), leaves(state), strict=True))
        return
    whole = attention.attend(query, memory, state)
    for time in range(5):
        one = attention.attend(query[:, time], memory, state)
        torch.testing.assert_close(whole.context[:, time], one.context, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(whole.weights[:, time], one.weights, rtol=1e-10, atol=1e-12)


@every_attention
def test_choosing_rows(name: str) -> None:
    """Memory and state are batch-first structures: finished sentences leave by select_state."""
    attention = build(name)
    memory = attention.memorize(*outputs_of([3, 1, 4]))
    query, index = torch.randn(3, SIZE, dtype=torch.float64), torch.tensor([2, 0])
    state = attention.initial_state(memory)
    whole = attention.attend(query, memory, state)
    chosen = attention.attend(query[index], select_state(memory, index), select_state(state, index))
    torch.testing.assert_close(chosen.context, whole.context[index])
    torch.testing.assert_close(chosen.weights, whole.weights[index])


@every_attention
def test_memory_and_state_are_detachable_structures(name: str) -> None:
    """map_state goes through them, and a copy answers the same: nothing of the sentence is kept on self."""
    attention = build(name)
    memory = attention.memorize(*outputs_of([3, 2]))
    state, query = attention.initial_state(memory), torch.randn(2, SIZE, dtype=torch.float64)
    expected = attention.attend(query, memory, state).context
    copies = [map_state(torch.clone, part) for part in (memory, state)]
    other = attention.memorize(*outputs_of([1, 5]))
    attention.attend(query, other, attention.initial_state(other))
    torch.testing.assert_close(attention.attend(query, *copies).context, expected, rtol=0, atol=0)


@every_attention
def test_every_parameter_learns(name: str) -> None:
    attention = build(name)
    memory = attention.memorize(*outputs_of([3, 4]))
    query = torch.randn(2, SIZE, dtype=torch.float64, requires_grad=True)
    state = attention.attend(query, memory, attention.initial_state(memory)).state
    answer = attention.attend(query, memory, state)  # the first state may be zero: what reads it learns later
    (answer.context * torch.randn_like(answer.context)).sum().backward()
    learning = {"query": query, **dict(attention.named_parameters())}
    assert not [key for key, p in learning.items() if p.grad is None or not p.grad.any()]
