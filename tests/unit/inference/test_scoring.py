"""Scores of given translations: the search's own, and those of a step by step reckoning in float64."""

import math

import pytest
import torch

from s2s.errors import ConfigError, DataError
from s2s.inference.bundle import load_bundle
from s2s.inference.scoring import perplexity, score
from s2s.inference.translator import Translator
from s2s.text.batch import pad
from s2s.text.tokenizer import BOS, EOS
from tests.references.tiny import sentences, tiny_bundle

PARTS = [
    ("InputFeeding", "LSTM", "LuongGeneral"),
    ("Recurrent", "GRU", "Bahdanau"),
    ("Recurrent", "SRU", None),
    ("InputFeeding", "GRU", "Coverage"),
]
FLOAT32 = 1e-5  # invariant 2: a token's score in another batch


@pytest.fixture(scope="module", params=PARTS, ids=lambda parts: f"{parts[0]}-{parts[2]}")
def folder(request, tmp_path_factory):
    decoder, cell, attention = request.param
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "b", decoder=decoder, cell=cell, attention=attention)


@torch.no_grad()
def step_by_step(bundle, source, target):
    """Log-probability of each token and of the end, one at a time, in float64."""
    model = bundle.model.double()
    batch = pad([bundle.source_tokenizer.encode(source)])
    memory, state = model.encode(batch)
    found = []
    said = [*bundle.target_tokenizer.encode(target), EOS]
    for before, token in zip([BOS, *said], said, strict=False):
        log_probs, state, _ = model.decode_step(torch.tensor([before]), memory, state, batch)
        found.append(float(log_probs[0, token]))
    return found


def test_the_probability_of_each_token_worked_out_step_by_step(folder):
    sources, targets = sentences(12, seed=1), [*sentences(11, seed=2), ""]
    scored = score(load_bundle(folder), sources, targets)
    exact = load_bundle(folder)
    for source, target, one in zip(sources, targets, scored, strict=True):
        expected = step_by_step(exact, source, target)
        assert one.log_probs == pytest.approx(expected, abs=FLOAT32 * 10)  # float32 against float64
        assert one.log_prob == math.fsum(one.log_probs)
        assert one.tokens == [*target, "</s>"]
        assert one.perplexity == pytest.approx(math.exp(-sum(expected) / len(expected)), rel=1e-4)


def test_what_the_search_says_of_its_own_outputs(folder):
    bundle = load_bundle(folder)
    lines = sentences(40, seed=3)
    found = [
        (line, one)
        for line, best in zip(
            lines, Translator(bundle).translate(lines, results=True, beam=3, n_best=3), strict=True
        )
        for one in [best, *best.alternatives]
        if one.finished
    ]
    assert len(found) > 40
    scored = score(bundle, [line for line, _ in found], [one.text for _, one in found], batch_tokens=100)
    bundle.model.double()
    exact = score(bundle, [line for line, _ in found], [one.text for _, one in found], batch_tokens=100)
    for (line, one), again, precise in zip(found, scored, exact, strict=True):
        # Both against float64: with some processors' kernels either is further from it than two of one kernel apart.
        expected = step_by_step(bundle, line, one.text)
        assert precise.log_probs == pytest.approx(expected, abs=1e-10)
        assert one.log_probs == pytest.approx(expected, abs=FLOAT32 * 10)
        assert again.log_probs == pytest.approx(expected, abs=FLOAT32 * 10)


def test_batches_mates_and_order_change_nothing(folder):
    bundle = load_bundle(folder)
    sources, targets = sentences(30, seed=4), sentences(30, seed=5)
    whole = score(bundle, sources, targets)
    for batch_tokens in (1, 77):
        parts = score(bundle, sources[::-1], targets[::-1], batch_tokens=batch_tokens)[::-1]
        for one, other in zip(whole, parts, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=FLOAT32)
            assert one.tokens == other.tokens


def test_a_large_vocabulary_is_taken_in_pieces(folder, monkeypatch):
    bundle = load_bundle(folder)
    sources, targets = sentences(9, seed=6), sentences(9, seed=7)
    whole = score(bundle, sources, targets)
    monkeypatch.setattr("s2s.inference.scoring.PIECE_ELEMENTS", 700)
    for one, other in zip(whole, score(bundle, sources, targets), strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=FLOAT32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(tiny_bundle(tmp_path_factory.mktemp("tiny") / "b"))


def test_all_next_tokens_together_have_probability_one(bundle):
    signs = "abcdefghijklmnopqrstuvwxyz .,äßé"
    scored = score(bundle, ["abc"] * (len(signs) + 1), ["x", *(f"x{sign}" for sign in signs)])
    after_x = [scored[0].log_probs[1], *(one.log_probs[1] for one in scored[1:])]
    never_said = 3  # <pad>, <unk>, <s> have the rest
    total = sum(map(math.exp, after_x))
    assert 0.5 < total < 1 and len(after_x) == 36 - never_said


def test_empty_lines(bundle):
    nothing, strange, end, surrogate = score(bundle, ["", "", "a", "\ud800"], ["", "a", "", "\udc00"])
    assert (nothing.log_prob, nothing.tokens, nothing.log_probs) == (0.0, [], [])
    assert (strange.log_prob, strange.tokens) == (-math.inf, [])
    assert end.tokens == ["</s>"] and end.log_prob == end.log_probs[0] < 0
    assert math.isnan(nothing.perplexity) and math.isnan(perplexity([]))
    assert perplexity([nothing, strange, end]) == pytest.approx(end.perplexity)
    assert len(surrogate.tokens) == 2 and score(bundle, [], []) == []


def test_what_cannot_be(bundle):
    with pytest.raises(DataError, match="there are 2 sources and 1 targets; each source needs its target"):
        score(bundle, ["a", "b"], ["a"])
    with pytest.raises(DataError, match="the targets are a single str; give a list of texts"):
        score(bundle, ["a"], "abc")
    with pytest.raises(DataError, match="target 1 is a int, not a str: 3"):
        score(bundle, ["a", "b"], ["a", 3])
    with pytest.raises(ConfigError, match="batch_tokens is 0; it must be 1 or more"):
        score(bundle, ["a"], ["a"], batch_tokens=0)
    with pytest.raises(
        DataError, match="a line of 20,000 tokens with a translation of 20,001 is too long .*'aaaa"
    ):
        score(bundle, ["a" * 20_000], ["b" * 20_000])
    for source, target in (("a" * 131_073, "b"), ("a", "b" * 131_072)):
        with pytest.raises(DataError, match=r"131,073 .*is too long to be scored at once; split it"):
            score(bundle, [source], [target])
    with pytest.raises(ConfigError, match="device 'sofa' cannot be used here"):
        score(bundle, ["a"], ["a"], device="sofa")
