"""Scores of labels, worked out by hand and counted in another way."""

import random

import pytest

from s2s.errors import DataError
from s2s.evaluation.labelling import accuracy, are_bio, macro_f1, most_confused, scores, span_f1, spans


def split(*texts: str) -> list[list[str]]:
    return [text.split() for text in texts]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("O B-X I-X O", [(1, 3, "X")]),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("I-X I-X", [(0, 2, "X")]),  # as in CoNLL-2003, where I begins what stands alone
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("I-X B-X I-X", [(0, 1, "X"), (1, 3, "X")]),
        ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")]),
        ("B-X-Z I-X-Z", [(0, 2, "X-Z")]),
        ("O O", []),
        ("B-X I-X", [(0, 2, "X")]),
    ],
)
def test_spans(labels: str, expected: list[tuple[int, int, str]]) -> None:
    assert spans(split(labels)) == [(0, *span) for span in expected]


def test_a_span_ends_with_its_sentence() -> None:
    assert spans(split("B-X", "I-X")) == [(0, 0, 1, "X"), (1, 0, 1, "X")]


def test_scores_by_hand() -> None:
    references = split("B-X I-X O B-Y", "O O")
    hypotheses = split("B-X I-X B-X B-Y", "B-Y O")
    # spans: right 2 (X 0-2, Y 3), said 4, gold 2: precision 1/2, recall 1, F1 2/3
    assert span_f1(hypotheses, references).value == pytest.approx(200 / 3)
    assert span_f1(hypotheses, references).details == {"spans": 2, "said": 4, "right": 2}
    assert accuracy(hypotheses, references).value == pytest.approx(100 * 4 / 6)
    # B-X: 1 of 2 said, 1 gold: 2/3. I-X: 1. O: 1 said, 3 gold, 1 right: 1/2. B-Y: 2 said, 1 gold, 1 right: 2/3.
    assert macro_f1(hypotheses, references).value == pytest.approx(100 * (2 / 3 + 1 + 1 / 2 + 2 / 3) / 4)
    assert most_confused(hypotheses, references, 1) == [("B-X", "O", 1)]
    found = scores(hypotheses, references)
    assert [score.name for score in found] == ["accuracy", "macro_F1", "span_F1"]
    assert all(score.sentences == 2 and "version:s2s-" in score.signature for score in found)


def test_spans_are_scored_where_labels_are_bio() -> None:
    assert [score.name for score in scores(split("NOUN"), split("VERB"))] == ["accuracy", "macro_F1"]
    assert are_bio(["O", "I-X"])
    assert not are_bio(["O"])
    assert not are_bio(["B-X", "NOUN"])
    assert not are_bio(["B-"])


def test_against_a_count_by_letters() -> None:
    """Each sentence as a text of two letters for each word: a span is what a pattern finds there."""
    import re

    chance = random.Random(1)
    labels = ["O", "B-X", "I-X", "B-Y", "I-Y"]

    def found(sentences: list[list[str]]) -> set[tuple[int, int, int, str]]:
        every = set()
        for number, sentence in enumerate(sentences):
            text = "".join("OO" if label == "O" else label.replace("-", "") for label in sentence)
            for match in re.finditer(r"(?:B(\w)|I(\w))", text):
                kind, place = match[1] or match[2], match.start()
                if place % 2:
                    continue
                before = text[place - 2 : place] if place else ""
                if match[2] and before[1:] == kind:
                    continue  # it goes on
                end = place + 2
                while text[end : end + 2] == f"I{kind}":
                    end += 2
                every.add((number, place, end, kind))
        return every

    for _ in range(100):
        references = [[chance.choice(labels) for _ in range(chance.randint(1, 7))] for _ in range(3)]
        hypotheses = [
            [label if chance.random() < 0.6 else chance.choice(labels) for label in sentence]
            for sentence in references
        ]
        ours, theirs = found(hypotheses), found(references)
        expected = 200 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 0.0
        assert span_f1(hypotheses, references).value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "there is no label to score"),
        (split("A"), split("A", "B"), "1 sentence labelled, but the reference has 2"),
        (split("A", "B C"), split("A", "B"), "sentence 2 has 2 labels, but 1 in the reference"),
    ],
)
def test_what_cannot_be_scored(
    hypotheses: list[list[str]], references: list[list[str]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        scores(hypotheses, references)
