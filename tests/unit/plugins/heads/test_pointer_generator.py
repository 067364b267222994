"""The pointer-generator against its equations in NumPy, and at the edges of floating point."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import Decoded, Head, leaves, length_mask
from s2s.padded import Padded
from s2s.testing import models
from s2s.text.batch import pad_targets
from s2s_plugins.heads.pointer_generator import PointerGenerator
from tests.references.pointer import Parameters, token

HIDDEN, CONTEXT, INPUT, VOCABULARY = 4, 5, 3, 9
SOURCES = [[9, 4, 4, 10, 9], [5], [6, 11, 6]]  # from 9 on words of a sentence's own
LENGTHS = [3, 1, 4]


def make(smoothing: float = 0.0) -> PointerGenerator:
    head = PointerGenerator(HIDDEN, CONTEXT, INPUT, VOCABULARY, label_smoothing=smoothing).double()
    torch.nn.init.normal_(head.softmax.bias)
    torch.nn.init.normal_(head.context_gate.bias)
    return head


def parameters(head: PointerGenerator) -> Parameters:
    gates = (head.context_gate, head.hidden_gate, head.input_gate)
    vectors = [gate.weight.detach().numpy()[0] for gate in gates]
    weight, bias = (part.detach().numpy() for part in (head.softmax.weight, head.softmax.bias))
    return Parameters(*vectors, head.context_gate.bias.item(), weight, bias)


def drawn() -> tuple[Decoded, Padded, Tensor]:
    """Decoded with NaN in its padding, sources, and the mask of the targets."""
    mask = length_mask(torch.tensor(LENGTHS), max(LENGTHS))
    lengths = torch.tensor([len(source) for source in SOURCES])
    width = int(lengths.max())
    ids = torch.tensor([source + [0] * (width - len(source)) for source in SOURCES])
    scores = torch.randn(*mask.shape, width, dtype=torch.float64)
    weights = scores.masked_fill(~length_mask(lengths, width).unsqueeze(1), -torch.inf).softmax(-1)
    parts = [torch.randn(*mask.shape, size, dtype=torch.float64) for size in (HIDDEN, CONTEXT, INPUT)]
    for part in (*parts, weights):
        part[~mask] = float("nan")
        part.requires_grad_()
    return Decoded(parts[0], parts[1], weights, parts[2]), Padded(ids, lengths), mask


def test_probabilities_are_those_of_the_equations() -> None:
    torch.manual_seed(0)
    head, (decoded, source, _) = make(), drawn()
    found = head.log_probs(decoded, source).detach().exp().numpy()
    for row, length in enumerate(LENGTHS):
        for time in range(length):
            parts = [
                part[row, time].detach().numpy() for part in (decoded.hidden, decoded.context, decoded.inputs)
            ]
            weights = decoded.weights[row, time, : len(SOURCES[row])].detach().numpy()
            expected = token(*parts, weights, SOURCES[row], 4, parameters(head)).probabilities
            np.testing.assert_allclose(found[row, time, : len(expected)], expected, rtol=1e-12, atol=1e-300)
            assert found[row, time, len(expected) :].max(initial=0.0) == 0.0
            assert found[row, time].sum() == pytest.approx(1.0, abs=1e-14)


@settings(max_examples=20, deadline=None)
@given(
    gold=st.lists(st.integers(0, 11), min_size=8, max_size=8),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_loss_and_gradients_against_numpy(gold: list[int], smoothing: float, seed: int) -> None:
    torch.manual_seed(seed)
    head, (decoded, source, mask) = make(smoothing), drawn()
    said = torch.zeros(mask.shape, dtype=torch.int64)
    said[mask] = torch.tensor(gold)
    for row, ids in enumerate(SOURCES):  # a word that neither vocabulary nor source has is never gold
        said[row] = torch.where(
            (said[row] < VOCABULARY) | torch.isin(said[row], torch.tensor(ids)), said[row], 1
        )
    inputs = [
        *decoded,
        head.softmax.weight,
        head.softmax.bias,
        head.context_gate.weight,
        head.context_gate.bias,
    ]
    loss = head.loss(decoded, said, mask, source)
    found = [part.numpy() for part in torch.autograd.grad(loss.total, inputs)]

    p = parameters(head)
    total = nll = 0.0
    expected = [np.zeros(part.shape) for part in inputs]
    d_hidden, d_context, d_weights, d_inputs, d_W, d_b, d_w_context, d_b_gate = expected
    for row, length in enumerate(LENGTHS):
        for t in range(length):
            at = row, t
            hidden, context, weights, y = (part[at].detach().numpy() for part in decoded)
            one = token(
                hidden, context, y, weights[: len(SOURCES[row])], SOURCES[row], int(said[at]), p, smoothing
            )
            total, nll = total + one.loss, nll + one.nll
            d_hidden[at] = p.W.T @ one.d_logits + one.d_gate * p.w_hidden
            d_context[at], d_inputs[at] = one.d_gate * p.w_context, one.d_gate * p.w_input
            d_weights[at][: len(SOURCES[row])] = one.d_weights
            d_W += np.outer(one.d_logits, hidden)
            d_b += one.d_logits
            d_w_context += one.d_gate * context
            d_b_gate += one.d_gate
    assert float(loss.total) == pytest.approx(total, rel=1e-12)
    assert float(loss.nll) == pytest.approx(nll, rel=1e-12)
    assert int(loss.tokens) == sum(LENGTHS) and not loss.nll.requires_grad
    for gradient, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, wanted, rtol=1e-9, atol=1e-11)


def test_the_loss_of_the_protocol_is_the_same() -> None:
    """The slow twin, by `log_probs` over the whole extended vocabulary."""
    torch.manual_seed(0)
    head, (decoded, source, mask) = make(), drawn()
    gold = torch.tensor([[9, 4, 10, 0], [5, 0, 0, 0], [11, 6, 1, 3]])
    fast, slow = head.loss(decoded, gold, mask, source), Head.loss(head, decoded, gold, mask, source)
    torch.testing.assert_close(fast.total, slow.total)
    inputs = [*decoded, *head.parameters()]
    for one, other in zip(
        torch.autograd.grad(fast.total, inputs), torch.autograd.grad(slow.total, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_loss_asks_the_gate_without_the_weights() -> None:
    """[tokens, source] numbers would be copied, and their gradients put back, that no gate reads."""
    torch.manual_seed(0)
    given: list[Decoded] = []

    class Asked(PointerGenerator):
        def gate(self, decoded: Decoded) -> Tensor:
            given.append(decoded)
            return super().gate(decoded)

    decoded, source, mask = drawn()
    Asked(HIDDEN, CONTEXT, INPUT, VOCABULARY).double().loss(
        decoded, torch.ones_like(mask).long(), mask, source
    )
    assert [(one.weights, len(one.hidden)) for one in given] == [(None, sum(LENGTHS))]


@torch.no_grad()
def test_the_best_of_several_pieces_where_there_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded may lack a part; a head below this one may do without it."""
    monkeypatch.setattr("s2s_plugins.heads.pointer_generator.ROWS_AT_ONCE", 2)
    torch.manual_seed(0)

    class WithoutContext(PointerGenerator):
        def gate(self, decoded: Decoded) -> Tensor:
            gate: Tensor = self.hidden_gate(decoded.hidden) + self.input_gate(decoded.inputs)
            return gate

    head = WithoutContext(HIDDEN, CONTEXT, INPUT, VOCABULARY).double()
    (decoded, source, _), never = drawn(), torch.tensor([0, 2])
    rows = Decoded(*(part[:, 0].repeat_interleave(2, 0) for part in decoded))._replace(context=None)
    values, tokens = head.best(rows, source, 3, never)
    expected = head.log_probs(rows, source).index_fill(1, never, -torch.inf).topk(3)
    torch.testing.assert_close(values, expected.values.float(), rtol=0, atol=1e-5)  # `best` is of float32
    assert torch.equal(tokens, expected.indices)


