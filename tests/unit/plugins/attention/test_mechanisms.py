"""Attentions that are more than a softmax of scores, against their papers in NumPy; gradients by differences."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Attended, Attention, ScoredMemory, attend_rows, leaves, length_mask
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.attention.history import Coverage, Location
from s2s_plugins.attention.local import LocalP
from s2s_plugins.attention.multi_head import MultiHead
from tests.references.attention import Array
from tests.references.attention_history import coverage, location
from tests.references.attention_local import local_p
from tests.references.attention_multi_head import multi_head

QUERY, MEMORY, SIZE = 3, 5, 4
TOLERANCE = {"rtol": 1e-10, "atol": 1e-12}  # a few sums in float64, step after step

Reference = Callable[..., tuple[Array, Array]]
"""(attention, queries [time, query], outputs [source, memory]) to contexts [time, context], weights [time, source]."""


def array(tensor: Tensor) -> Array:
    return tensor.detach().numpy()


def each_query(answer: Callable[..., tuple[Array, Array]]) -> Reference:
    """A reference that answers one query, for all of them."""

    def answer_all(attention: Attention, queries: Array, outputs: Array) -> tuple[Array, Array]:
        contexts, weights = zip(*(answer(attention, query, outputs) for query in queries), strict=True)
        return np.stack(contexts), np.stack(weights)

    return answer_all


@each_query
def multi_head_of(a: MultiHead, query: Array, outputs: Array) -> tuple[Array, Array]:
    layers = (a.query_layer, a.key_layer, a.value_layer)
    by_head = [np.split(array(layer.weight), a.heads) for layer in layers]
    return multi_head(query, outputs, *by_head, array(a.context_layer.weight))


@each_query
def local_of(a: LocalP, query: Array, outputs: Array) -> tuple[Array, Array]:
    W_a, W_p, v_p = a.key_layer.weight, a.position_layer.weight, a.position_vector
    return local_p(query, outputs, array(W_a), array(W_p), array(v_p), a.window)


def location_of(a: Location, queries: Array, outputs: Array) -> tuple[Array, Array]:
    W, V, U = (array(layer.weight) for layer in (a.query_layer, a.key_layer, a.filter_layer))
    F = array(a.filters.weight).squeeze(1)
    return location(queries, outputs, W, V, U, F, array(a.key_layer.bias), array(a.vector))


def coverage_of(a: Coverage, queries: Array, outputs: Array) -> tuple[Array, Array]:
    W_s, W_h = array(a.query_layer.weight), array(a.key_layer.weight)
    w_c = array(a.coverage_layer.weight).squeeze(1)
    return coverage(queries, outputs, W_s, W_h, w_c, array(a.key_layer.bias), array(a.vector))


CASES: dict[str, tuple[Callable[[int, int], Attention], Reference]] = {
    "MultiHead": (partial(MultiHead, heads=2, attention_size=6), multi_head_of),
    "MultiHead-one": (partial(MultiHead, heads=1), multi_head_of),
    "MultiHead-default": (
        partial(MultiHead, attention_size=12),
        multi_head_of,
    ),  # 4 heads: 8 does not divide 12
    "LocalP": (LocalP, local_of),  # the window is wider than any sentence here
    "LocalP-1": (partial(LocalP, window=1), local_of),
    "LocalP-2": (partial(LocalP, window=2), local_of),
    "Location": (partial(Location, attention_size=SIZE, filters=2, kernel_width=3), location_of),
    "Location-wide": (Location, location_of),
    "Location-narrow": (partial(Location, filters=1, kernel_width=1), location_of),
    "Coverage": (Coverage, coverage_of),
    "Coverage-size": (partial(Coverage, attention_size=SIZE), coverage_of),
}
every_case = pytest.mark.parametrize("name", CASES)


def prepare(name: str, lengths: list[int], time: int) -> tuple[Attention, Tensor, Tensor, Tensor]:
    """An attention with weights far from their first values, queries, encoder outputs and their mask."""
    attention = CASES[name][0](QUERY, MEMORY).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    mask = length_mask(torch.tensor(lengths), max(lengths))
    outputs = torch.randn(*mask.shape, MEMORY, dtype=torch.float64).masked_fill(~mask.unsqueeze(-1), 0.0)
    return attention, torch.randn(len(lengths), time, QUERY, dtype=torch.float64), outputs, mask


def ask(attention: Attention, queries: Tensor, outputs: Tensor, mask: Tensor) -> Attended:
    """All queries [batch, time, query], at once or step by step, as the attention says."""
    memory = attention.memorize(outputs, mask)
    state = attention.initial_state(memory)
    if not attention.sequential:
        return attention.attend(queries, memory, state)
    steps = []
    for query in queries.unbind(1):
        steps.append(attention.attend(query, memory, state))
        state = steps[-1].state
    contexts, weights, _ = zip(*steps, strict=True)
    return Attended(torch.stack(contexts, 1), torch.stack(weights, 1), state)


@every_case
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    time=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_values(name: str, lengths: list[int], time: int, seed: int) -> None:
    torch.manual_seed(seed)
    attention, queries, outputs, mask = prepare(name, lengths, time)
    context, weights, _ = ask(attention, queries, outputs, mask)
    assert context.shape == (len(lengths), time, attention.context_size)
    for row, length in enumerate(lengths):
        expected = CASES[name][1](attention, array(queries)[row], array(outputs)[row, :length])
        np.testing.assert_allclose(array(context)[row], expected[0], **TOLERANCE)
        np.testing.assert_allclose(array(weights)[row, :, :length], expected[1], **TOLERANCE)
        assert not weights[row, :, length:].any()


@every_case
def test_gradients(name: str) -> None:
    """Against finite differences, in queries, memory and parameters; none reaches the padding of the memory."""
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(name, [4, 1, 3], 3)
    learning = [queries.requires_grad_(), outputs.requires_grad_(), *attention.parameters()]

    def answer(*_: Tensor) -> tuple[Tensor, Tensor]:  # what is learnt is moved in place
        context, weights, _ = ask(attention, queries, outputs, mask)
        return context, weights

    assert torch.autograd.gradcheck(answer, learning)
    (gradient,) = torch.autograd.grad(answer()[0].sum(), [outputs])
    assert not gradient[~mask].any()


@every_case
def test_garbage_in_the_memory_s_padding(name: str) -> None:
    """Encoders put zero there; an attention must not rely on it."""
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(name, [3, 1, 2], 3)
    clean, dirty = (
        ask(attention, queries, outputs.masked_fill(~mask.unsqueeze(-1), filling), mask)
        for filling in (0.0, 1e30)
    )
    for found, expected in zip(leaves(dirty), leaves(clean), strict=True):
        assert torch.equal(found, expected)


@every_case
def test_mapped_values(name: str) -> None:
    """An attention that maps its values answers with the mapped context."""
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(name, [3, 1, 2], 2)
    linear = torch.nn.Linear(attention.context_size, 2, bias=False).double()
    memory = attention.memorize(outputs, mask)
    mapped = attention.map_values(memory, linear)
    if isinstance(attention, MultiHead):
        assert mapped is None
        return
    state = attention.initial_state(memory)
    for query in queries.unbind(1):
        expected, found = (attention.attend(query, part, state) for part in (memory, mapped))
        torch.testing.assert_close(found.context, linear(expected.context), rtol=1e-10, atol=1e-12)
        for leaf, wanted in zip(leaves(found[1:]), leaves(expected[1:]), strict=True):
            assert torch.equal(leaf, wanted)
        state = found.state


@pytest.mark.parametrize("parent", [LocalP, Coverage])
def test_another_answer_is_not_mapped(parent: type[Attention]) -> None:
    """A subclass that answers otherwise, and knows nothing of the fast way, keeps its meaning."""

    class Doubled(parent):  # type: ignore[misc, valid-type]
        def attend(self, query: Tensor, memory: object, state: object) -> Attended:
            answer = super().attend(query, memory, state)
            return answer._replace(context=2 * answer.context)

    attention = Doubled(QUERY, MEMORY)
    memory = attention.memorize(torch.randn(1, 2, MEMORY), torch.ones(1, 2, dtype=torch.bool))
    assert attention.map_values(memory, torch.nn.Identity()) is None


@pytest.mark.parametrize("beams", [1, 3])
def test_scores_of_its_own_count_for_beams_too(beams: int) -> None:
    """A subclass that rules out the first position answers as its base does where the mask rules it out."""

    class Onward(Coverage):
        def masked_scores(self, queries: Tensor, memory: ScoredMemory) -> Tensor:
            assert len(queries) == len(memory.keys) == len(memory.values) == len(memory.mask)
            scores = super().masked_scores(queries, memory)
            return scores.masked_fill(torch.arange(scores.size(-1)) == 0, -torch.inf)

    torch.manual_seed(0)
    base, _, outputs, mask = prepare("Coverage", [4, 2, 3], 1)
    own = Onward(QUERY, MEMORY).double()
    own.load_state_dict(base.state_dict())
    without = mask & (torch.arange(mask.size(1)) > 0)
    memories = own.memorize(outputs, mask), base.memorize(outputs, without)
    states = [(torch.rand(3 * beams, mask.size(1), dtype=torch.float64),)] * 2
    for query in torch.randn(2, 3 * beams, QUERY, dtype=torch.float64):
        answers = [
            attend_rows(attention, query, memory, state)
            for attention, memory, state in zip((own, base), memories, states, strict=True)
        ]
        for found, expected in zip(*map(leaves, answers), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        states = [answer.state for answer in answers]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_history_of_its_own_is_not_answered_by_coverage_s(beams: int) -> None:
    """A subclass that adds nothing to the keys, whatever was attended to, is Bahdanau's attention."""

    class Forgetful(Coverage):
        def history(self, past: Tensor) -> Tensor:
            return torch.zeros_like(super().history(past))

    torch.manual_seed(0)
    base, _, outputs, mask = prepare("Coverage", [4, 2, 3], 1)
    own, plain = Forgetful(QUERY, MEMORY).double(), Bahdanau(QUERY, MEMORY).double()
    own.load_state_dict(base.state_dict())
    plain.load_state_dict(base.state_dict(), strict=False)
    memory, query = own.memorize(outputs, mask), torch.randn(3 * beams, QUERY, dtype=torch.float64)
    state = (torch.rand(3 * beams, mask.size(1), dtype=torch.float64),)
    found, expected = attend_rows(own, query, memory, state), attend_rows(plain, query, memory, ())
    for name in ("context", "weights"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)


