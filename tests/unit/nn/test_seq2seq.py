"""The whole model: what goes in for a sentence decides what comes out for it, and all ways through agree."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import RecurrentCell, Seq2Seq, leaves, map_state, select_state
from s2s.padded import Padded
from s2s.testing.odd_attention import Coverage
from s2s.testing.odd_cells import OddCell, SlotCell
from s2s_plugins.attention.bahdanau import Bahdanau
from s2s_plugins.attention.luong import LuongGeneral
from s2s_plugins.attention.scaled_dot import ScaledDot
from s2s_plugins.bridges.linear import LinearBridge
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.bahdanau import BahdanauDecoder
from s2s_plugins.decoders.conditional import ConditionalDecoder
from s2s_plugins.decoders.gnmt import GNMTDecoder
from s2s_plugins.decoders.input_feeding import InputFeedingDecoder
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.heads.softmax import SoftmaxHead

PAD, BOS = 0, 2
SOURCE_VOCABULARY, TARGET_VOCABULARY = 11, 9
SOURCES = [[4, 5, 6, 7], [8], [9, 10, 4]]
TARGETS = [[3, 4, 5], [6, 7, 8, 3, 4], [5]]  # gold tokens; the inputs begin with BOS and lack the last


def learning(built: Seq2Seq) -> dict[str, Tensor]:
    """All parameters but a decoder cell's own first state, which the bridge replaces."""
    return {
        name: p
        for name, p in built.named_parameters()
        if not (name.startswith("decoder") and "first" in name)
    }


def padded(rows: list[list[int]], *, padding: int = PAD) -> Padded:
    width = max(len(row) for row in rows)
    ids = [row + [padding] * (width - len(row)) for row in rows]
    return Padded(torch.tensor(ids), torch.tensor([len(row) for row in rows]))


def batch(rows: list[int] | None = None, *, padding: int = PAD) -> tuple[Padded, Padded, Tensor]:
    """Source, inputs and gold of some of the sentences above."""
    rows = [0, 1, 2] if rows is None else rows
    targets = [TARGETS[row] for row in rows]
    inputs = [[BOS, *target[:-1]] for target in targets]
    return (
        padded([SOURCES[row] for row in rows], padding=padding),
        padded(inputs, padding=padding),
        padded(targets, padding=padding).ids,
    )


def model(
    *,
    encoder_cell: Callable[[int, int], RecurrentCell] = LSTM,
    decoder_cell: Callable[[int, int], RecurrentCell] = LSTM,
    decoder: Any = RecurrentDecoder,
    attention: Any = LuongGeneral,
    encoder_options: dict[str, Any] | None = None,
    decoder_options: dict[str, Any] | None = None,
    size: int = 3,
    vocabularies: tuple[int, int] = (SOURCE_VOCABULARY, TARGET_VOCABULARY),
    **options: Any,
) -> Seq2Seq:
    torch.manual_seed(0)
    built = Seq2Seq(
        *vocabularies,
        embedding=partial(LookupEmbedding, size=size),
        encoder=partial(RecurrentEncoder, cell=encoder_cell, hidden_size=4, **(encoder_options or {})),
        bridge=LinearBridge,
        decoder=partial(
            decoder, cell=decoder_cell, attention=attention, hidden_size=5, **(decoder_options or {})
        ),
        head=partial(SoftmaxHead, label_smoothing=0.1),
        **options,
    )
    return built.double().eval()


MODELS: dict[str, Callable[[], Seq2Seq]] = {
    "plain": model,
    "no-attention": partial(model, attention=None),
    "input-feeding": partial(model, decoder=InputFeedingDecoder, attention=Bahdanau),
    "input-feeding-alone": partial(model, decoder=InputFeedingDecoder, attention=None, decoder_cell=OddCell),
    "sequential": partial(model, attention=Coverage, encoder_cell=GRU),
    "deep": partial(
        model,
        encoder_options={"layers": 2, "residual": True},
        decoder=InputFeedingDecoder,
        decoder_options={"layers": 3, "residual": True},
        attention=ScaledDot,
    ),
    "bahdanau": partial(model, decoder=BahdanauDecoder, attention=Bahdanau, decoder_cell=GRU),
    "conditional": partial(model, decoder=ConditionalDecoder, decoder_cell=SlotCell),
    "gnmt": partial(model, decoder=GNMTDecoder, attention=Bahdanau, decoder_options={"layers": 3}),
    "odd-to-slots": partial(model, encoder_cell=OddCell, decoder_cell=SlotCell),
    "slots-to-odd": partial(model, encoder_cell=SlotCell, decoder_cell=OddCell, decoder=InputFeedingDecoder),
}
every_model = pytest.mark.parametrize("name", MODELS)

