"""Published attention scores in NumPy: one query [query] against the memory of one sentence [source, memory].

Each function returns the scores e [source]; `attend` turns scores into weights and a context.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def softmax(scores: Array) -> Array:
    """exp(e) / sum exp(e) over the last axis, the maximum taken off first against overflow."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attend(scores: Array, memory: Array) -> tuple[Array, Array]:
    """Bahdanau et al. 2015, A.1.2: e_j = v . tanh(W s + U h_j + b). W [a, query], U [a, memory]; v, b [a]."""
    weights = softmax(scores)
    return weights @ memory, weights


def bahdanau(query: Array, memory: Array, W: Array, U: Array, b: Array, v: Array) -> Array:
    """Bahdanau et al. 2015, A.1.2: e_j = v . tanh(W s + U h_j + b). W [a, query], U [a, memory], v [a]."""
    return np.array([v @ np.tanh(W @ query + U @ h + b) for h in memory])


def luong_dot(query: Array, memory: Array) -> Array:
    """Luong et al. 2015, eq. 8: e_j = s . h_j."""
    return np.array([query @ h for h in memory])


def luong_general(query: Array, memory: Array, W: Array) -> Array:
    """Luong et al. 2015, eq. 8: e_j = s . W h_j. W [query, memory]."""
    return np.array([query @ W @ h for h in memory])


def luong_concat(query: Array, memory: Array, W: Array, v: Array) -> Array:
    """Luong et al. 2015, eq. 8: e_j = v . tanh(W [s; h_j]). W [a, query + memory], v [a]."""
    return np.array([v @ np.tanh(W @ np.concatenate([query, h])) for h in memory])


def scaled_dot(query: Array, keys: Array) -> Array:
    """Vaswani et al. 2017, eq. 1: e_j = q . k_j / sqrt(d), d the size of q and k."""
    return np.array([query @ k for k in keys]) / np.sqrt(len(query))
