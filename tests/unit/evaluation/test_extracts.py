"""Extracts and what is counted of summaries, against counts made by hand or by another way."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2s.evaluation.abstraction import abstraction, copied_runs
from s2s.evaluation.extracts import lead, oracle
from s2s_plugins.metrics.rouge import ROUGE1, ROUGE2

DOCUMENT = "The sea is calm today. A boat came back late. Nobody was in the boat. It was found."


def test_lead() -> None:
    assert lead(DOCUMENT, 1) == "The sea is calm today."
    assert lead(DOCUMENT, 2) == "The sea is calm today.\nA boat came back late."
    assert lead("", 2) == "" and lead("one", 3) == "one"


def likeness(extract: str, references: list[str]) -> float:
    wanted = [[one] for one in references]
    return max(sum(variant().score([extract], [one]).value for variant in (ROUGE1, ROUGE2)) for one in wanted)


@pytest.mark.parametrize("references", [["boat came back, nobody in the boat"], ["it was late", "calm sea"]])
def test_the_oracle_takes_what_scores_most(references: list[str]) -> None:
    split = [f"{sentence.rstrip('.')}." for sentence in DOCUMENT.split(". ")]
    best = max(split, key=lambda sentence: likeness(sentence, references))
    assert oracle(DOCUMENT, references, 1) == best
    two = oracle(DOCUMENT, references, 2)
    pairs = ["\n".join(pair) for pair in combinations(split, 2) if best in pair]
    assert likeness(two, references) == max(likeness(one, references) for one in [best, *pairs])


def test_an_oracle_without_anything_to_find() -> None:
    assert oracle(DOCUMENT, ["xyz"], 3) == ""
    assert oracle("", ["boat"], 3) == ""


def test_counts_by_hand() -> None:
    outputs, sources = ["a b c a b", "x"], ["a b d c a", "y z"]
    found = abstraction(outputs, sources)
    assert found.novelty[1] == pytest.approx(1 / 6)
    assert found.novelty[2] == pytest.approx(1 / 4)  # ab, bc, ca, ab: bc is new
    assert found.repetition[1] == pytest.approx(2 / 6)
    assert found.repetition[2] == pytest.approx(1 / 4)
    assert found.repetition[4] == 0
    # Runs: a b, c a, b.
    assert (found.copied, found.run) == (pytest.approx(5 / 6), pytest.approx((4 + 4 + 1) / 6))
    assert (found.lengths, found.length) == ([5, 1], 3)


def test_nothing_at_all() -> None:
    found = abstraction(["", ""], ["a", ""])
    assert (found.novelty[1], found.repetition[1], found.copied, found.run, found.length) == (0, 0, 0, 0, 0)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_runs_are_what_the_source_holds(said: list[str], read: list[str]) -> None:
    """Each run is in the source, and one word more of the output is not: found by looking at text."""
    text, place, runs = " ".join(read), 0, []
    while place < len(said):
        fits = [n for n in range(len(said) - place, 0, -1) if " ".join(said[place : place + n]) in text]
        if fits:
            runs.append(fits[0])
        place += fits[0] if fits else 1
    assert copied_runs(said, read) == runs
