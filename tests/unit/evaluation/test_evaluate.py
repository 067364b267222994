"""Scores of several systems at once: intervals and p-values held against another way to work them out."""

import itertools
import random

import numpy as np
import pytest
import sacrebleu

from s2s.errors import ConfigError, DataError
from s2s.evaluation.evaluate import evaluate
from s2s.evaluation.metric import Metric, Score
from s2s.evaluation.significance import half_width, paired_bootstrap
from s2s.evaluation.table import bootstrap_note, table
from s2s_plugins.metrics.bleu import BLEU
from s2s_plugins.metrics.chrf import ChrF
from s2s_plugins.metrics.ter import TER

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "moon", "and", "barks"]


def texts(number, seed, damage):
    """References, and outputs with so great a share of the words replaced."""
    draw = random.Random(seed)
    references = [" ".join(draw.choices(WORDS, k=draw.randint(1, 24))) for _ in range(number)]
    outputs = [
        " ".join(draw.choice(WORDS) if draw.random() < damage else word for word in line.split())
        for line in references
    ]
    return references, outputs


@pytest.fixture(scope="module")
def systems():
    references, worse = texts(40, 1, 0.3)
    better = texts(40, 1, 0.1)[1]
    return references, {"worse": worse, "better": better}


@pytest.mark.parametrize("metric", [BLEU(), ChrF(), TER(lowercase=True)], ids=["BLEU", "ChrF", "TER"])
def test_the_slow_way_of_comparing_gives_sacrebleus_figures(systems, metric):
    references, outputs = systems
    fast = metric.compare(list(outputs.values()), [references], resamples=40)
    slow = Metric.compare(metric, list(outputs.values()), [references], resamples=40)
    for one, other in zip(fast, slow, strict=True):
        assert one.value == pytest.approx(other.value)
        assert one.confidence == pytest.approx(other.confidence, rel=1e-4)  # sacreBLEU adds in float32
        assert one.p_value == pytest.approx(other.p_value, abs=1.01 / 41)  # one sample at the edge
        assert "bs:40|seed:12345" in one.signature and "bs:40|seed:12345" in other.signature
    assert fast[0].p_value is None and fast[1].p_value < 0.1


def test_the_p_value_is_that_of_all_possible_samples():
    """Four sentences can be drawn in 256 ways, all as likely."""
    better_by = np.array([1.0, 0.3, -0.45, 0.07])
    every = np.array([better_by[list(drawn)].mean() for drawn in itertools.product(range(4), repeat=4)])
    real = better_by.mean()
    exact = float((abs(every) - abs(every).mean() > abs(real)).mean())
    assert 0.02 < exact < 0.5
    first, second = paired_bootstrap(
        lambda chosen: [0.0, float(better_by[list(chosen)].mean())], 4, "mean", 4000
    )
    assert second.p_value == pytest.approx(exact, abs=0.03)  # four standard deviations of 4000 draws
    assert second.confidence == pytest.approx(half_width(every), abs=0.05)
    assert (first.value, first.confidence, first.p_value) == (0.0, 0.0, None)
    assert second.value == real and second.signature == "mean|bs:4000|seed:12345"


def test_a_system_is_as_good_as_itself(systems):
    references, outputs = systems
    for compare in (BLEU.compare, Metric.compare):
        _, again = compare(BLEU(), [outputs["worse"]] * 2, [references], resamples=30)
        assert again.p_value == 1.0


def test_one_sentence_has_no_interval_and_no_p_value():
    """Whatever is drawn from it is that sentence: the samples do not vary, and none is further from their mean."""
    outputs, reference = {"worse": ["the cat sits"], "better": ["the cat sat"]}, ["the cat sat"]
    for systems in (outputs, {"worse": outputs["worse"]}):
        rows = list(evaluate(systems, [reference], metrics=["BLEU", "ROUGE1"], resamples=20))
        assert {(row.confidence, row.p_value) for row in rows} == {(None, None)}
        assert "bs:20" in rows[0].signature
    double = {name: texts * 2 for name, texts in outputs.items()}
    rows = list(evaluate(double, [reference * 2], metrics=["ROUGE1"], resamples=20))
    assert rows[1].p_value == 1 / 21  # as sacreBLEU has it: none of 20 samples is further


def test_few_sentences_are_told():
    assert bootstrap_note(1, 1000).startswith("1 sentence has no interval and no p-value")
    assert (
        bootstrap_note(19, 2)
        == "intervals and p-values of 19 sentences are not reliable; a bootstrap needs 20 or more"
    )
    assert bootstrap_note(20, 1000) is None
    assert bootstrap_note(19, 0) is None


def test_half_of_the_middle_95_percent():
    assert half_width(np.arange(1000.0)) == pytest.approx((974 - 25) / 2)


def test_rows(systems):
    references, outputs = systems
    rows = list(evaluate(outputs, [references], metrics=["BLEU", "ChrF"], resamples=20))
    assert [(row.system, row.metric, row.case) for row in rows[:3]] == [
        ("worse", "BLEU", "cased"),
        ("better", "BLEU", "cased"),
        ("worse", "BLEU", "lower-cased"),
    ]
    assert len(rows) == 8
    for row in rows[:2]:
        assert row.score == pytest.approx(sacrebleu.corpus_bleu(outputs[row.system], [references]).score)
        assert row.confidence > 0 and row.details["sys_len"] > 0
    assert rows[0].p_value is None and 0 < rows[1].p_value <= 1
    (single, _) = evaluate({"worse": outputs["worse"]}, [references], metrics=["ChrF"], resamples=20)
    assert single.confidence > 0 and single.p_value is None and "bs:20" in single.signature
    assert all(row.confidence is None for row in evaluate(outputs, [references], metrics=["TER"]))