@every_case
def test_mixed_precision(name: str) -> None:
    """bfloat16 weights would sum to 1 within 4e-3 only; what is remembered of them keeps its type."""
    torch.manual_seed(0)
    attention, queries, outputs, mask = prepare(name, [3, 1, 6], 2)
    attention = attention.float()
    with torch.autocast("cpu", torch.bfloat16):
        _, weights, state = ask(attention, queries.float(), outputs.float(), mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2), rtol=0, atol=1e-6)
    assert all(leaf.dtype == torch.float32 for leaf in leaves(state))


def test_the_predicted_position_learns() -> None:
    """Through the Gaussian alone: the scores are equal, and the last position is to be found."""
    torch.manual_seed(0)
    attention = LocalP(QUERY, MEMORY, window=3).double()
    torch.nn.init.zeros_(attention.key_layer.weight)
    outputs, mask = torch.eye(MEMORY, dtype=torch.float64).unsqueeze(0), torch.ones(1, MEMORY).bool()
    query = torch.ones(1, 1, QUERY, dtype=torch.float64)
    learner = torch.optim.SGD([attention.position_layer.weight, attention.position_vector], lr=0.5)
    before = attention.positions(query, mask.sum(1)).item()
    for _ in range(20):
        learner.zero_grad()
        ask(attention, query, outputs, mask).weights[0, 0, -1].log().neg().backward()
        learner.step()
    assert before < 3.5 and attention.positions(query, mask.sum(1)).item() > 4.5


