"""Multi-head attention in NumPy: one query [query], the encoder outputs of one sentence [source, memory]."""

import numpy as np

from tests.references.attention import Array, scaled_dot, softmax


def multi_head(
    query: Array, outputs: Array, W_q: list[Array], W_k: list[Array], W_v: list[Array], W_o: Array
) -> tuple[Array, Array]:
    """Vaswani et al. 2017, eq. 1 and section 3.2.2: context, and the mean of the heads' weights [source].

    Args:
        query: [query].
        outputs: [source, memory].
        W_q: head by head, [size, query].
        W_k: head by head, [size, memory].
        W_v: head by head, [size, memory].
        W_o: [context, heads * size].
    """
    heads, weights = [], []
    for Q, K, V in zip(W_q, W_k, W_v, strict=True):
        weights.append(softmax(scaled_dot(Q @ query, outputs @ K.T)))
        heads.append(sum(w * (V @ h) for w, h in zip(weights[-1], outputs, strict=True)))
    return W_o @ np.concatenate(heads), np.mean(weights, axis=0)
