"""Scores of sequence labelling: accuracy by word, F1 by label, F1 by span."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from s2s import __version__
from s2s.counted import counted
from s2s.errors import DataError
from s2s.evaluation.classes import NONE, Classes
from s2s.evaluation.metric import Score

Sentences = Sequence[Sequence[str]]
"""The labels of the words of each sentence."""

_BIO = re.compile(r"O|[BI]-.+")


class Span(tuple[int, int, int, str]):
    """Sentence, first word, last word + 1, and what it is."""


def are_bio(labels: Iterable[str]) -> bool:
    """Whether labels mark where spans begin (B-X), continue (I-X), or that there is none (O)."""
    every = set(labels)
    return every != {"O"} and bool(every) and all(_BIO.fullmatch(label) for label in every)


def scores(hypotheses: Sentences, references: Sentences) -> list[Score]:
    """Accuracy and macro-F1, and span F1 where all labels of the references are BIO; from 0 to 100.

    Raises:
        DataError: there is no word, or a sentence has not as many labels as its reference.
    """
    _check(hypotheses, references)
    found = [accuracy(hypotheses, references), macro_f1(hypotheses, references)]
    if are_bio(label for sentence in references for label in sentence):
        found.append(span_f1(hypotheses, references))
    return found


def accuracy(hypotheses: Sentences, references: Sentences) -> Score:
    """The share of words whose label is right."""
    found = _of_words(hypotheses, references)
    right = sum(found.counts[place][place] for place in range(len(found.names)))
    details = {"words": found.texts, "right": right}
    return Score(found.accuracy, _signature("unit:word"), "accuracy", len(references), details=details)


def macro_f1(hypotheses: Sentences, references: Sentences) -> Score:
    """The mean of F1 over all labels that are predicted or gold; `details` has each."""
    by_label = f1_by_label(hypotheses, references)
    value = sum(by_label.values()) / len(by_label)
    return Score(value, _signature("unit:word|average:macro"), "macro_F1", len(references), details=by_label)


def f1_by_label(hypotheses: Sentences, references: Sentences) -> dict[str, float]:
    """F1 of each label, from 0 to 100; van Rijsbergen 1979."""
    return {one.name: one.f1 for one in _of_words(hypotheses, references).each}


def span_f1(hypotheses: Sentences, references: Sentences) -> Score:
    """F1 of exactly matching spans (both boundaries and the label), as in CoNLL-2000."""
    ours, theirs = set(spans(hypotheses)), set(spans(references))
    right = len(ours & theirs)
    details = {"spans": len(theirs), "said": len(ours), "right": right}
    value = _f1(right, len(ours), len(theirs))
    return Score(value, _signature("unit:span|scheme:BIO"), "span_F1", len(references), details=details)


def spans(sentences: Sentences) -> list[Span]:
    """The spans that BIO labels encode.

    A span begins at B-X, and at an I-X that continues nothing: after O, after a span of another kind, or at the start
    of a sentence (Tjong Kim Sang & Buchholz 2000). Any other label counts as O.
    """
    found = []
    for number, sentence in enumerate(sentences):
        start, kind = 0, ""
        for place, label in enumerate([*sentence, "O"]):
            prefix, _, here = label.partition("-") if _BIO.fullmatch(label) else ("O", "", "")
            goes_on = prefix == "I" and here == kind
            if kind and not goes_on:
                found.append(Span((number, start, place, kind)))
            if not goes_on:
                start, kind = place, here
    return found


def most_confused(hypotheses: Sentences, references: Sentences, most: int) -> list[tuple[str, str, int]]:
    """The most frequent confusions: predicted label, right label, and count."""
    wrong = Counter(pair for pair in _pairs(hypotheses, references) if pair[0] != pair[1])
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return [(ours, theirs, count) for (ours, theirs), count in ranked[:most]]


def _of_words(hypotheses: Sentences, references: Sentences) -> Classes:
    # A label of a word is its class.
    ours, theirs = zip(*_pairs(hypotheses, references), strict=True)
    return Classes(theirs, ours, sorted({*ours, *theirs} - {NONE}))


def _pairs(hypotheses: Sentences, references: Sentences) -> list[tuple[str, str]]:
    return [
        pair
        for ours, theirs in zip(hypotheses, references, strict=True)
        for pair in zip(ours, theirs, strict=True)
    ]


def _f1(right: int, said: int, gold: int) -> float:
    return 200 * right / (said + gold) if said + gold else 0.0


def _signature(about: str) -> str:
    return f"{about}|version:s2s-{__version__}"


def _check(hypotheses: Sentences, references: Sentences) -> None:
    if not any(references):
        raise DataError("there is no label to score")
    if len(hypotheses) != len(references):
        raise DataError(
            f"{counted(len(hypotheses), 'sentence')} labelled, but the reference has {len(references)}"
        )
    for number, (ours, theirs) in enumerate(zip(hypotheses, references, strict=True), start=1):
        if len(ours) != len(theirs):
            raise DataError(f"sentence {number} has {len(ours)} labels, but {len(theirs)} in the reference")