@pytest.mark.parametrize("logit", [-1e3, 1e3])
def test_no_window_is_empty(logit: float) -> None:
    """Positions as far out as the sigmoid can say, with the smallest window, in sentences of every length."""
    attention = LocalP(1, MEMORY, window=1).double()
    torch.nn.init.zeros_(attention.key_layer.weight)
    torch.nn.init.constant_(attention.position_layer.weight, 20.0)
    torch.nn.init.constant_(attention.position_vector, logit)
    lengths = torch.tensor([1, 2, 3, 7])
    mask = length_mask(lengths, 7)
    query, outputs = torch.ones(4, 1, 1, dtype=torch.float64), torch.zeros(4, 7, MEMORY, dtype=torch.float64)
    weights = ask(attention, query, outputs, mask).weights.squeeze(1)
    nearest = torch.zeros(4, dtype=torch.int64) if logit < 0 else lengths - 1
    assert torch.equal(weights.argmax(-1), nearest)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(MultiHead, heads=0), "heads 0 is impossible"),
        (
            partial(MultiHead, heads=3, attention_size=8),
            "attention_size 8 cannot .* 3 heads; choose a multiple of 3",
        ),
        (partial(MultiHead, attention_size=0), "attention_size 0 is impossible"),
        (partial(LocalP, window=0), "window 0 is impossible; it must be at least 1"),
        (partial(Location, kernel_width=4), "kernel_width 4 has no middle; choose an odd one, as 5"),
        (partial(Location, kernel_width=-1), "kernel_width -1 is impossible"),
        (partial(Location, filters=0), "filters 0 is impossible"),
        (partial(Coverage, attention_size=0), "attention_size 0 is impossible"),
    ],
)
def test_what_describes_no_attention(make: Callable[[int, int], Attention], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(QUERY, MEMORY)
