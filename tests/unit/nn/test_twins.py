"""A subclass that changes a slow way must not be answered by the fast way of its base."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn import (
    Attention,
    Decoded,
    Decoder,
    Embedding,
    Encoded,
    Head,
    Prepared,
    RecurrentCell,
    Seq2Seq,
    SequenceEncoder,
    Shortlisted,
    leaves,
    map_state,
    run_steps,
    top,
    unroll,
)
from s2s.nn.twins import holds
from s2s.registry import catalogue
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.decoders.input_feeding import InputFeedingDecoder
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.heads.softmax import SoftmaxHead
from tests.unit.nn.test_prepared import NEVER, steps
from tests.unit.nn.test_seq2seq import batch, model

TWINS: dict[str, tuple[type, dict[str, list[str]]]] = {
    "embedding": (Embedding, {"several": ["forward"]}),
    "cell": (RecurrentCell, {"fused": ["step", "project"]}),
    "attention": (
        Attention,
        {"map_values": ["memorize", "attend"], "attend_beams": ["attend"]},
    ),
    "encoder": (SequenceEncoder, {"forward_folded": ["forward"], "fold_tokens": ["forward"]}),
    "decoder": (
        Decoder,
        {
            "forward": ["step", "step_folded", "fold_tokens"],
            "step_folded": ["step"],
            "fold_tokens": ["step"],
        },
    ),
    "head": (Head, {name: ["log_probs"] for name in ("best", "loss", "among", "reads_context")}),
}


@pytest.mark.parametrize("kind", TWINS)
def test_our_own_fast_ways_are_taken(kind: str) -> None:
    base, twins = TWINS[kind]
    checked = 0
    for entry in catalogue().entries(kind):
        own: Any = catalogue().load(kind, entry.name)
        for fast, slow in twins.items():
            if getattr(own, fast) is not getattr(base, fast):
                assert holds(own.__new__(own), fast, *slow), f"{entry.name}.{fast}"
                checked += 1
    assert checked


class Slower(LSTM):
    """An LSTM that lets its gates see half of its input."""

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        return super().step(x / 2, state, noise)


class Projecting(GRU):
    def project(self, x: Tensor) -> Tensor:
        return super().project(x.square())


@pytest.mark.parametrize("cell", [Slower, Projecting])
def test_a_cell(cell: type[RecurrentCell]) -> None:
    torch.manual_seed(0)
    own = cell(3, 4)
    x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 5])
    outputs, _ = unroll(own, x, lengths)
    mask = torch.ones(2, 5, dtype=torch.bool)
    expected, _ = run_steps(own, x, mask, own.initial_state(2, like=x), None)
    assert torch.equal(outputs, expected)
    base = cell.__mro__[1]
    own.__class__ = base  # the same weights
    assert not torch.allclose(unroll(own, x, lengths)[0], expected)


class Opposite(SoftmaxHead):
    """Reads the context, and says what its base thinks least of."""

    def log_probs(self, decoded: Decoded, source: Any) -> Tensor:
        assert decoded.context is not None
        return (-super().log_probs(decoded, source)).log_softmax(-1)


def with_head(head: type[Head]) -> Seq2Seq:
    built = model()
    own = built.head
    built.head = head(own.hidden_size, own.context_size, own.input_size, own.vocabulary_size).double()
    built.head.load_state_dict(own.state_dict())
    return built


@torch.no_grad()
def test_a_head() -> None:
    built = with_head(Opposite)
    fast = Prepared(built)
    fast.fold()
    expected, _ = steps(built, beams=2, best=None)
    for stepping in (built, fast):
        found, _ = steps(stepping, beams=2, best=3)
        for (values, tokens, _), (log_probs, _) in zip(found, expected, strict=True):
            best, places = top(log_probs.index_fill(1, NEVER, -torch.inf), 3)
            assert torch.equal(tokens, places)
            torch.testing.assert_close(values, best)
    source, inputs, gold = batch()
    log_probs = built.head.log_probs(built(source, inputs), source)
    mask = torch.arange(gold.size(1)) < inputs.lengths.unsqueeze(1)
    nll = -log_probs.gather(-1, gold.unsqueeze(-1)).squeeze(-1)[mask].sum()
    torch.testing.assert_close(built.loss(source, inputs, gold).nll, nll)
    with pytest.raises(ConfigError, match="Opposite cannot use a shortlist"):
        Shortlisted(built.head, torch.tensor([[3, 4]]), torch.tensor([0, 1, 2]))


class Halving(LookupEmbedding):
    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens) / 2


@pytest.mark.parametrize("training", [False, True])
def test_an_embedding_of_both_sides(training: bool) -> None:
    """Looked up once or twice: outputs and gradients are the same, dropout too."""
    source, inputs, gold = batch()

    def run(kind: type[LookupEmbedding], scale: float) -> tuple[Tensor, Tensor]:
        built = model(share_embeddings=True, vocabularies=(11, 11))
        own = kind(11, size=3, dropout=0.5, token_dropout=0.3).double().train(training)
        own.weight.data = scale * torch.arange(33.0).view(11, 3).double().sin()
        built.source_embedding = built.target_embedding = own
        torch.manual_seed(3)
        loss = built.loss(source, inputs, gold).total
        loss.backward()
        assert own.weight.grad is not None
        return loss.detach(), scale * own.weight.grad

    for found, expected in zip(run(LookupEmbedding, 1.0), run(Halving, 2.0), strict=True):
        torch.testing.assert_close(found, expected)


class Doubling(RecurrentDecoder):
    def step(self, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        return super().step(2 * input, memory, state)


class Feeding(InputFeedingDecoder):
    def step(self, input: Tensor, memory: Any, state: Any) -> tuple[Decoded, Any]:
        return super().step(2 * input, memory, state)


@pytest.mark.parametrize("decoder", [Doubling, Feeding])
@torch.no_grad()
def test_a_decoder(decoder: type[Decoder]) -> None:
    built = model(decoder=decoder)
    source, inputs, _ = batch()
    memory, state = built.encode(source)
    vectors = built.target_embedding(inputs.ids)
    expected, _ = built.decoder.forward_stepwise(vectors, inputs.lengths, memory, state)
    assert torch.equal(built(source, inputs).hidden, expected.hidden)
    fast = Prepared(built)
    before, _ = steps(fast, beams=1, best=None)
    fast.fold()
    assert fast.folded is None
    for (found, _), (same, _) in zip(steps(fast, beams=1, best=None)[0], before, strict=True):
        assert torch.equal(found, same)


class HalfReading(RecurrentEncoder):
    def forward(self, x: Tensor, lengths: Tensor) -> Encoded:
        return super().forward(x / 2, lengths)


class OwnEncoding(Seq2Seq):
    def encode(self, source: Any) -> Any:
        memory, state = super().encode(source)
        return memory, map_state(lambda leaf: leaf / 2, state)


@pytest.mark.parametrize("changed", ["encoder", "model"])
@torch.no_grad()
def test_an_encoder(changed: str) -> None:
    built = model().float()
    if changed == "encoder":
        built.encoder.__class__ = HalfReading
    else:
        built.__class__ = OwnEncoding
    fast = Prepared(built)
    before, _ = steps(fast, beams=1, best=None)
    fast.fold()
    assert fast.folded is not None and fast.folded_source is None
    for (found, _), (same, _) in zip(steps(fast, beams=1, best=None)[0], before, strict=True):
        torch.testing.assert_close(found, same, rtol=1e-5, atol=1e-5)


class Answering(RecurrentDecoder):
    def answer(self, output: Tensor, inputs: Tensor, memory: Any, *rest: Any) -> tuple[Decoded, Any]:
        assert hasattr(memory, "values"), "attention's own memory"
        return super().answer(output, inputs, memory, *rest)


@torch.no_grad()
def test_a_decoder_that_asks_attention_in_its_own_way_gets_the_memory_itself() -> None:
    built = model(decoder=Answering)
    source = batch()[0]
    memory, _ = Prepared(built).encode(source)
    assert all(map(torch.equal, leaves(memory), leaves(built.encode(source)[0])))


@torch.no_grad()
def test_where_weights_cannot_be_packed_the_fused_ways_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2s.nn.prepared.gains_by_packing", lambda device, dtype: False)
    calls = []

    class Counting(LSTM):
        def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
            return super().step(x, state, noise)

        def fused(self, *given: Any) -> Any:
            calls.append(1)
            return super().fused(*given)

    built = model(encoder_cell=Counting).float()
    fast = Prepared(built, narrow=True)
    fast.fold()
    found, state = steps(fast, beams=2, best=None)
    assert calls
    expected, _ = steps(built, beams=2, best=None)
    for (log_probs, _), (exact, _) in zip(found, expected, strict=True):
        torch.testing.assert_close(log_probs, exact, rtol=0, atol=0.05)
        assert not torch.equal(log_probs, exact)
    assert all(leaf.dtype == torch.float32 for leaf in leaves(state) if leaf.is_floating_point())


def test_depth_counts_not_who_is_named_first() -> None:
    class Base(nn.Module):
        def slow(self) -> None: ...

        def fast(self) -> None: ...

    class SlowAnew(Base):
        def slow(self) -> None: ...

    class BothAnew(SlowAnew):
        def fast(self) -> None: ...

    assert [holds(kind(), "fast", "slow") for kind in (Base, SlowAnew, BothAnew)] == [True, False, True]
    assert partial(holds, BothAnew())("slow", "fast") is False
