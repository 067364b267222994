"""Local attention in NumPy: one query [query], the encoder outputs of one sentence [source, memory]."""

import numpy as np

from tests.references.attention import Array, luong_general, softmax


def local_p(
    query: Array, outputs: Array, W_a: Array, W_p: Array, v_p: Array, window: int
) -> tuple[Array, Array]:
    """Luong et al. 2015, eq. 9-10, general score; then divided by their sum. Context, and weights [source].

    Args:
        query: [query].
        outputs: [source, memory].
        W_a: [query, memory].
        W_p: [size, query].
        v_p: [size].
        window: D.
    """
    source = len(outputs)
    place = source / (1.0 + np.exp(-v_p @ np.tanh(W_p @ query)))  # eq. 9: S sigmoid(...)
    inside = [s for s in range(1, source + 1) if place - window <= s <= place + window]
    scores = luong_general(query, outputs[[s - 1 for s in inside]], W_a)
    sigma = window / 2.0
    weights = np.zeros(source)
    for s, align in zip(inside, softmax(scores), strict=True):
        weights[s - 1] = align * np.exp(-((s - place) ** 2) / (2.0 * sigma**2))  # eq. 10
    weights = weights / weights.sum()
    return weights @ outputs, weights
