"""Cells whose state enters a matrix product, as their papers write them: NumPy, one sentence, one step at a time.

Weights have the papers' names. `x` is [time, input]; every other vector is [hidden]. Each function returns the outputs
[time, hidden] and the last state.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = tuple[Array, ...]


def sigmoid(v: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-v))


def layer_norm(z: Array, alpha: Array, beta: Array, epsilon: float = 1e-5) -> Array:
    """Ba et al. 2016, eq. 15-16; epsilon is ours."""
    mean = z.sum() / len(z)
    deviation = np.sqrt(((z - mean) ** 2).sum() / len(z) + epsilon)
    return (z - mean) / deviation * alpha + beta


def layer_norm_lstm(
    x: Array,
    state: State,
    W_h: Array,
    W_x: Array,
    b: Array,
    alpha: tuple[Array, Array, Array],
    beta: tuple[Array, Array, Array],
) -> tuple[Array, State]:
    """Ba et al. 2016, eq. 20-22. The rows of W_h, W_x and b: input, forget, candidate, output."""
    h, c = state
    outputs = []
    for x_t in x:
        gates = layer_norm(W_h @ h, alpha[0], beta[0]) + layer_norm(W_x @ x_t, alpha[1], beta[1]) + b
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(layer_norm(c, alpha[2], beta[2]))
        outputs.append(h)
    return np.stack(outputs), (h, c)


def peephole_lstm(x: Array, state: State, W: dict[str, Array]) -> tuple[Array, State]:
    """Graves 2013, eq. 7-11. W["xi"] is a matrix of the input gate, W["ci"] a peephole (a vector), W["bi"] a bias."""
    h, c = state
    outputs = []
    for x_t in x:
        i = sigmoid(W["xi"] @ x_t + W["hi"] @ h + W["ci"] * c + W["bi"])
        f = sigmoid(W["xf"] @ x_t + W["hf"] @ h + W["cf"] * c + W["bf"])
        c = f * c + i * np.tanh(W["xc"] @ x_t + W["hc"] @ h + W["bc"])
        o = sigmoid(W["xo"] @ x_t + W["ho"] @ h + W["co"] * c + W["bo"])
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), (h, c)


def multiplicative_lstm(x: Array, state: State, W: dict[str, Array]) -> tuple[Array, State]:
    """Krause et al. 2016, section 3; W["hx"] and W["hm"] are of the candidate, W["bi"] and the like are biases."""
    h, c = state
    outputs = []
    for x_t in x:
        m = (W["mx"] @ x_t) * (W["mh"] @ h)
        candidate = W["hx"] @ x_t + W["hm"] @ m + W["bh"]
        i = sigmoid(W["ix"] @ x_t + W["im"] @ m + W["bi"])
        o = sigmoid(W["ox"] @ x_t + W["om"] @ m + W["bo"])
        f = sigmoid(W["fx"] @ x_t + W["fm"] @ m + W["bf"])
        c = f * c + i * np.tanh(candidate)
        h = np.tanh(c) * o
        outputs.append(h)
    return np.stack(outputs), (h, c)


def mgu(x: Array, state: State, W_f: Array, b_f: Array, W_h: Array, b_h: Array) -> tuple[Array, State]:
    """Zhou et al. 2016: matrices that multiply [h, x]."""
    (h,) = state
    outputs = []
    for x_t in x:
        f = sigmoid(W_f @ np.concatenate([h, x_t]) + b_f)
        candidate = np.tanh(W_h @ np.concatenate([f * h, x_t]) + b_h)
        h = (1.0 - f) * h + f * candidate
        outputs.append(h)
    return np.stack(outputs), (h,)


def slstm(
    x: Array,
    state: State,
    W: dict[str, Array],
    R: dict[str, Array],
    b: dict[str, Array],
    *,
    exponential_forget: bool = False,
) -> tuple[Array, State]:
    """Beck et al. 2024, eq. 8-17; W, R and b by gate: z, i, f, o. The state is h, c, n and the stabilizer m."""
    h, c, n, m = state
    outputs = []
    for x_t in x:
        z, log_i, f, o = (W[gate] @ x_t + R[gate] @ h + b[gate] for gate in "zifo")
        log_f = f if exponential_forget else np.log(sigmoid(f))
        m_before, m = m, np.maximum(log_f + m, log_i)  # eq. 15
        i_stable, f_stable = np.exp(log_i - m), np.exp(log_f + m_before - m)  # eq. 16, 17
        c = f_stable * c + i_stable * np.tanh(z)  # eq. 8
        n = f_stable * n + i_stable  # eq. 9
        h = sigmoid(o) * c / n  # eq. 10
        outputs.append(h)
    return np.stack(outputs), (h, c, n, m)
