"""Every encoder learns to copy, in 150 steps, under the recurrent decoder.

What is copied is drawn anew for each step, so that nothing can be learnt by heart. Two that must fail show what the
bound is worth: a source that is not the one to be copied, and an encoder that cannot see the order of the source.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from s2s.nn import Seq2Seq, SequenceEncoder, length_mask
from s2s.padded import Padded
from s2s_plugins.attention.scaled_dot import ScaledDot
from s2s_plugins.bridges.linear import LinearBridge
from s2s_plugins.cells.gru import GRU
from s2s_plugins.decoders.recurrent import RecurrentDecoder
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders import transformer
from s2s_plugins.encoders.convolutional import ConvolutionalEncoder
from s2s_plugins.encoders.gnmt import GNMTEncoder
from s2s_plugins.encoders.transformer import TransformerEncoder
from s2s_plugins.heads.softmax import SoftmaxHead

BOS, FIRST, SYMBOLS = 2, 4, 6
STEPS, SENTENCES, SIZE = 150, 48, 32

COPIES = 0.8
"""Share of symbols that whoever copies gets right; who knows the symbols, but not their order, comes to 0.6."""

ENCODERS: dict[str, Callable[[int], SequenceEncoder]] = {
    "Transformer": partial(TransformerEncoder, layers=1, heads=4),
    "Transformer-rotary": partial(TransformerEncoder, layers=1, heads=4, positions="rotary"),
    "Convolutional": partial(ConvolutionalEncoder, layers=2),
    "Convolutional-learned": partial(ConvolutionalEncoder, layers=2, positions="learned"),
    "GNMT": partial(GNMTEncoder, layers=3, cell=GRU),
}


def draw() -> Padded:
    """Sentences of 3 to 5 symbols."""
    lengths = torch.randint(3, 6, (SENTENCES,))
    ids = torch.randint(FIRST, FIRST + SYMBOLS, (SENTENCES, 5))
    return Padded(ids.masked_fill(~length_mask(lengths, 5), 0), lengths)


def inputs_of(source: Padded) -> Padded:
    begin = torch.full((SENTENCES, 1), BOS)
    return Padded(torch.cat([begin, source.ids[:, :-1]], dim=1), source.lengths)


def train(encoder: Callable[[int], SequenceEncoder]) -> Seq2Seq:
    torch.manual_seed(0)
    model = Seq2Seq(
        FIRST + SYMBOLS,
        FIRST + SYMBOLS,
        embedding=partial(LookupEmbedding, size=SIZE),
        encoder=partial(encoder, hidden_size=SIZE),
        bridge=LinearBridge,
        decoder=partial(RecurrentDecoder, cell=GRU, attention=ScaledDot, hidden_size=SIZE),
        head=SoftmaxHead,
    )
    learner = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(STEPS):
        source = draw()
        loss = model.loss(source, inputs_of(source), source.ids)
        learner.zero_grad()
        (loss.total / loss.tokens).backward()
        learner.step()
    return model.eval()


def right(model: Seq2Seq, source: Padded, gold: Tensor) -> float:
    """Share of the symbols of `gold` that are foretold, those before them given."""
    inputs = inputs_of(Padded(gold, source.lengths))
    with torch.no_grad():
        foretold = model.head.log_probs(model(source, inputs), source).argmax(-1)
    return float((foretold == gold)[source.mask].float().mean())


@pytest.mark.parametrize("name", ENCODERS)
def test_copies(name: str) -> None:
    model = train(ENCODERS[name])
    source = draw()
    strange = torch.randint(FIRST, FIRST + SYMBOLS, source.ids.shape)
    own, others = right(model, source, source.ids), right(model, source, strange)
    print(f"{name}: {own:.3f} right of its own, {others:.3f} of others")
    assert own > COPIES
    assert others < 0.4  # one in six by guessing


def test_not_without_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformer, "sinusoids", lambda length, size, like: like.new_zeros(length, size))
    model = train(ENCODERS["Transformer"])
    source = draw()
    found = right(model, source, source.ids)
    print(f"without positions: {found:.3f} right")
    assert found < COPIES
