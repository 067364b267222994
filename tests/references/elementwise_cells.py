"""Cells whose state enters no matrix product, as their papers write them: NumPy, one sentence, one step at a time.

Weights have the papers' names. `x` is [time, input]; every vector is [hidden]. Each function returns the outputs
[time, hidden] and the last state.
"""

import numpy as np
from numpy.typing import NDArray

from tests.references.recurrent_cells import sigmoid

Array = NDArray[np.float64]
State = tuple[Array, ...]


def indrnn(
    x: Array, state: State, W: Array, u: Array, b: Array, activation: str = "relu"
) -> tuple[Array, State]:
    """Li et al. 2018."""
    (h,) = state
    outputs = []
    for x_t in x:
        total = W @ x_t + u * h + b
        h = np.maximum(total, 0.0) if activation == "relu" else np.tanh(total)
        outputs.append(h)
    return np.stack(outputs), (h,)


def sru(
    x: Array,
    state: State,
    W: Array,
    W_f: Array,
    v_f: Array,
    b_f: Array,
    W_r: Array,
    v_r: Array,
    b_r: Array,
    highway: Array,
) -> tuple[Array, State]:
    """Lei et al. 2018, eq. 1-4; `highway` multiplies x where it passes by: alpha times the identity, or W_s."""
    (c,) = state
    outputs = []
    for x_t in x:
        f = sigmoid(W_f @ x_t + v_f * c + b_f)
        r = sigmoid(W_r @ x_t + v_r * c + b_r)  # looks at c_{t-1}, as f does
        c = f * c + (1.0 - f) * (W @ x_t)
        outputs.append(r * c + (1.0 - r) * (highway @ x_t))
    return np.stack(outputs), (c,)


def ssru(x: Array, state: State, W: Array, W_f: Array, b_f: Array) -> tuple[Array, State]:
    """Kim et al. 2019."""
    (c,) = state
    outputs = []
    for x_t in x:
        f = sigmoid(W_f @ x_t + b_f)
        c = f * c + (1.0 - f) * (W @ x_t)
        outputs.append(np.maximum(0.0, c))
    return np.stack(outputs), (c,)


def qrnn(
    x: Array, state: State, W: dict[str, list[Array]], b: dict[str, Array], kept: Array | None = None
) -> tuple[Array, State]:
    """Bradbury et al. 2017, eq. 1, 4 and 6.

    W[gate][lag] multiplies the input `lag` steps back; gates are z, f and o. What came before the sentence is in the
    state, as sums by step to come: z, f and o side by side. `kept` [time, hidden] is True where zoneout keeps a unit.
    """
    c, *carried = state
    window = len(W["z"])

    def convolved(gate: str, t: int) -> Array:
        """The sum of the masked convolution at position t; the sentence may have ended before it."""
        parts = [W[gate][lag] @ x[t - lag] for lag in range(window) if 0 <= t - lag < len(x)]
        early = np.split(carried[t], 3)["zfo".index(gate)] if t < len(carried) else 0.0
        return sum(parts, np.zeros_like(c)) + early

    outputs = []
    for t in range(len(x)):
        z, f, o = (convolved(gate, t) + b[gate] for gate in "zfo")
        z, f, o = np.tanh(z), sigmoid(f), sigmoid(o)
        if kept is not None:
            f = 1.0 - np.where(kept[t], 0.0, 1.0 - f)  # dropout without rescaling
        c = f * c + (1.0 - f) * z
        outputs.append(o * c)
    later = [np.concatenate([convolved(gate, len(x) + j) for gate in "zfo"]) for j in range(window - 1)]
    return np.stack(outputs), (c, *later)


def mingru(x: Array, state: State, W_z: Array, b_z: Array, W_h: Array, b_h: Array) -> tuple[Array, State]:
    """Feng et al. 2024, section 3.1."""
    (h,) = state
    outputs = []
    for x_t in x:
        z = sigmoid(W_z @ x_t + b_z)
        h = (1.0 - z) * h + z * (W_h @ x_t + b_h)
        outputs.append(h)
    return np.stack(outputs), (h,)


def minlstm(x: Array, state: State, W: dict[str, Array], b: dict[str, Array]) -> tuple[Array, State]:
    """Feng et al. 2024, section 3.2; W and b by gate: f, i, h."""
    (h,) = state
    outputs = []
    for x_t in x:
        f, i = sigmoid(W["f"] @ x_t + b["f"]), sigmoid(W["i"] @ x_t + b["i"])
        f, i = f / (f + i), i / (f + i)
        h = f * h + i * (W["h"] @ x_t + b["h"])
        outputs.append(h)
    return np.stack(outputs), (h,)
