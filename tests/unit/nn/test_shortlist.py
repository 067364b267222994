"""A shortlisted head against a full softmax in which all other tokens are barred."""

import pytest
import torch

from s2s.errors import ConfigError
from s2s.nn import Decoded, Head, PackedMatrix, Prepared, Shortlisted, pack_matrices, top
from s2s.nn import shortlist as module
from s2s_plugins.heads.softmax import SoftmaxHead
from tests.unit.nn.test_seq2seq import TARGETS, batch, model

VOCABULARY, HIDDEN, SENTENCES = 300, 6, 11
NEVER = torch.tensor([0, 2])


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(module, "SENTENCES", 4)


def make(dtype=torch.float64, pieces=40):
    torch.manual_seed(0)
    head = SoftmaxHead(HIDDEN, 0, 1, VOCABULARY)
    head.bias.data.normal_()
    always = torch.tensor([0, 1, 2, 3, 250])
    return head.to(dtype), torch.randint(VOCABULARY, (SENTENCES, pieces)), always


def barred(head, decoded, candidates, always, beams):
    """The slow twin: [rows, vocabulary]."""
    own = torch.zeros(len(candidates), VOCABULARY, dtype=torch.bool)
    for row, tokens in enumerate(candidates.tolist()):
        own[row, [*tokens, *always.tolist()]] = True
    logits = decoded.hidden @ head.weight.T + head.bias
    return logits.masked_fill(~own.repeat_interleave(beams, 0), -torch.inf).log_softmax(-1)


def decode(rows, dtype=torch.float64):
    return Decoded(4 * torch.randn(rows, HIDDEN, dtype=dtype), None, None, torch.zeros(rows, 1))


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("k", [1, 6])
@torch.no_grad()
def test_against_a_barred_softmax_while_sentences_leave(beams, k):
    head, candidates, always = make()
    short = Shortlisted(head, candidates, always)
    for kept in ([0, 1, 2, 4, 5, 7, 9, 10], [0, 3, 4, 5, 6, 7], [5, 1], [0]):
        short, candidates = short.keep(torch.tensor(kept)), candidates[kept]
        decoded = decode(beams * len(kept))
        expected = barred(head, decoded, candidates, always, beams)
        torch.testing.assert_close(short.log_probs(decoded, None), expected)
        values, tokens = top(expected.index_fill(1, NEVER, -torch.inf), k)
        found = short.best(decoded, None, k, NEVER)
        torch.testing.assert_close(found[0], values, rtol=0, atol=1e-5)
        assert torch.equal(found[1], tokens)


@torch.no_grad()
def test_a_list_shorter_than_what_is_asked_for():
    head, candidates, always = make(pieces=2)
    values, tokens = Shortlisted(head, candidates, always).best(decode(SENTENCES), None, 20, NEVER)
    assert values.shape == tokens.shape == (SENTENCES, 20)
    allowed = [len({*own, *always.tolist()} - {0, 2}) for own in candidates.tolist()]
    assert (values > -torch.inf).sum(1).tolist() == allowed
    assert Shortlisted(head, candidates, always).best(decode(SENTENCES), None, 999, NEVER)[0].size(1) == 300


@torch.no_grad()
def test_a_list_of_everything_is_the_head_itself():
    head, _, always = make()
    everything = torch.arange(VOCABULARY).expand(SENTENCES, -1)
    decoded = decode(SENTENCES)
    short = Shortlisted(head, everything, always)
    torch.testing.assert_close(short.log_probs(decoded, None), head.log_probs(decoded, None))
    for found, expected in zip(
        short.best(decoded, None, 5, NEVER), head.best(decoded, None, 5, NEVER), strict=True
    ):
        torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_narrow_products_only_round():
    """bfloat16 keeps 8 bits of scores of up to some tens."""
    head, candidates, always = make(torch.float32)
    packed = pack_matrices(head, torch.bfloat16)
    assert isinstance(packed.weight.index_select(0, NEVER), PackedMatrix)
    decoded = decode(SENTENCES, torch.float32)
    exact = Shortlisted(head, candidates, always).log_probs(decoded, None)
    narrow = Shortlisted(packed, candidates, always).log_probs(decoded, None)
    assert torch.equal(narrow > -torch.inf, exact > -torch.inf)
    torch.testing.assert_close(narrow.nan_to_num(), exact.nan_to_num(), rtol=0, atol=0.2)
    assert not torch.equal(narrow, exact)


@torch.no_grad()
def test_models_and_prepared_models_take_it_for_their_head():
    built = model()
    source, inputs, _ = batch()
    everything = torch.arange(built.head.vocabulary_size).expand(len(TARGETS), -1)
    for stepping in (built, Prepared(built)):
        memory, state = stepping.encode(source)
        tokens = inputs.ids[:, 0]
        expected = stepping.decode_step(tokens, memory, state, source)[0]
        short = Shortlisted(built.head, everything, torch.arange(4))
        found = stepping.decode_step(tokens, memory, state, source, short)[0]
        torch.testing.assert_close(found, expected)
        short = Shortlisted(built.head, everything[:, 5:6], torch.arange(4))
        values, _, *_ = stepping.decode_best(tokens, memory, state, source, 9, NEVER, short)
        assert ((values > -torch.inf).sum(1) == 3).all()  # unknown, the end, and the one


def test_a_head_that_cannot_says_so_by_its_name():
    class Copying(SoftmaxHead):
        among = Head.among

    with pytest.raises(ConfigError, match="head Copying cannot use a shortlist; translate without"):
        Shortlisted(Copying(HIDDEN, 0, 1, VOCABULARY), torch.zeros(2, 3).long(), torch.arange(4))
