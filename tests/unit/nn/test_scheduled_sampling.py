"""Scheduled sampling: which tokens are read, where they come from, and that training goes on as with gold ones."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from s2s.nn import Seq2Seq, with_own_tokens
from s2s.padded import Padded
from s2s.registry import catalogue
from s2s.testing.odd_attention import Coverage
from s2s_plugins.bridges.linear import LinearBridge
from s2s_plugins.cells.gru import GRU
from s2s_plugins.embeddings.lookup import LookupEmbedding
from s2s_plugins.encoders.recurrent import RecurrentEncoder
from s2s_plugins.heads.pointer_generator import PointerGenerator
from tests.unit.nn.test_seq2seq import BOS, TARGETS, batch, model, padded

DECODERS = {e.name: catalogue().load("decoder", e.name) for e in catalogue().entries("decoder")}
every_decoder = pytest.mark.parametrize("decoder", DECODERS)


def read_by(built: Seq2Seq, source: Padded, inputs: Padded, gold_share: float) -> Tensor:
    """The tokens that the decoder reads, [batch, target]."""
    memory, state = built.encode(source)
    vectors = built.read(inputs.ids)
    return with_own_tokens(
        inputs,
        gold_share,
        decode=lambda own: built.decoder(vectors, inputs.lengths, memory, state, next_input=own),
        read=built.read,
        head=built.head,
        source=source,
    ).ids


def sure_of_itself(built: Seq2Seq) -> Seq2Seq:
    """A model whose probabilities are all but one and zero, so that what it draws is known beforehand."""
    with torch.no_grad():
        built.head.weight.mul_(1e6)
    return built


@every_decoder
@pytest.mark.parametrize("attention", [None, Coverage])
def test_the_model_reads_its_own_tokens(decoder: str, attention: Any) -> None:
    """Without gold tokens it writes what stepping on with the best token gives."""
    built = sure_of_itself(model(decoder=DECODERS[decoder], attention=attention, decoder_cell=GRU))
    source, inputs, _ = batch()
    found = read_by(built, source, inputs, 0.0)
    memory, state = built.encode(source)
    token = inputs.ids[:, 0]
    for time in range(inputs.ids.size(1)):
        for row, target in enumerate(TARGETS):
            if time < len(target):
                assert found[row, time] == token[row]
        with torch.no_grad():
            log_probs, state, _ = built.decode_step(token, memory, state, source)
        assert log_probs.max() > -1e-3
        token = log_probs.argmax(-1)


@every_decoder
def test_gold_tokens_alone_are_teacher_forcing(decoder: str) -> None:
    """Bit for bit, and nothing is drawn: what is off costs nothing."""
    built = model(decoder=DECODERS[decoder]).train()
    before = torch.get_rng_state()
    found = built.loss(*batch(), gold_share=1.0).total
    assert torch.equal(found, built.loss(*batch()).total)
    assert torch.equal(before, torch.get_rng_state())


@every_decoder
@pytest.mark.parametrize("gold_share", [0.0, 0.5])
def test_loss_and_gradients_are_those_of_reading_these_tokens(decoder: str, gold_share: float) -> None:
    """So no gradient goes through the choice."""
    built = model(decoder=DECODERS[decoder])
    parameters = list(built.parameters())
    source, inputs, gold = batch()
    torch.manual_seed(7)
    mixed = inputs._replace(ids=read_by(built, source, inputs, gold_share))
    assert not torch.equal(mixed.ids, inputs.ids)
    assert torch.equal(mixed.ids[:, 0], inputs.ids[:, 0])
    torch.manual_seed(7)
    found = built.loss(source, inputs, gold, gold_share=gold_share).total
    expected = built.loss(source, mixed, gold).total
    assert torch.equal(found, expected)
    for one, other in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_tokens_are_drawn_one_by_one_and_from_the_distribution() -> None:
    """Coins and tokens of 4,000 sentences of one source: shares within four standard deviations."""
    built = model()
    sentences, share = 4000, 0.7
    source, inputs = padded([[4, 5, 6]] * sentences), padded([[BOS, 5, 5]] * sentences)
    torch.manual_seed(0)
    drawn = read_by(built, source, inputs, 0.0)
    probabilities = built.head.log_probs(built(source, inputs), source)[0, 0].exp()
    counts = torch.bincount(drawn[:, 1], minlength=len(probabilities)) / sentences
    assert ((counts - probabilities).abs() < 4 * (probabilities / sentences).sqrt()).all()

    never = torch.full_like(built.head.bias, -1e6).index_fill(0, torch.tensor(7), 0.0)
    with torch.no_grad():
        built.head.weight.zero_()
        built.head.bias.copy_(never)  # the model says 7, gold is 5
    mixed = read_by(built, source, inputs, share)[:, 1:]
    assert set(mixed.flatten().tolist()) == {5, 7}
    kept = mixed == 5
    deviation = (share * (1 - share) / sentences) ** 0.5
    assert ((kept.double().mean(0) - share).abs() < 4 * deviation).all()
    both = (kept[:, 0] & kept[:, 1]).double().mean()  # a token's coin says nothing of the next one's
    assert (both - share**2).abs() < 4 * deviation


def test_padding_stays_and_draws_nothing() -> None:
    built = model()
    source, inputs, _ = batch()
    for _ in range(20):
        mixed = read_by(built, source, inputs, 0.0)
        assert torch.equal(mixed[~inputs.mask], inputs.ids[~inputs.mask])


def test_gradients_reach_every_weight_under_autocast() -> None:
    """Weights that were cast while nothing was recorded are not used again where gradients are taken."""
    built = model(
        decoder_cell=GRU, size=5, vocabularies=(11, 11), share_embeddings=True, tie_head=True
    ).float()
    gradients = {}
    for gold_share in (1.0, 0.0):
        built.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = built.loss(*batch(), gold_share=gold_share).total
        loss.backward()
        gradients[gold_share] = {
            name for name, p in built.named_parameters() if p.grad is not None and p.grad.any()
        }
    assert gradients[0.0] == gradients[1.0] == dict(built.named_parameters()).keys()


def test_words_of_a_sentence_s_own_are_drawn_and_read_as_unknown() -> None:
    """What a copying head takes from the source may have no vector."""
    size, own = 11, 11
    built = Seq2Seq(
        size,
        size,
        embedding=partial(LookupEmbedding, size=3),
        encoder=partial(RecurrentEncoder, hidden_size=4),
        bridge=LinearBridge,
        decoder=partial(DECODERS["Recurrent"], hidden_size=5),
        head=PointerGenerator,
    ).eval()
    with torch.no_grad():
        built.head.context_gate.bias.fill_(-100.0)  # it does nothing but copy
    source, inputs, _ = batch()
    source = source._replace(ids=source.ids.masked_fill(source.mask, own))
    mixed = read_by(built, source, inputs, 0.0)
    drawn = inputs.mask.clone()
    drawn[:, 0] = False
    assert (mixed[drawn] == own).all()
    assert torch.equal(built.read(mixed[drawn]), built.target_embedding(torch.ones_like(mixed[drawn])))


def test_what_is_not_finite_is_left_to_the_training_step() -> None:
    built = model(decoder=partial(DECODERS["Recurrent"]))
    with torch.no_grad():
        built.head.bias.fill_(float("nan"))
    assert built.loss(*batch(), gold_share=0.0).total.isnan()
