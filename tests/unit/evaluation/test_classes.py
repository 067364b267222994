"""Accuracy, macro-F1 and the confusion matrix, by hand and by going through all texts for each class."""

import random

import pytest

from s2s.errors import DataError
from s2s.evaluation.classes import NONE, Classes


def test_by_hand() -> None:
    gold = ["a", "a", "a", "a", "b", "b", "c c"]
    given = ["a", "a", "a", "b", "b", "a", "a"]
    found = Classes(gold, given, ["a", "b", "c c", "d"])
    assert found.names == ["a", "b", "c c"]  # nobody has or was given a d
    assert found.counts == [[3, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert found.accuracy == pytest.approx(100 * 4 / 7)
    a, b, c = found.each
    assert (a.precision, a.recall, a.f1) == pytest.approx((60.0, 75.0, 100 * 2 / 3))
    assert (b.precision, b.recall, b.f1) == pytest.approx((50.0, 50.0, 50.0))
    assert (c.precision, c.recall, c.f1, c.texts, c.given) == (0.0, 0.0, 0.0, 1, 0)
    assert found.macro_f1 == pytest.approx((100 * 2 / 3 + 50.0 + 0.0) / 3)
    assert found.unknown == {} and found.note() is None
    assert found.lines() == [
        "accuracy 57.14 (7 texts; accuracy|classes:3|version:s2s-1)",
        "macro-F1 38.89 (7 texts; macro-F1|undefined:0|classes:3|version:s2s-1)",
        "class  precision  recall     F1   texts",
        "a          60.00   75.00  66.67       4",
        "b          50.00   50.00  50.00       2",
        "c c         0.00    0.00   0.00       1",
    ]


def test_against_an_independent_count() -> None:
    chance = random.Random(1)
    names = ["x", "y", "z", "rare"]
    gold = [chance.choice(names[:3] * 9 + names[3:]) for _ in range(400)]
    given = [one if chance.random() < 0.6 else chance.choice(names) for one in gold]
    found = Classes(gold, given, names)
    f1 = []
    for one, figures in zip(names, found.each, strict=True):
        hits = [g == p == one for g, p in zip(gold, given, strict=True)]
        precision = sum(hits) / len([p for p in given if p == one])
        recall = sum(hits) / len([g for g in gold if g == one])
        f1.append(200 / (1 / precision + 1 / recall))  # the harmonic mean
        assert (figures.precision, figures.recall) == pytest.approx((100 * precision, 100 * recall))
    assert found.macro_f1 == pytest.approx(sum(f1) / 4)
    right = [g == p for g, p in zip(gold, given, strict=True)]
    assert found.accuracy == pytest.approx(100 * sum(right) / 400)


def test_a_class_that_is_not_known_counts_as_wrong_and_is_told() -> None:
    found = Classes(["a", "new", "new", "other", "a"], ["a", "a", "b", "b", NONE], ["b", "a"])
    assert found.names == ["b", "a", "new", "other", NONE]
    assert found.accuracy == 20.0
    assert found.unknown == {"new": 2, "other": 1}
    assert found.note() == (
        "3 of 5 texts have a class that no training text had ('new', 'other'); each counts as wrong"
    )
    assert any(line.startswith("(none) ") for line in found.lines())
    many = Classes([f"n{i}" for i in range(9)], ["a"] * 9, ["a"])
    assert "('n0', 'n1', 'n2', 'n3', 'n4', ...)" in str(many.note())


def test_what_cannot_be() -> None:
    with pytest.raises(DataError, match="there are no texts to score"):
        Classes([], [], ["a"])
    with pytest.raises(DataError, match="2 texts have a class, and 1 were given one"):
        Classes(["a", "b"], ["a"], ["a"])