CROSSINGS = {  # encoder cell, its options, decoder cell, its options: other sizes, depths, directions, cells
    "LSTM-GRU": (LSTM, {}, GRU, {"layers": 2}),
    "GRU-LSTM": (GRU, {"layers": 3, "bidirectional": False}, LSTM, {}),
    "LSTM-LSTM": (LSTM, {"layers": 2}, LSTM, {"layers": 2}),
    "Elman-LSTM": (partial(Elman, activation="relu"), {}, LSTM, {"layers": 3}),
    "odd-LSTM": (OddCell, {"layers": 2}, LSTM, {}),
    "GRU-odd": (GRU, {}, OddCell, {"layers": 2}),
    "odd-odd": (OddCell, {"bidirectional": False}, OddCell, {}),
    "slots-LSTM": (SlotCell, {}, LSTM, {}),
    "LSTM-slots": (LSTM, {"layers": 2}, SlotCell, {"layers": 2}),
}


@pytest.mark.parametrize("decoder", [RecurrentDecoder, InputFeedingDecoder])
@pytest.mark.parametrize("crossing", CROSSINGS)
def test_every_part_of_the_state_crosses(crossing: str, decoder: Any) -> None:
    """The decoder's first state hangs on each number of the encoder's; gradients are those of differences."""
    encoder_cell, encoder_options, decoder_cell, decoder_options = CROSSINGS[crossing]
    built = model(
        encoder_cell=encoder_cell,
        decoder_cell=decoder_cell,
        decoder=decoder,
        encoder_options=encoder_options,
        decoder_options=decoder_options,
    )
    source, _, _ = batch()
    with torch.no_grad():
        encoded = built.encoder(built.source_embedding(source.ids), source.lengths)
    state = map_state(lambda leaf: leaf.detach().clone().requires_grad_(), encoded.state)

    def crossed(*parts: Tensor) -> tuple[Tensor, ...]:
        remaining = iter(parts)
        features = built.encoder.features(map_state(lambda _: next(remaining), state))
        _, started = built.decoder.start(encoded, built.bridge(features))
        return tuple(leaf for leaf in leaves(started.cell))

    parts = leaves(state)
    assert torch.autograd.gradcheck(crossed, parts)
    for leaf in crossed(*parts):
        for i, gradient in enumerate(
            torch.autograd.grad((leaf * torch.randn_like(leaf)).sum(), parts, retain_graph=True)
        ):
            if leaf.std() > 0:  # a leaf of width one under a norm is constant
                assert gradient.abs().gt(0).all(), f"encoder state leaf {i} is lost"
    before = crossed(*parts)
    for i in range(len(parts)):
        moved = [part + (0.1 if i == j else 0.0) for j, part in enumerate(parts)]
        assert any(not torch.equal(a, b) for a, b in zip(crossed(*moved), before, strict=True))
    _, expected = built.encode(source)
    for found, wanted in zip(before, leaves(expected.cell), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@every_model
def test_loss_is_the_sum_of_the_sentences_alone(name: str) -> None:
    """Values and gradients: neither batch mates nor padding have a part in them."""
    built = MODELS[name]()
    parameters = list(learning(built).values())
    whole = built.loss(*batch())
    gradients = torch.autograd.grad(whole.total, parameters)
    alone = [built.loss(*batch([row])) for row in range(3)]
    torch.testing.assert_close(whole.total, sum(loss.total for loss in alone), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(whole.nll, sum(loss.nll for loss in alone), rtol=1e-10, atol=1e-10)
    assert whole.tokens == sum(len(target) for target in TARGETS)
    expected = torch.autograd.grad(sum(loss.total for loss in alone), parameters)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@every_model
def test_what_lies_in_the_padding(name: str) -> None:
    """NaN vectors for the padding token, or other tokens: no bit of the loss or the gradients changes."""
    built = MODELS[name]()
    parameters = list(learning(built).values())

    def run(padding: int) -> tuple[Tensor, ...]:
        loss = built.loss(*batch(padding=padding))
        return (loss.total, loss.nll, *torch.autograd.grad(loss.total, parameters))

    expected = run(PAD)
    others = run(7)
    with torch.no_grad():
        built.source_embedding.weight[PAD] = float("nan")
        built.target_embedding.weight[PAD] = float("nan")
    for result in (others, run(PAD)):
        for found, wanted in zip(result, expected, strict=True):
            assert torch.equal(found, wanted)


@every_model
def test_gradient_along_a_direction(name: str) -> None:
    """The loss's slope along a random direction of all parameters, by central differences."""
    built = MODELS[name]()
    parameters = list(learning(built).values())
    directions = [torch.randn_like(parameter) for parameter in parameters]
    gradients = torch.autograd.grad(built.loss(*batch()).total, parameters)
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    step = 1e-6

    def moved(by: float) -> Tensor:
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter += by * direction
        loss = built.loss(*batch()).total.detach()
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter -= by * direction
        return loss

    found = (moved(step) - moved(-step)) / (2 * step)
    torch.testing.assert_close(found, torch.as_tensor(slope), rtol=1e-6, atol=1e-6)


@every_model
@pytest.mark.parametrize("beams", [1, 3])
def test_decode_step_equals_teacher_forcing(name: str, beams: int) -> None:
    """Token by token, several rows per sentence: the log-probabilities of the forward pass."""
    built = MODELS[name]()
    source, inputs, _ = batch()
    decoded = built(source, inputs)
    expected = built.head.log_probs(decoded, source)
    memory, state = built.encode(source)
    rows = torch.arange(3).repeat_interleave(beams)
    state = select_state(state, rows)
    for time in range(inputs.ids.size(1)):
        log_probs, state, weights = built.decode_step(inputs.ids[rows, time], memory, state, source)
        assert log_probs.shape == (3 * beams, TARGET_VOCABULARY)
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3 * beams, dtype=torch.float64))
        for row, sentence in enumerate(rows.tolist()):
            if time < len(TARGETS[sentence]):
                torch.testing.assert_close(log_probs[row], expected[sentence, time], rtol=1e-10, atol=1e-10)
                if weights is not None and decoded.weights is not None:
                    torch.testing.assert_close(weights[row], decoded.weights[sentence, time])
                    assert not weights[row, len(SOURCES[sentence]) :].any()
        assert (weights is None) == (decoded.weights is None)