@pytest.mark.parametrize("gate", [-200.0, 200.0])
@pytest.mark.parametrize("weight", [0.0, 1e-42, 1.0])
def test_gates_and_weights_at_the_edge_of_float32(gate: float, weight: float) -> None:
    """A gate that is as good as shut, weights that have underflown: finite losses and gradients, sums of one."""
    torch.manual_seed(0)
    head = make().float()
    with torch.no_grad():
        head.context_gate.bias.fill_(gate)
    source = Padded(torch.tensor([[9, 4]]), torch.tensor([2]))
    weights = torch.tensor([[[weight, 1.0 - weight]]]).expand(1, 3, 2).clone().requires_grad_()
    parts = [torch.randn(1, 3, size, requires_grad=True) for size in (HIDDEN, CONTEXT, INPUT)]
    decoded = Decoded(parts[0], parts[1], weights, parts[2])
    gold = torch.tensor([[9, 4, 1]])
    loss = head.loss(decoded, gold, torch.ones(1, 3, dtype=torch.bool), source)
    gradients = torch.autograd.grad(loss.total, [*decoded, *head.parameters()])
    assert loss.total.isfinite() and all(gradient.isfinite().all() for gradient in gradients)
    sums = head.log_probs(decoded, source).exp().sum(-1)
    torch.testing.assert_close(sums, torch.ones(1, 3))


def test_where_there_is_no_attention() -> None:
    with pytest.raises(
        ConfigError, match="but the decoder has no attention; give it one, as --model.decoder.attention"
    ):
        PointerGenerator(HIDDEN, 0, INPUT, VOCABULARY)


def test_it_learns_to_copy_words_that_it_never_saw() -> None:
    """Own words have no vector of their own: nothing but where they stand can tell what is to be said."""

    def drawn(rows: int) -> tuple[Padded, Padded, Tensor]:
        own = torch.rand(rows, 3) < 0.7
        numbers = own.cumsum(1) - 1  # in the order in which they appear
        known = torch.randint(4, models.VOCABULARY, (rows, 3))
        source = torch.where(own, models.VOCABULARY + numbers, known)
        target = pad_targets(source.tolist())
        lengths = torch.full((rows,), 3)
        return Padded(source, lengths), Padded(target.ids[:, :-1], lengths + 1), target.ids[:, 1:]

    torch.manual_seed(0)
    model = models.learning_model(head=PointerGenerator)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        loss = model.loss(*drawn(32))
        optimizer.zero_grad()
        (loss.total / loss.tokens).backward()
        optimizer.step()
    source, _, _ = drawn(64)
    with torch.no_grad():
        found = [one[0].tokens for one in models.search(model.eval(), source)]
    right = [one == other for one, other in zip(found, source.ids.tolist(), strict=True)]
    assert sum(right) >= 48, f"{sum(right)} of 64 were copied"


@torch.no_grad()
def test_a_folded_encoder_reads_copied_words_as_unknown() -> None:
    torch.manual_seed(0)
    model = models.learning_model(head=PointerGenerator).float().eval()
    source = Padded(
        torch.tensor([[5, models.VOCABULARY, 6], [models.VOCABULARY + 1, 4, 4]]), torch.tensor([3, 3])
    )
    folded = model.fold_source(torch.arange(models.VOCABULARY))
    found, expected = model.encode_folded(source, folded), model.encode(source)
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
