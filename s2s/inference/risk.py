"""Minimum Bayes risk: the sample that is most similar to all samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2s.inference.translation import Translation

Gain = Callable[[str, str], float]


def least_risk(samples: Sequence[Translation], gain: Gain) -> list[Translation]:
    """Each distinct sample, the one of least risk first; its score is the expected gain.

    Kumar & Byrne 2004 choose the E' with the least expected loss: the sum over E of L(E, E') P(E | F). Here P is the
    empirical distribution of the samples, and the loss is the negative gain. Ties go to the earlier sample.

    Args:
        samples: of one sentence.
        gain: of an output (first) if a reference (second) is right.
    """
    drawn = Counter(one.text for one in samples)
    first: dict[str, Translation] = {}
    for one in samples:
        first.setdefault(one.text, one)
    scored = [
        replace(one, score=sum(gain(text, other) * times for other, times in drawn.items()) / len(samples))
        for text, one in first.items()
    ]
    return sorted(scored, key=lambda one: -one.score)
