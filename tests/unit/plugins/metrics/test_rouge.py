"""ROUGE against counts made by hand and against rouge-score's own tokenizer."""

import subprocess
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from s2s.errors import ConfigError
from s2s.evaluation.metric import Metric
from s2s.text.sentences import sentences
from s2s_plugins.metrics.rouge import ROUGE, ROUGE1, ROUGE2, ROUGEL, ROUGELsum

LETTERS = st.lists(st.sampled_from("abc"), max_size=7)
ASCII = st.text(st.characters(max_codepoint=127), max_size=40)
VARIANTS = {"rouge1": ROUGE1, "rouge2": ROUGE2, "rougeL": ROUGEL, "rougeLsum": ROUGELsum}


def f_measure(shared: int, said: int, wanted: int) -> float:
    return 200 * shared / (said + wanted) if shared else 0.0


def value(metric: ROUGE, hypothesis: str, *references: str) -> float:
    return metric.score([hypothesis], [[reference] for reference in references]).value


@given(LETTERS, LETTERS)
def test_shared_ngrams(said: list[str], wanted: list[str]) -> None:
    for n, metric in ((1, ROUGE1()), (2, ROUGE2())):
        grams = [Counter(zip(*(text[i:] for i in range(n)), strict=False)) for text in (said, wanted)]
        expected = f_measure((grams[0] & grams[1]).total(), grams[0].total(), grams[1].total())
        assert value(metric, " ".join(said), " ".join(wanted)) == pytest.approx(expected)


@given(LETTERS, LETTERS)
def test_longest_common_subsequence(said: list[str], wanted: list[str]) -> None:
    @lru_cache
    def longest(i: int, j: int) -> int:
        if i == len(said) or j == len(wanted):
            return 0
        both = 1 + longest(i + 1, j + 1) if said[i] == wanted[j] else 0
        return max(both, longest(i + 1, j), longest(i, j + 1))

    expected = f_measure(longest(0, 0), len(said), len(wanted))
    assert value(ROUGEL(), " ".join(said), " ".join(wanted)) == pytest.approx(expected)


def test_sentences_of_a_summary() -> None:
    # Lin 2004, section 3.2: w1 w2 w3 w4 w5 against w1 w3 w8 w9 w5 and w1 w2 w6 w7 w8; their union is w1 w2 w3 w5.
    wanted, said = "a b c d e", "a c h i e\na b f g h"
    assert value(ROUGELsum(), said, wanted) == pytest.approx(f_measure(4, 10, 5))
    assert value(ROUGEL(), said, wanted) == pytest.approx(f_measure(3, 10, 5))
    assert value(ROUGELsum(), "Mine is red. The sea is old.", "The sea is old. Mine is red.") == 100


@given(ASCII, ASCII)
def test_of_ascii_text_it_is_rouge_scores_own(said: str, wanted: str) -> None:
    for stemmer in (False, True):
        for kind, variant in VARIANTS.items():
            texts = (
                (wanted, said)
                if kind != "rougeLsum"
                else ("\n".join(sentences(text)) for text in (wanted, said))
            )
            own = RougeScorer([kind], use_stemmer=stemmer).score(*texts)[kind]
            score = variant(stemmer=stemmer).score([said], [[wanted]])
            found = (score.details["precision"], score.details["recall"], score.value)
            assert found == pytest.approx([100 * part for part in own])


@pytest.mark.parametrize(
    ("said", "wanted", "expected"),
    [
        ("노인은 바다로 간다", "노인은 바다로 내려간다", f_measure(2, 3, 3)),  # words stand between spaces
        ("老人走向海", "老人走向大海。", f_measure(5, 5, 6)),  # each character
        ("ＡＢＣ １２", "abc 12", 100.0),  # wide forms
        ("e\u0301te\u0301", "été", 100.0),  # composed or not
        ("बूढ़ा आदमी", "बूढ़ा घर", 50.0),  # vowel signs do not part a word
        ("СТАРИК идёт", "старик идёт", 100.0),
        ("", "word", 0.0),
        ("", "", 0.0),
        ("…!", "…!", 0.0),  # no word
    ],
)
def test_any_script(said: str, wanted: str, expected: float) -> None:
    assert value(ROUGE1(), said, wanted) == pytest.approx(expected)


def test_one_word_has_no_pair() -> None:
    assert [value(variant(), "word", "word") for variant in VARIANTS.values()] == [100, 0, 100, 100]


def test_stems_are_of_english_words() -> None:
    assert value(ROUGE1(stemmer=True), "she runs", "she running") == 100
    assert value(ROUGE1(), "she runs", "she running") == 50
    assert (
        value(ROUGE1(stemmer=True), "entstehungs", "entstehung") == 100
    )  # it knows no other language, either
    assert value(ROUGE1(stemmer=True), "älters", "älter") == 0


def test_several_references_best_and_mean() -> None:
    hypotheses, first, second = ["a b", "c d"], ["a b", "x y"], ["a x", "c d"]
    best = ROUGE1().score(hypotheses, [first, second])
    mean = ROUGE1(references="mean").score(hypotheses, [first, second])
    assert (best.value, mean.value) == (100, pytest.approx((75 + 50) / 2))
    assert "|nrefs:2|refs:best|" in best.signature and "|nrefs:2|refs:mean|" in mean.signature
    with pytest.raises(ConfigError, match="references is 'worst'; choose best or mean"):
        ROUGE1(references="worst")  # type: ignore[arg-type]


def test_the_fast_way_of_comparing_is_the_slow_one() -> None:
    systems = [["a b", "c", "d e f"] * 4, ["a b", "x", "d f"] * 4]
    references = [["a b", "c d", "d e f"] * 4]
    for variant in VARIANTS.values():
        fast = variant().compare(systems, references, resamples=30)
        slow = Metric.compare(variant(), systems, references, resamples=30)
        for one, other in zip(fast, slow, strict=True):
            assert (one.value, one.confidence) == pytest.approx((other.value, other.confidence))
            assert (one.p_value, one.signature) == (other.p_value, other.signature)
        sampled = variant(resamples=30).score(systems[0], references)
        assert sampled.confidence == pytest.approx(fast[0].confidence) and sampled.confidence > 0
        assert sampled.signature == fast[0].signature


def test_signature() -> None:
    signature = ROUGEL(stemmer=True, resamples=10).score(["a"], [["a"]]).signature
    start = "ROUGE-L|nrefs:1|refs:best|case:lc|tok:unicode-1|stem:porter|version:rouge-score-"
    assert signature.startswith(start) and signature.endswith("|bs:10|seed:12345")


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """nltk has data that it would download; none of it is needed."""
    code = (
        "import socket\n"
        "def refuse(*_, **__): raise AssertionError('it asks the net')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from s2s_plugins.metrics.rouge import ROUGELsum\n"
        "assert ROUGELsum(stemmer=True).score(['He runs. She ran.'], [['He runs.']]).value > 0\n"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "NLTK_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
