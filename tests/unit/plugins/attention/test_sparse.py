"""Sparse attentions against their definitions in NumPy, over other attentions' scores; gradients by differences."""

import copy
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.errors import ConfigError, PluginError
from s2s.nn import Attention, length_mask
from s2s.registry import catalogue
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.attention.history import Coverage
from s2s_plugins.attention.local import LocalP
from s2s_plugins.attention.luong import LuongConcat, LuongGeneral
from s2s_plugins.attention.multi_head import MultiHead
from s2s_plugins.attention.sparse import Entmax15, SparseAttention, Sparsemax
from tests.references.attention import Array
from tests.references.attention_sparse import entmax15, sparsemax

QUERY, MEMORY = 3, 5
MAPPINGS: dict[type[SparseAttention], Callable[[Array], Array]] = {Sparsemax: sparsemax, Entmax15: entmax15}
SCORED: list[Callable[[int, int], Attention]] = [
    LuongGeneral,
    Bahdanau,
    LuongConcat,
    partial(LocalP, window=2),
]
every_kind = pytest.mark.parametrize("kind", MAPPINGS)


def prepare(
    kind: type[SparseAttention], scored: Callable[[int, int], Attention], lengths: list[int], time: int
) -> tuple[SparseAttention, Tensor, Tensor, Tensor]:
    attention = kind(QUERY, MEMORY, attention=scored).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    mask = length_mask(torch.tensor(lengths), max(lengths))
    outputs = torch.randn(*mask.shape, MEMORY, dtype=torch.float64).masked_fill(~mask.unsqueeze(-1), 0.0)
    return attention, torch.randn(len(lengths), time, QUERY, dtype=torch.float64), outputs, mask


@every_kind
@pytest.mark.parametrize("scored", SCORED)
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    time=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_values(
    kind: type[SparseAttention],
    scored: Callable[[int, int], Attention],
    lengths: list[int],
    time: int,
    seed: int,
) -> None:
    """The scores are known from the dense attention, which is held against its own paper elsewhere."""
    torch.manual_seed(seed)
    attention, queries, outputs, mask = prepare(kind, scored, lengths, time)
    context, weights, state = attention.attend(queries, attention.memorize(outputs, mask), ())
    dense = attention.scored.attend(queries, attention.scored.memorize(outputs, mask), ()).weights
    assert state == () and not attention.sequential
    for row, length in enumerate(lengths):
        for t in range(time):
            with np.errstate(divide="ignore"):  # outside a window a softmax is zero, and the score -inf
                scores = np.log(
                    dense[row, t, :length].detach().numpy()
                )  # up to a constant, which changes nothing
            expected = MAPPINGS[kind](scores)
            found = weights[row, t, :length].detach().numpy()
            np.testing.assert_allclose(
                found, expected, rtol=0, atol=1e-12
            )  # scores of a few units in float64
            np.testing.assert_allclose(
                context[row, t].detach().numpy(), expected @ outputs[row, :length].numpy(), atol=1e-11
            )
            assert not weights[row, t, length:].any()


@every_kind
def test_leaves_positions_out(kind: type[SparseAttention]) -> None:
    """Some weights within a sentence are exactly zero, which a softmax never is; sparsemax has more of them."""
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(kind, LuongGeneral, [20, 20], 10)
    weights = attention.attend(queries, attention.memorize(outputs, mask), ()).weights
    assert 0.5 < (weights == 0).double().mean() < 1.0


@every_kind
@pytest.mark.parametrize("scored", SCORED)
def test_gradients(kind: type[SparseAttention], scored: Callable[[int, int], Attention]) -> None:
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(kind, scored, [4, 1, 3], 2)
    learning = [queries.requires_grad_(), outputs.requires_grad_(), *attention.parameters()]

    def answer(*_: Tensor) -> tuple[Tensor, Tensor]:  # what is learnt is moved in place
        return attention.attend(queries, attention.memorize(outputs, mask), ())[:2]

    assert torch.autograd.gradcheck(answer, learning)
    (gradient,) = torch.autograd.grad(answer()[0].sum(), [outputs])
    assert not gradient[~mask].any()


@every_kind
def test_garbage_in_the_memory_s_padding(kind: type[SparseAttention]) -> None:
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(kind, Bahdanau, [3, 1, 2], 2)
    clean, dirty = (
        attention.attend(
            queries, attention.memorize(outputs.masked_fill(~mask.unsqueeze(-1), filling), mask), ()
        )
        for filling in (0.0, 1e30)
    )
    assert torch.equal(dirty.context, clean.context) and torch.equal(dirty.weights, clean.weights)


@every_kind
def test_values_may_be_mapped(kind: type[SparseAttention]) -> None:
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(kind, LuongGeneral, [3, 2], 2)
    linear = torch.nn.Linear(MEMORY, 2, bias=False).double()
    memory = attention.memorize(outputs, mask)
    found = attention.attend(queries, attention.map_values(memory, linear), ()).context
    torch.testing.assert_close(found, linear(attention.attend(queries, memory, ()).context))


@every_kind
def test_mixed_precision_and_copies(kind: type[SparseAttention]) -> None:
    """bfloat16 weights would sum to 1 within 4e-3 only; a copy, as packed weights are made of, answers the same."""
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(kind, LuongGeneral, [3, 1, 6], 2)
    answers = []
    for part in (attention.float(), copy.deepcopy(attention)):
        with torch.autocast("cpu", torch.bfloat16):
            answers.append(part.attend(queries.float(), part.memorize(outputs.float(), mask), ()).weights)
    torch.testing.assert_close(answers[0].sum(-1), torch.ones(3, 2), rtol=0, atol=1e-6)
    assert torch.equal(*answers)


@every_kind
@pytest.mark.parametrize("scored", [MultiHead, Coverage, Sparsemax])
def test_what_is_no_softmax_of_scores(
    kind: type[SparseAttention], scored: Callable[[int, int], Attention]
) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__} needs .*{scored.__name__} is not; choose Luong"):
        kind(QUERY, MEMORY, attention=scored)


@pytest.mark.parametrize("name", ["Sparsemax", "Entmax15"])
def test_without_the_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names them is told what to install; whoever does not, never imports them."""
    monkeypatch.setitem(sys.modules, "entmax", None)
    monkeypatch.delitem(sys.modules, SparseAttention.__module__)
    with pytest.raises(PluginError, match=rf"attention '{name}' .* entmax: pip install 's2s\[entmax\]'; or"):
        catalogue().load("attention", name)
