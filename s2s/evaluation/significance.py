"""Significance of the difference between systems: paired bootstrap resampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from s2s.evaluation.defaults import RESAMPLES

SEED = 12345
"""SacreBLEU's seed, so that the samples, and the results, are the same."""


@dataclass(frozen=True)
class Compared:
    """A system compared with the first one.

    Attributes:
        value: its score.
        confidence: half the width of the 95 % interval of its score.
        p_value: probability of such a large difference to the first system if both are equally good; None for the
            first one.
        signature: of the score, the bootstrap included.
    """

    value: float
    confidence: float
    p_value: float | None
    signature: str


def paired_bootstrap(
    score: Callable[[Sequence[int]], Sequence[float]],
    sentences: int,
    signature: str,
    resamples: int = RESAMPLES,
) -> list[Compared]:
    """Paired bootstrap resampling (Koehn 2004), by scoring each sample anew: right for any metric, and slow.

    The p-value is two-sided, and that of sacreBLEU: the share of samples in which the difference is further from its
    mean over the samples than the real one is from zero, the real one counted as a sample. Where there is no difference
    it is 1.

    Args:
        score: the scores of all systems for a choice of sentences, the first system first.
        sentences: how many there are.
        signature: of a score without a bootstrap.
        resamples: how many samples are drawn.
    """
    real = np.array(score(range(sentences)))
    random = np.random.default_rng(SEED)
    # One sample after the other: of a million sentences they are 8 GB.
    samples = (random.choice(sentences, size=sentences, replace=True) for _ in range(resamples))
    sampled = np.array([score(sample.tolist()) for sample in samples]).T  # [systems, resamples]
    differences = np.abs(sampled - sampled[0])
    further = differences - differences.mean(axis=1, keepdims=True) > np.abs(real - real[0])[:, None]
    p_values = np.where(real == real[0], 1.0, (further.sum(axis=1) + 1) / (resamples + 1))
    return [
        Compared(
            float(value),
            half_width(of_one),
            None if index == 0 else float(p_value),
            f"{signature}|bs:{resamples}|seed:{SEED}",
        )
        for index, (value, of_one, p_value) in enumerate(zip(real, sampled, p_values, strict=True))
    ]


def half_width(samples: np.ndarray) -> float:
    """Half the width of what holds the middle 95 % of some scores."""
    ordered, outside = np.sort(samples), len(samples) // 40
    return float(ordered[-1 - outside] - ordered[outside]) / 2
