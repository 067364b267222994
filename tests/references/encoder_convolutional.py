"""The convolutional encoder in NumPy: one sentence [source, input], position by position."""

import numpy as np

from tests.references.attention import Array


def convolutional(
    x: Array, positions: Array, W_in: Array, b_in: Array, blocks: list[tuple[Array, Array]]
) -> Array:
    """Gehring et al. 2017, section 3.2. Outputs [source, hidden].

    Args:
        x: the tokens, [source, input].
        positions: what is added to them, [source, input].
        W_in: [hidden, input].
        b_in: [hidden].
        blocks: weight [2 * hidden, k, hidden] and bias [2 * hidden] of each block, k odd.
    """
    h = (x + positions) @ W_in.T + b_in
    for W, b in blocks:
        reach = W.shape[1] // 2
        nothing = np.zeros((reach, h.shape[1]))
        around = np.concatenate([nothing, h, nothing])
        following = []
        for i, h_i in enumerate(h):
            window = around[i : i + W.shape[1]]  # [k, hidden], position i in the middle
            a, gate = np.split(sum(W[:, j] @ window[j] for j in range(len(window))) + b, 2)
            v = a / (1.0 + np.exp(-gate))
            following.append((v + h_i) * np.sqrt(0.5))  # section 3.5
        h = np.stack(following)
    return h