CHINESE = ["猫坐在垫子上。", "我喜欢喝茶和咖啡。"], ["猫坐在了垫子上。", "我喜欢喝咖啡和茶。"]


def test_options_of_a_metric(systems):
    outputs, references = CHINESE
    specs = ["BLEU", {"class_path": "BLEU", "init_args": {"tokenize": "zh"}}]
    rows = list(evaluate({"model": outputs}, [references], metrics=specs))
    assert [(row.metric, row.options, row.case) for row in rows] == [
        ("BLEU", options, case) for options in ({}, {"tokenize": "zh"}) for case in ("cased", "lower-cased")
    ]
    assert rows[0].score == 0.0
    assert rows[2].score == sacrebleu.corpus_bleu(outputs, [references], tokenize="zh").score > 30
    references, outputs = systems
    with_words = {"class_path": "ChrF", "init_args": {"word_order": 2, "lowercase": True}}
    (row,) = evaluate({"worse": outputs["worse"]}, [references], metrics=[with_words])
    own = sacrebleu.corpus_chrf(outputs["worse"], [references], word_order=2)
    assert (row.metric, row.case, row.score) == (
        "chrF2++",
        "lower-cased",
        own.score,
    )  # no letter is a capital


def test_the_table_tells_two_metrics_of_one_kind_apart(systems):
    references, outputs = systems
    specs = ["ROUGE1", {"class_path": "ROUGE1", "init_args": {"stemmer": True}}]
    lines = list(table(evaluate(outputs, [references], metrics=specs)))
    assert [" ".join(line.split()[:2]) for line in lines[::3]] == [
        "ROUGE-1 ROUGE-1|nrefs:1|refs:best|case:lc|tok:unicode-1|stem:no|version:rouge-score-0.1.2",
        "ROUGE-1 stemmer=True",
    ]
    (line,) = table(
        evaluate(
            {"worse": outputs["worse"]},
            [references],
            metrics=[{"class_path": "ChrF", "init_args": {"word_order": 2, "lowercase": False}}],
        )
    )
    assert line.startswith("chrF2++ word_order=2 lowercase=False cased ")


@pytest.mark.parametrize(("unit", "length"), [("words", lambda line: len(line.split())), ("characters", len)])
def test_every_sentence_is_in_one_bucket(systems, unit, length):
    references, outputs = systems
    references, worse = [*references, ""], [*outputs["worse"], "a"]
    rows = list(
        evaluate({"worse": worse}, [references], metrics=["TER"], by_length=unit, buckets=[3, 10, 70])
    )
    cased = [row for row in rows if row.case == "cased" and row.lengths is not None]
    assert sum(row.sentences for row in cased) == 41
    for row in cased:
        least, most = row.lengths
        inside = [i for i, line in enumerate(references) if least <= length(line) <= (most or 10**9)]
        expected = TER().score([worse[i] for i in inside], [[references[i] for i in inside]])
        assert (row.sentences, row.score) == (len(inside), expected.value)
    assert cased[0].lengths == (0, 3) and cased[-1].lengths[0] in (71, 11)


class Odd(Metric):
    """Knows no case and no bootstrap."""

    def score(self, hypotheses, references):
        share = sum(one == other for one, other in zip(hypotheses, references[0], strict=True)) / len(
            hypotheses
        )
        return Score(share, "odd", "Odd", len(hypotheses))


def test_any_metric_can_be_compared():
    first, second = Odd().compare([["a", "b", "c"], ["a", "x", "y"]], [["a", "b", "c"]], resamples=50)
    assert (first.value, second.value) == (
        1.0,
        pytest.approx(1 / 3),
    ) and second.signature == "odd|bs:50|seed:12345"


def test_what_cannot_be(systems):
    references, outputs = systems
    with pytest.raises(ConfigError, match="resamples is 1; it must be 0 for none, or 2 or more"):
        list(evaluate(outputs, [references], resamples=1))
    with pytest.raises(ConfigError, match="unknown unit of length 'pieces'; choose one of words, characters"):
        list(evaluate(outputs, [references], by_length="pieces"))
    with pytest.raises(ConfigError, match=r"buckets are \[5, 3\]; they must be lengths that rise"):
        list(evaluate(outputs, [references], by_length="words", buckets=[5, 3]))
    for metric, message in (
        (
            {"class_path": "BLEU", "init_args": {"tokenise": "zh"}},
            "'tokenise'; did you mean 'tokenize'. Known: ",
        ),
        (
            {"class_path": "BLEU", "init_args": {"tokenize": 13}},
            "option 'tokenize' is 13; it must be of type str",
        ),
        (
            {"class_path": "BLEU", "init_args": {"resamples": 9}},
            "BLEU': resamples is 9, but .* the argument resamples",
        ),
        ("TER", "metric 'TER' is given twice; name it once, or with other options"),
    ):
        with pytest.raises(ConfigError, match=message):
            next(evaluate(outputs, [references], metrics=["TER", metric]))  # before the first score
    with pytest.raises(DataError, match="1 hypotheses, but 40 references"):
        list(evaluate({**outputs, "short": ["a"]}, [references]))
    with pytest.raises(DataError, match="1 hypotheses, but 40 references"):
        BLEU().compare([["a"]], [references])
