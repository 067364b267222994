"""Metrics against scores worked out by hand."""

import gc
import math
from collections import Counter

import pytest

from s2s.errors import ConfigError, DataError
from s2s_plugins.metrics.bleu import BLEU
from s2s_plugins.metrics.chrf import ChrF
from s2s_plugins.metrics.rouge import ROUGE2, ROUGELsum
from s2s_plugins.metrics.ter import TER

HYPOTHESES = ["the cat sat on the mat", "a dog barks at the moon"]
REFERENCES = ["the cat sat on a mat", "a dog barks at the moon"]


def test_bleu_by_hand():
    # First sentence, matches of 1- to 4-grams: 5 of 6, 3 of 5, 2 of 4, 1 of 3; the second matches all. Equal
    # lengths: no penalty.
    precisions = [11 / 12, 8 / 10, 6 / 8, 4 / 6]
    expected = 100 * math.exp(sum(map(math.log, precisions)) / 4)
    score = BLEU().score(HYPOTHESES, [REFERENCES])
    assert score.value == pytest.approx(expected)
    assert score.details["precisions"] == pytest.approx([100 * p for p in precisions])
    assert (score.name, score.sentences, score.confidence) == ("BLEU", 2, None)


def test_brevity_penalty_by_hand():
    score = BLEU().score(["a b c d e"], [["a b c d e f g"]])
    assert score.value == pytest.approx(100 * math.exp(1 - 7 / 5))


def test_ter_by_hand():
    # One substitution in 12 words of reference.
    assert TER().score(HYPOTHESES, [REFERENCES]).value == pytest.approx(100 / 12)
    assert not TER.higher_is_better
    assert BLEU.higher_is_better and ChrF.higher_is_better


def test_chrf_by_hand():
    def grams(text, n):
        text = text.replace(" ", "")
        return Counter(text[i : i + n] for i in range(len(text) - n + 1))

    hypothesis, reference = "the cat sat", "the cats sit"
    precision, recall = [], []
    for n in range(1, 7):
        h, r = grams(hypothesis, n), grams(reference, n)
        matches = sum((h & r).values())
        precision.append(matches / sum(h.values()))
        recall.append(matches / sum(r.values()))
    p, r = sum(precision) / 6, sum(recall) / 6
    expected = 100 * 5 * p * r / (4 * p + r)
    assert ChrF().score([hypothesis], [[reference]]).value == pytest.approx(expected)


@pytest.mark.parametrize(("metric", "best"), [(BLEU, 100.0), (ChrF, 100.0), (TER, 0.0)])
def test_case_counts_only_if_asked(metric, best):
    lower, upper = ["the cat sat on the mat"], ["The Cat Sat On The Mat"]
    assert metric(lowercase=True).score(lower, [upper]).value == pytest.approx(best)
    cased = metric().score(lower, [upper])
    assert abs(cased.value - best) > 10
    assert "|case:mixed|" in cased.signature
    assert "|case:lc|" in metric(lowercase=True).score(lower, [upper]).signature


def test_several_references():
    other = ["the cat sat on the mat", "nothing of the kind"]
    score = BLEU().score(HYPOTHESES, [REFERENCES, other])
    assert score.value == pytest.approx(100)
    assert "nrefs:2" in score.signature


def test_signatures_name_metric_and_version():
    import sacrebleu

    for metric, start in (
        (BLEU(), "BLEU|"),
        (ChrF(), "chrF2|"),
        (TER(), "TER|"),
        (ChrF(word_order=2), "chrF2++|"),
    ):
        signature = metric.score(HYPOTHESES, [REFERENCES]).signature
        assert signature.startswith(start)
        assert signature.endswith(f"|version:{sacrebleu.__version__}")
    assert "|tok:char|" in BLEU(tokenize="char").score(HYPOTHESES, [REFERENCES]).signature


def test_bootstrap_gives_an_interval_and_is_signed():
    hypotheses, references = HYPOTHESES * 20, REFERENCES * 20
    score = BLEU(resamples=200).score(hypotheses, [references])
    # Half of the sentences are perfect: resampling 40 of them moves the score by a few points, not by none or
    # tens.
    assert 0.5 < score.confidence < 15
    assert score.value == pytest.approx(BLEU().score(hypotheses, [references]).value)
    assert "|bs:200|seed:" in score.signature
    assert f"± {score.confidence:.2f}" in str(score)


@pytest.mark.parametrize("metric", [BLEU(), ChrF(), TER()])
def test_what_cannot_be_scored(metric):
    with pytest.raises(DataError, match="2 hypotheses, but 1 references in set 2"):
        metric.score(HYPOTHESES, [REFERENCES, ["one"]])
    with pytest.raises(DataError, match="no hypotheses"):
        metric.score([], [[]])
    with pytest.raises(DataError, match="no references"):
        metric.score(HYPOTHESES, [])
    with pytest.raises(DataError, match="wrap a single set"):
        metric.score(HYPOTHESES, REFERENCES)


def test_a_tokenization_that_cannot_be_had(monkeypatch):
    def offline(*_):
        raise OSError("no network")

    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_spm.TokenizerSPM.__init__", offline)
    with pytest.raises(
        ConfigError, match="'flores200' of BLEU cannot be had here: no network; there are: 13a, char"
    ):
        BLEU(tokenize="flores200")


def test_impossible_word_orders():
    for order in (-1, 10**23):
        with pytest.raises(
            ConfigError, match=f"word_order of ChrF is {order}; it must be 0 for chrF, 2 for chrF"
        ):
            ChrF(word_order=order)


def test_unknown_tokenization():
    with pytest.raises(ConfigError, match="unknown tokenization '13b' of BLEU; sacreBLEU knows: .*13a"):
        BLEU(tokenize="13b")


@pytest.mark.parametrize("metric", [BLEU(), BLEU(tokenize="char"), TER(), ChrF()])
def test_lines_that_were_scored_are_forgotten(metric):
    def held_after(number):
        outputs = [f"{text} {number}" for text in HYPOTHESES]
        metric.score(outputs, [REFERENCES])
        metric.compare([outputs, HYPOTHESES], [REFERENCES], resamples=2)
        gc.collect()
        return len(gc.get_objects())

    held_after(0)
    held = [held_after(number) for number in range(1, 21)]
    assert held[-1] - held[0] < 20


def test_gain_is_the_score_of_a_sentence_and_higher_is_better():
    output, reference = HYPOTHESES[0], REFERENCES[0]
    assert ChrF(word_order=2).gain(output, reference) == pytest.approx(
        ChrF(word_order=2).score([output], [[reference]]).value
    )
    assert TER().gain(output, reference) == pytest.approx(-100 / 6)  # one substitution in six words
    for metric in (ROUGE2(), ROUGE2(stemmer=True), ROUGELsum()):
        assert metric.gain("A cat. It sits.", "It sat. A cat.") == pytest.approx(
            metric.score(["A cat. It sits."], [["It sat. A cat."]]).value
        )


def test_gain_of_bleu_counts_no_longer_ngrams_than_there_are():
    # Of two words both are right, and so is the only pair.
    assert BLEU().gain("the cat", "the cat") == pytest.approx(100)
    assert BLEU().score(["the cat"], [["the cat"]]).value == 0
    assert BLEU(lowercase=True).gain("The cat", "the cat") == pytest.approx(100)
    assert BLEU().gain("The cat", "the cat") < 100
