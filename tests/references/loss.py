"""Cross-entropy with label smoothing in NumPy, with its gradient worked out by hand."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def smoothed_cross_entropy(logits: Array, gold: int, smoothing: float) -> tuple[float, float, Array]:
    """One token. Szegedy et al. 2016, section 7: q is 1 - smoothing on gold, plus smoothing / V everywhere.

    Returns the loss -sum_k q_k log p_k, the plain -log p_gold, and dloss/dlogits = p - q [vocabulary].
    """
    log_p = logits - logits.max()
    log_p = log_p - np.log(np.exp(log_p).sum())
    q = np.full(len(logits), smoothing / len(logits))
    q[gold] += 1.0 - smoothing
    return float(-(q * log_p).sum()), float(-log_p[gold]), np.exp(log_p) - q
