"""Every attention against its paper's formula in NumPy: contexts and weights; gradients by differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError
from s2s.nn import AdditiveScore, Attention, length_mask
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.attention.luong import LuongConcat, LuongDot, LuongGeneral
from s2s_plugins.attention.scaled_dot import ScaledDot
from tests.references import attention as formulas

QUERY, MEMORY, SIZE = 3, 5, 4
TOLERANCE = 1e-12  # a few sums in float64


def array(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().numpy()


def scores_bahdanau(a: Bahdanau, query: np.ndarray, memory: np.ndarray) -> np.ndarray:
    W, U, b = array(a.query_layer.weight), array(a.key_layer.weight), array(a.key_layer.bias)
    return formulas.bahdanau(query, memory, W, U, b, array(a.vector))


def scores_concat(a: LuongConcat, query: np.ndarray, memory: np.ndarray) -> np.ndarray:
    return formulas.luong_concat(query, memory, array(a.layer.weight), array(a.vector))


def scores_general(a: LuongGeneral, query: np.ndarray, memory: np.ndarray) -> np.ndarray:
    return formulas.luong_general(query, memory, array(a.key_layer.weight))


def scores_scaled(a: ScaledDot, query: np.ndarray, memory: np.ndarray) -> np.ndarray:
    return formulas.scaled_dot(array(a.query_layer.weight) @ query, memory @ array(a.key_layer.weight).T)


def scores_dot(a: LuongDot, query: np.ndarray, memory: np.ndarray) -> np.ndarray:
    return formulas.luong_dot(query, memory)


CASES: dict[str, tuple[Callable[[], Attention], Callable[..., np.ndarray]]] = {
    "Bahdanau": (lambda: Bahdanau(QUERY, MEMORY), scores_bahdanau),
    "Bahdanau-size": (lambda: Bahdanau(QUERY, MEMORY, attention_size=SIZE), scores_bahdanau),
    "LuongConcat": (lambda: LuongConcat(QUERY, MEMORY), scores_concat),
    "LuongDot": (lambda: LuongDot(MEMORY, MEMORY), scores_dot),
    "LuongGeneral": (lambda: LuongGeneral(QUERY, MEMORY), scores_general),
    "ScaledDot": (lambda: ScaledDot(QUERY, MEMORY), scores_scaled),
    "ScaledDot-size": (lambda: ScaledDot(QUERY, MEMORY, attention_size=SIZE), scores_scaled),
}


def prepare(
    name: str, lengths: list[int], time: int
) -> tuple[Attention, torch.Tensor, torch.Tensor, torch.Tensor]:
    attention = CASES[name][0]().double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    mask = length_mask(torch.tensor(lengths), max(lengths))
    outputs = torch.randn(*mask.shape, MEMORY, dtype=torch.float64).masked_fill(~mask.unsqueeze(-1), 0.0)
    query = torch.randn(len(lengths), time, attention.query_size, dtype=torch.float64)
    return attention, query, outputs, mask


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    time=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_values(name: str, lengths: list[int], time: int, seed: int) -> None:
    torch.manual_seed(seed)
    attention, query, outputs, mask = prepare(name, lengths, time)
    memory = attention.memorize(outputs, mask)
    assert not attention.sequential
    context, weights, _ = attention.attend(query, memory, attention.initial_state(memory))
    assert context.shape == (len(lengths), time, attention.context_size)
    for row, length in enumerate(lengths):
        real = array(outputs)[row, :length]
        for t in range(time):
            scores = CASES[name][1](attention, array(query)[row, t], real)
            expected_context, expected_weights = formulas.attend(scores, real)
            np.testing.assert_allclose(array(context)[row, t], expected_context, atol=TOLERANCE, rtol=1e-10)
            np.testing.assert_allclose(array(weights)[row, t, :length], expected_weights, atol=TOLERANCE)
            assert not weights[row, t, length:].any()
            single = attention.attend(query[:, t], memory, attention.initial_state(memory))
            np.testing.assert_allclose(
                array(single.context)[row], expected_context, atol=TOLERANCE, rtol=1e-10
            )
            np.testing.assert_allclose(array(single.weights)[row, :length], expected_weights, atol=TOLERANCE)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    """Against finite differences, in query, memory and parameters; none reaches the padding of the memory."""
    torch.manual_seed(0)
    attention, query, outputs, mask = prepare(name, [3, 1], 2)
    parameters = dict(attention.named_parameters())

    def contexts(query: torch.Tensor, outputs: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        def ask(module: Attention) -> torch.Tensor:
            memory = module.memorize(outputs, mask)
            return module.attend(query, memory, module.initial_state(memory)).context

        class Ask(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attention = attention

            def forward(self) -> torch.Tensor:
                return ask(self.attention)

        named = {f"attention.{key}": value for key, value in zip(parameters, values, strict=True)}
        return torch.func.functional_call(Ask(), named, ())

    inputs = [query.requires_grad_(), outputs.requires_grad_(), *parameters.values()]
    assert torch.autograd.gradcheck(contexts, inputs)
    (gradient,) = torch.autograd.grad(contexts(*inputs).sum(), [outputs])
    assert not gradient[~mask].any()


@pytest.mark.parametrize("name", CASES)
def test_garbage_in_the_memory_s_padding(name: str) -> None:
    """Encoders put zero there; an attention must not rely on it."""
    torch.manual_seed(0)
    attention, query, outputs, mask = prepare(name, [3, 1, 2], 2)
    found = []
    for filling in (0.0, 1e30):
        memory = attention.memorize(outputs.masked_fill(~mask.unsqueeze(-1), filling), mask)
        found.append(attention.attend(query, memory, attention.initial_state(memory)))
    torch.testing.assert_close(found[1].context, found[0].context, rtol=0, atol=0)
    torch.testing.assert_close(found[1].weights, found[0].weights, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["Bahdanau", "LuongConcat"])
def test_additive_scores_in_pieces(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pieces, the scores are the same."""
    torch.manual_seed(0)
    attention, query, outputs, mask = prepare(name, [3, 1], 5)
    memory = attention.memorize(outputs, mask)
    whole = attention.attend(query, memory, ())
    for bound in (1, 40, 100):
        monkeypatch.setattr(AdditiveScore, "PAIR_ELEMENTS", bound)
        torch.testing.assert_close(
            attention.attend(query, memory, ()).weights, whole.weights, rtol=0, atol=1e-15
        )