@every_model
def test_forward_is_its_parts_in_order(name: str) -> None:
    """Source embedding, encoder, bridge, decoder on target embedding, head: each on the side where it belongs."""
    built = MODELS[name]()
    source, inputs, _ = batch([0])
    encoded = built.encoder(built.source_embedding.weight[source.ids], source.lengths)
    memory, state = built.decoder.start(encoded, built.bridge(built.encoder.features(encoded.state)))
    expected = []
    for token in inputs.ids[0]:
        decoded, state = built.decoder.step(built.target_embedding.weight[token].unsqueeze(0), memory, state)
        logits = decoded.hidden @ built.head.weight.T + built.head.bias
        expected.append((logits - logits.logsumexp(-1, keepdim=True))[0])
    found = built.head.log_probs(built(source, inputs), source)[0]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-10, atol=1e-10)


@every_model
def test_loss_is_that_of_log_probs(name: str) -> None:
    built = MODELS[name]()
    source, inputs, gold = batch()
    log_probs = built.head.log_probs(built(source, inputs), source)
    expected = -sum(
        log_probs[row, time, token] for row, t in enumerate(TARGETS) for time, token in enumerate(t)
    )
    torch.testing.assert_close(built.loss(source, inputs, gold).nll, torch.as_tensor(expected).detach())


