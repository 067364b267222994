"""Scores of classification: accuracy, macro-F1, precision and recall of each class, confusion matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from s2s.counted import counted
from s2s.errors import DataError
from s2s.evaluation.metric import Score

VERSION = 1
"""Version of the definitions here, for signatures."""

NONE = ""
"""The predicted class of a text without tokens; never a gold class."""

_SHOWN = 5


@dataclass(frozen=True)
class OneClass:
    """Figures of one class, from 0 to 100; 0 where there is nothing to divide by.

    Attributes:
        name: of the class.
        precision: share of the texts with this predicted class that have it as gold class.
        recall: share of the texts with this gold class for which it was predicted.
        f1: their harmonic mean.
        texts: number of texts with this gold class.
        given: number of texts with this predicted class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    texts: int
    given: int


class Classes:
    """Compares gold classes with predicted ("given") classes.

    Args:
        gold: of each text.
        given: of each text, in the same order.
        known: the classes that could be given, in their order. A gold class that is not among them is unknown; each
            text of it counts as wrong.

    Attributes:
        names: the classes that occur: known ones in their order, then unknown ones by name, then `NONE`.
        counts: texts by gold class (row) and given class (column), in the order of `names`.
        unknown: gold classes that are not known, with the number of their texts, most frequent first.

    Raises:
        DataError: there are no texts, or not as many gold classes as given ones.
    """

    def __init__(self, gold: Sequence[str], given: Sequence[str], known: Sequence[str]) -> None:
        if not gold:
            raise DataError("there are no texts to score")
        if len(gold) != len(given):
            raise DataError(f"{len(gold)} texts have a class, and {len(given)} were given one")
        pairs = Counter(zip(gold, given, strict=True))
        there = {*gold, *given}
        strange = sorted(there - {*known, NONE})
        self.names = [
            *(name for name in known if name in there),
            *strange,
            *([NONE] if NONE in there else []),
        ]
        self.counts = [[pairs[row, column] for column in self.names] for row in self.names]
        self.texts = len(gold)
        self.unknown = _unknown(gold, known)

    @property
    def accuracy(self) -> float:
        """Share of the texts that were given their class, from 0 to 100."""
        return 100 * sum(self.counts[place][place] for place in range(len(self.names))) / self.texts

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes that a text has or was given, each counting alike, from 0 to 100."""
        return sum(one.f1 for one in self.each) / len(self.names)

    @property
    def each(self) -> list[OneClass]:
        """The figures of each class, in the order of `names`."""
        found = []
        for place, name in enumerate(self.names):
            right = self.counts[place][place]
            texts, given = sum(self.counts[place]), sum(row[place] for row in self.counts)
            precision, recall = _share(right, given), _share(right, texts)
            # 2 P R / (P + R), without dividing twice
            found.append(OneClass(name, precision, recall, _share(2 * right, texts + given), texts, given))
        return found

    @property
    def scores(self) -> list[Score]:
        """Accuracy and macro-F1 with their signatures."""
        about = f"classes:{len(self.names)}|version:s2s-{VERSION}"
        return [
            Score(self.accuracy, f"accuracy|{about}", "accuracy", self.texts),
            Score(self.macro_f1, f"macro-F1|undefined:0|{about}", "macro-F1", self.texts),
        ]

    def lines(self) -> list[str]:
        """For a person: the scores, and a table with a line for each class."""
        width = max(len(shown(name)) for name in [*self.names, "class"])
        table = [f"{'class':<{width}}  precision  recall     F1   texts"]
        table += [
            f"{shown(one.name):<{width}}  {one.precision:9.2f}  {one.recall:6.2f}  {one.f1:5.2f}  {one.texts:6,}"
            for one in self.each
        ]
        scores = [
            f"{one.name} {one.value:.2f} ({counted(self.texts, 'text')}; {one.signature})"
            for one in self.scores
        ]
        return [*scores, *table]

    def note(self) -> str | None:
        """A note on unknown gold classes; None if there are none."""
        if not self.unknown:
            return None
        names = ", ".join(map(repr, list(self.unknown)[:_SHOWN])) + (
            ", ..." if len(self.unknown) > _SHOWN else ""
        )
        return (
            f"{sum(self.unknown.values()):,} of {self.texts:,} texts have a class that no training text had ({names}); "
            "each counts as wrong"
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "texts": self.texts,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": [vars(one) for one in self.each],
            "confusion": self.counts,
            "unknown": self.unknown,
        }


def shown(name: str) -> str:
    """A class as a person should see it, in one line."""
    return " ".join(name.split()) if name != NONE else "(none)"


def _unknown(gold: Sequence[str], known: Collection[str]) -> dict[str, int]:
    counts = Counter(name for name in gold if name not in {*known})
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