@pytest.mark.parametrize("slow", [True, False])
def test_additive_scores_by_sigmoid(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a search, on a processor whose tanh is slow, they come from a sigmoid."""
    monkeypatch.setattr("s2s.nn.kernels.tanh_is_slow", lambda: slow)
    torch.manual_seed(0)
    queries, keys, vector = 3 * torch.randn(2, 5, 64), 3 * torch.randn(2, 40, 64), torch.randn(64)
    exact = torch.tanh(queries.double().unsqueeze(2) + keys.double().unsqueeze(1)) @ vector.double()
    for few in (0, 2 * 5 * 40 * 64):
        monkeypatch.setattr("s2s.nn.kernels.FEW", few)
        scores = AdditiveScore().additive(queries, keys, vector)
        torch.testing.assert_close(scores.double(), exact, rtol=0, atol=2e-5)
    assert torch.equal(scores, (queries.unsqueeze(2) + keys.unsqueeze(1)).tanh() @ vector)


@pytest.mark.parametrize("name", CASES)
def test_mixed_precision_weights_sum_to_one(name: str) -> None:
    """bfloat16 weights would sum to 1 within 4e-3 only."""
    torch.manual_seed(0)
    attention, query, outputs, mask = prepare(name, [3, 1, 6], 2)
    attention = attention.float()
    with torch.autocast("cpu", torch.bfloat16):
        memory = attention.memorize(outputs.float(), mask)
        weights = attention.attend(query.float(), memory, ()).weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2), rtol=0, atol=1e-6)


def test_dot_needs_equal_widths() -> None:
    with pytest.raises(ConfigError, match="LuongDot.* 3 and 5.*LuongGeneral"):
        LuongDot(3, 5)