@every_model
def test_nothing_is_kept(name: str) -> None:
    """Two runs with another batch between them give the same numbers."""
    built = MODELS[name]()
    first = built.loss(*batch()).total
    built.loss(*batch([1])).total.backward()
    torch.testing.assert_close(built.loss(*batch()).total, first, rtol=0, atol=0)


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 7)), min_size=2, max_size=6),
    name=st.sampled_from(sorted(MODELS)),
    seed=st.integers(0, 2**16),
)
def test_float32_scores_do_not_depend_on_the_batch(
    sizes: list[tuple[int, int]], name: str, seed: int
) -> None:
    """Any batch in any order: a token's score in float32 is within 1e-5 of what it is alone."""
    built = MODELS[name]().float()
    torch.manual_seed(seed)
    sources = [torch.randint(3, SOURCE_VOCABULARY, (length,)).tolist() for length, _ in sizes]
    targets = [[BOS, *torch.randint(3, TARGET_VOCABULARY, (length,)).tolist()] for _, length in sizes]
    with torch.no_grad():
        together = built.head.log_probs(built(padded(sources), padded(targets)), padded(sources))
        for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
            alone = built.head.log_probs(built(padded([source]), padded([target])), padded([source]))
            torch.testing.assert_close(together[row, : len(target)], alone[0], rtol=0, atol=1e-5)


@every_model
def test_state_stays_in_float32_under_autocast(name: str) -> None:
    built = MODELS[name]().float()
    source, inputs, gold = batch()
    with torch.autocast("cpu", torch.bfloat16):
        memory, state = built.encode(source)
        _, following, _ = built.decode_step(inputs.ids[:, 0], memory, state, source)
        loss = built.loss(source, inputs, gold).total
    exact = built.loss(source, inputs, gold).total
    assert {leaf.dtype for leaf in leaves(state)} == {torch.float32}
    assert {leaf.dtype for leaf in leaves(following)} == {torch.float32}
    torch.testing.assert_close(loss, exact, rtol=0.02, atol=0)  # bfloat16 keeps 8 bits


@every_model
def test_training_mode(name: str) -> None:
    """A step down the gradient lowers the loss; every parameter has a gradient."""
    built = MODELS[name]()
    before = built.loss(*batch()).total
    built.train().loss(*batch()).total.backward()
    missing = [key for key, p in learning(built).items() if p.grad is None or not p.grad.any()]
    assert not missing
    torch.optim.SGD(built.parameters(), lr=1e-3).step()
    assert built.eval().loss(*batch()).total < before


def test_shared_and_tied_parameters() -> None:
    built = model(vocabularies=(9, 9), share_embeddings=True, tie_head=True, size=5)
    table = built.source_embedding.weight
    assert built.target_embedding.weight is table and built.head.weight is table
    assert sum(p is table for p in built.parameters()) == 1
    assert model(tie_head=True, size=5).source_embedding.weight.shape == (SOURCE_VOCABULARY, 5)
    apart = model(vocabularies=(9, 9))
    assert apart.source_embedding.weight is not apart.target_embedding.weight
    source, inputs, gold = padded([[4, 5]]), padded([[BOS, 3]]), padded([[3, 4]]).ids
    loss = built.loss(source, inputs, gold).total
    (gradient,) = torch.autograd.grad(loss, [table])
    assert gradient[4].any() and gradient[BOS].any() and gradient[7].any()  # source, inputs, output layer


def test_tied_head_with_another_width() -> None:
    built = model(tie_head=True, size=3)
    assert built.head.weight is built.target_embedding.weight
    log_probs = built.head.log_probs(built(*batch()[:2]), batch()[0])
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 5, dtype=torch.float64))


def test_sharing_needs_one_vocabulary() -> None:
    with pytest.raises(
        ConfigError, match="share_embeddings needs one vocabulary.* 11 .* 9.*share_embeddings: false"
    ):
        model(share_embeddings=True)


def test_tying_needs_a_table() -> None:
    class Tableless(LookupEmbedding):
        def table(self) -> None:
            return None

    torch.manual_seed(0)
    with pytest.raises(
        ConfigError, match="tie_head needs an embedding with a table.* Tableless.*tie_head: false"
    ):
        Seq2Seq(
            9,
            9,
            embedding=partial(Tableless, size=3),
            encoder=partial(RecurrentEncoder, hidden_size=4),
            bridge=LinearBridge,
            decoder=partial(RecurrentDecoder, hidden_size=5),
            head=SoftmaxHead,
            tie_head=True,
        )
