"""Attentions that see their earlier weights, in NumPy: all queries of one sentence, one after the other.

Each takes queries [time, query] and encoder outputs [source, memory], and returns contexts [time, memory] and weights
[time, source].
"""

import numpy as np

from tests.references.attention import Array, softmax


def location(
    queries: Array, outputs: Array, W: Array, V: Array, U: Array, F: Array, b: Array, v: Array
) -> tuple[Array, Array]:
    """Chorowski et al. 2015, eq. 8-9. W [a, query], V [a, memory], U [a, k], F [k, r] with r odd; b, v [a]."""
    source, reach = len(outputs), F.shape[1] // 2
    last = np.zeros(source)
    contexts, weights = [], []
    for query in queries:
        scores = []
        for j in range(source):
            f = np.zeros(len(F))  # eq. 8: around j, nothing beyond the ends of the sentence
            for offset in range(-reach, reach + 1):
                if 0 <= j + offset < source:
                    f = f + F[:, reach + offset] * last[j + offset]
            scores.append(v @ np.tanh(W @ query + V @ outputs[j] + U @ f + b))  # eq. 9
        last = softmax(np.array(scores))
        contexts.append(last @ outputs)
        weights.append(last)
    return np.stack(contexts), np.stack(weights)


def coverage(
    queries: Array, outputs: Array, W_s: Array, W_h: Array, w_c: Array, b: Array, v: Array
) -> tuple[Array, Array]:
    """See et al. 2017, eq. 10-11. W_s [a, query], W_h [a, memory]; w_c, b, v [a]."""
    contexts: list[Array] = []
    weights: list[Array] = []
    for query in queries:
        covered = np.sum(weights, axis=0) if weights else np.zeros(len(outputs))  # eq. 10
        scores = [
            v @ np.tanh(W_h @ h + W_s @ query + w_c * c + b) for h, c in zip(outputs, covered, strict=True)
        ]  # eq. 11
        weights.append(softmax(np.array(scores)))
        contexts.append(weights[-1] @ outputs)
    return np.stack(contexts), np.stack(weights)
