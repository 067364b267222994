"""Sparse mappings of scores [source] to weights in NumPy, by bisection for the threshold where they sum to one."""

from collections.abc import Callable

import numpy as np

from tests.references.attention import Array


def sparsemax(scores: Array) -> Array:
    """Martins & Astudillo 2016, eq. 3: max(z - tau, 0)."""
    return _threshold(lambda tau: np.maximum(scores - tau, 0.0), scores)


def entmax15(scores: Array) -> Array:
    """Peters et al. 2019, alpha-entmax for alpha = 1.5: max((alpha - 1) z - tau, 0)^(1 / (alpha - 1))."""
    return _threshold(lambda tau: np.maximum(0.5 * scores - tau, 0.0) ** 2, 0.5 * scores)


def _threshold(weights: Callable[[float], Array], scores: Array) -> Array:
    # The sum falls as tau grows: at least 1 where the highest score alone weighs 1, 0 at the highest score.
    low, high = float(scores.max()) - 1.0, float(scores.max())
    for _ in range(100):  # down to neighbouring numbers of float64
        middle = 0.5 * (low + high)
        low, high = (middle, high) if weights(middle).sum() >= 1.0 else (low, middle)
    return weights(low)
