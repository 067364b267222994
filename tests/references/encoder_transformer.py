"""The Transformer's encoder with the norm first, in NumPy: one sentence [source, input], position by position."""

from typing import NamedTuple

import numpy as np

from tests.references.attention import Array, softmax


class Norm(NamedTuple):
    """Gain and bias [size] of a layer norm."""

    gain: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Ba et al. 2016, eq. 3-4, of one position [size]; with torch's small constant under the root."""
        centred = x - x.mean()
        return self.gain * centred / np.sqrt((centred**2).mean() + 1e-5) + self.bias


class Layer(NamedTuple):
    """One layer; `W_q`, `W_k`, `W_v` head by head, [head, size]."""

    attention_norm: Norm
    W_q: list[Array]
    W_k: list[Array]
    W_v: list[Array]
    W_o: Array
    feed_forward_norm: Norm
    W_1: Array
    b_1: Array
    W_2: Array
    b_2: Array


def wave(position: int, size: int) -> Array:
    """Vaswani et al. 2017, section 3.5: sin(pos / 10000^(2i/d)) in column 2i, the cosine in column 2i + 1."""
    columns = []
    for column in range(size):
        angle = position / 10000 ** ((column - column % 2) / size)
        columns.append(np.cos(angle) if column % 2 else np.sin(angle))
    return np.array(columns)


def rotation(position: int, size: int) -> Array:
    """Su et al. 2021, eq. 15: a matrix that turns columns 2i, 2i + 1 by position * 10000^(-2i/d)."""
    matrix = np.zeros((size, size))
    for i in range(0, size, 2):
        angle = position * 10000 ** (-i / size)
        matrix[i : i + 2, i : i + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def self_attention(x: Array, layer: Layer, rotary: bool) -> Array:
    """Vaswani et al. 2017, eq. 1 and section 3.2.2; rotary: queries and keys as in Su et al. 2021, eq. 16."""
    answers = []
    for m, x_m in enumerate(x):
        heads = []
        for Q, K, V in zip(layer.W_q, layer.W_k, layer.W_v, strict=True):
            size = len(Q)
            scores = []
            for n, x_n in enumerate(x):
                if rotary:
                    scores.append((rotation(m, size) @ Q @ x_m) @ (rotation(n, size) @ K @ x_n))
                else:
                    scores.append((Q @ x_m) @ (K @ x_n))
            heads.append(softmax(np.array(scores) / np.sqrt(size)) @ (x @ V.T))
        answers.append(layer.W_o @ np.concatenate(heads))
    return np.stack(answers)


def transformer(x: Array, W_in: Array, layers: list[Layer], norm: Norm, *, rotary: bool) -> Array:
    """Outputs [source, hidden]; Xiong et al. 2020, table 1, pre-LN."""
    hidden = len(W_in)
    x = x @ W_in.T * np.sqrt(hidden)  # Vaswani et al. 2017, section 3.4
    if not rotary:
        x = x + np.stack([wave(position, hidden) for position in range(len(x))])
    for layer in layers:
        x = x + self_attention(np.stack([layer.attention_norm(row) for row in x]), layer, rotary)
        normed = np.stack([layer.feed_forward_norm(row) for row in x])
        x = x + np.maximum(0.0, normed @ layer.W_1.T + layer.b_1) @ layer.W_2.T + layer.b_2  # eq. 2
    return np.stack([norm(row) for row in x])
