"""A model that copies, from text to text: words that its vocabulary lacks, whatever searches, scores or aligns."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from s2s.errors import ConfigError
from s2s.inference.alignment import align, attention_of_search
from s2s.inference.bundle import Bundle, load_bundle
from s2s.inference.line import Line
from s2s.inference.scoring import score
from s2s.inference.translator import Translator
from s2s.nn import Shortlisted
from s2s.text.tokenizer import EOS, UNK
from tests.references.tiny import tiny_bundle

LINES = ["Größe7 ab", "abc def", "Ж", "x☃y☃z☄", "ЖЖ a Ж", "hello 12 and 21"]
KNOWN = set("abcdefghijklmnopqrstuvwxyz .,äßé")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copying")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    """It copies often, looks where it pleases, and goes on until the limit."""
    bundle = load_bundle(tiny_bundle(folder / "pointer", head="PointerGenerator", attention="Bahdanau"))
    with torch.no_grad():
        bundle.model.head.context_gate.bias.fill_(-3.0)
        bundle.model.head.softmax.bias[EOS] = -5.0
    return bundle


SEARCHES = {
    "greedy": {"beam": 1},
    "beam": {"beam": 4, "n_best": 3},
    "sampling": {"search": "Sampling", "seed": 3},
    "diverse": {"search": "DiverseBeam", "beam": 4, "groups": 2},
    "phrases": {"phrases": ["ab"], "beam": 4},
    "prefix": {"prefix": "ab", "beam": 2},
    "trigrams": {"no_repeat_ngram": 3, "beam": 4},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_says_words_of_the_source_alone(bundle: Bundle, name: str) -> None:
    """And a sentence's output does not depend on its batch: own words are numbered within their sentence."""
    exact = Translator(dataclasses.replace(bundle, model=bundle.model.double()))
    options = {**SEARCHES[name], "minimum_ratio": 1.0, "results": True}
    together = exact.translate(LINES, batch_tokens=10**6, **options)
    copied = set()
    for line, one in zip(LINES, together, strict=True):
        alone = exact.translate(line, **options)
        assert alone.text == one.text and alone.log_probs == pytest.approx(one.log_probs, abs=1e-9)
        own = set(one.text) - KNOWN - {"\u2047"}
        assert own <= set(line)
        copied |= own
    assert copied, "this model copies nothing: the test shows nothing"
    bundle.model.float()


def test_what_was_found_is_scored_the_same(bundle: Bundle) -> None:
    found = Translator(bundle).translate(LINES, beam=3, minimum_ratio=1.0, results=True)
    whole = [one for one in zip(LINES, found, strict=True) if "<unk>" not in one[1].tokens]
    assert any(set(one.text) - KNOWN for _, one in whole)
    scored = score(bundle, [line for line, _ in whole], [one.text for _, one in whole])
    for (_, one), other in zip(whole, scored, strict=True):
        assert other.tokens[:-1] == one.tokens
        assert other.log_probs[: len(one.log_probs)] == pytest.approx(one.log_probs, abs=1e-4)


def test_alignment_shows_the_words(bundle: Bundle) -> None:
    (given,) = align(bundle, ["x☃ y"], ["☃ x"])
    assert given.target_words == ["☃", "x"] and given.weights.sum(1).tolist() == pytest.approx([1.0, 1.0])
    searched = attention_of_search(bundle, "Ж")
    assert searched.source_words == ["Ж"] and any("Ж" in word for word in searched.target_words)


def test_a_banned_word_is_not_copied_either(bundle: Bundle) -> None:
    translator = Translator(bundle)
    assert "☃" in translator.translate("☃☃☃", min_tokens=3)
    banned = translator.translate(["☃☃☃", "Ж☃", "abc"], min_tokens=3, banned=["☃", "b"])
    assert not set("".join(banned)) & set("☃b") and "Ж" in banned[1]


def test_a_prefix_and_phrases_of_words_that_the_vocabulary_lacks(bundle: Bundle) -> None:
    """They are said where the source has them; elsewhere they are what the output lacks."""
    translator = Translator(bundle)
    lines = ["Ж☃ab", "ab", "☄☃", "☃", "a☃☄"]
    for found in (
        translator.translate(lines, prefix="☃a", beam=3, results=True),
        translator.translate([Line(line, prefix="☃a") for line in lines], beam=1, results=True),
    ):
        assert [one.text.startswith("☃a") for one in found] == [True, False, True, True, True]
        assert [one.unmet for one in found] == [[], ["☃a"], [], [], []]
        assert found[0].tokens[:2] == ["☃", "a"]
    # "c" is in the vocabulary, "☄" is behind the cut of the last line.
    options = {"phrases": ["c☃", "☄"], "beam": 6, "limit_extra": 20, "max_source_tokens": 2, "results": True}
    found = translator.translate(lines, **options)
    wanted = [["c☃"], [], ["c☃", "☄"], ["c☃"], ["c☃"]]
    for one, held in zip(found, wanted, strict=True):
        assert all(phrase in one.text for phrase in held)
        assert one.unmet == [phrase for phrase in ("c☃", "☄") if phrase not in held]
        assert one.finished or not held  # by itself this model goes on until the limit
    with pytest.warns(UserWarning, match="1 of 2 outputs lack a requested phrase or prefix"):
        translator.translate(["☃", "a"], prefix="☃")


def test_ensembles_of_models_that_copy_and_that_do_not(bundle: Bundle, folder: Path) -> None:
    softmax = load_bundle(tiny_bundle(folder / "softmax", seed=1))
    lines = ["Ж☃", "ab ЖcЖ"]
    twins = Translator(bundle, models=[bundle]).translate(lines, beam=3, min_tokens=3, results=True)
    alone = Translator(bundle).translate(lines, beam=3, min_tokens=3, results=True)
    assert [one.text for one in twins] == [one.text for one in alone]
    for models in ([bundle, softmax], [softmax, bundle]):
        mixed = Translator(models[0], models=models[1:]).translate(lines, beam=1, min_tokens=3, results=True)
        assert set("".join(one.text for one in mixed)) & set("Ж☃")
        # Step by step: the mean of what both give, one of which can say no own word.
        for line, one in zip(lines, mixed, strict=True):
            (first,) = score(models[0], [line], [one.text])
            (second,) = score(models[1], [line], [one.text])
            pointer, plain = (first, second) if models[0] is bundle else (second, first)
            if "<unk>" not in one.tokens:
                said = [
                    math.log((math.exp(a) + (math.exp(b) if token in KNOWN or token == "</s>" else 0.0)) / 2)
                    for token, a, b in zip(pointer.tokens, pointer.log_probs, plain.log_probs, strict=True)
                ]
                assert one.log_probs == pytest.approx(said[: len(one.log_probs)], abs=1e-4)


def test_a_shortlist_is_refused(bundle: Bundle) -> None:
    with pytest.raises(
        ConfigError, match="PointerGenerator cannot use a shortlist; translate without --shortlist"
    ):
        Shortlisted(bundle.model.head, torch.tensor([[4]]), torch.tensor([UNK]))


def test_bfloat16_says_much_the_same(bundle: Bundle) -> None:
    exact, narrow = (
        Translator(bundle, precision=p).translate(LINES, beam=1, results=True)
        for p in ("float32", "bfloat16")
    )
    for one, other in zip(exact, narrow, strict=True):
        assert one.log_probs[0] == pytest.approx(other.log_probs[0], abs=0.2)
