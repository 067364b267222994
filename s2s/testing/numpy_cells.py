"""The standard recurrent cells in plain NumPy: the forward pass, and backpropagation through time by hand.

They are slow, readable references for the cells in torch: one sentence, one time step after the other,
float64, no stacked weights. `x` is [time, input]; a hidden state is [hidden]; `W` is the weight of an input,
`U` the weight of a hidden state, `b` a bias.

Every cell has two functions. `*_forward` returns the outputs, the last state and a trace: what each time step
computed. `*_backward` reads the trace from the last step to the first (back-propagation through time, Werbos
1990). It takes the gradients of the loss for the outputs (dL/d output, [time, hidden]) and the last state, and
returns dL/dx, dL/d first state and dL/d parameters; the last is structured like the parameters, so that each
gradient has its parameter's name.

In the backward functions `d_name` stands for dL/d name, and `d_name_sum` for the gradient of the weighted sum
of the gate `name`, before its activation function.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Affine(NamedTuple):
    """A weighted sum of the input and of the hidden state: W x + U h + b."""

    W: Array
    U: Array
    b: Array

    def __call__(self, x: Array, h: Array) -> Array:
        """W x + U h + b for one time step: x [input], h [hidden]."""
        return self.W @ x + self.U @ h + self.b

    def gradients(self, d_sum: Array, x: Array, h: Array) -> "Affine":
        """dL/dW, dL/dU, dL/db, given dL/d(W x + U h + b) [hidden]."""
        return Affine(np.outer(d_sum, x), np.outer(d_sum, h), d_sum)

    def plus(self, other: "Affine") -> "Affine":
        """The sum, array by array."""
        return Affine(self.W + other.W, self.U + other.U, self.b + other.b)

    def zeros(self) -> "Affine":
        """Zeros of the same shapes, the initial value of a gradient."""
        return Affine(np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b))


def sigmoid(v: Array) -> Array:
    """1 / (1 + exp(-v)), written so that no exponential can overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * v))


# Elman 1990: h_t = f(W x_t + U h_{t-1} + b), f = tanh or rectified linear; the output is h_t.


class ElmanTrace(NamedTuple):
    """What each time step of an Elman network computed."""

    x: Array  # [time, input]
    hidden: Array  # [time + 1, hidden]: the state before the first step, then after each step


def elman_forward(
    x: Array, hidden: Array, parameters: Affine, activation: str = "tanh"
) -> tuple[Array, Array, ElmanTrace]:
    """Elman 1990. Returns the outputs [time, hidden], the last state [hidden] and the trace."""
    states = [hidden]
    for x_t in x:
        weighted_sum = parameters(x_t, states[-1])
        states.append(np.tanh(weighted_sum) if activation == "tanh" else np.maximum(weighted_sum, 0.0))
    trace = ElmanTrace(x, np.stack(states))
    return trace.hidden[1:], states[-1], trace


def elman_backward(
    trace: ElmanTrace,
    parameters: Affine,
    d_outputs: Array,
    d_last_hidden: Array,
    activation: str = "tanh",
) -> tuple[Array, Array, Affine]:
    """Returns dL/dx [time, input], dL/d first hidden state [hidden] and dL/d parameters."""
    d_x = np.zeros_like(trace.x)
    d_parameters = parameters.zeros()
    d_h = d_last_hidden
    for t in reversed(range(len(trace.x))):
        x, h_before, h = trace.x[t], trace.hidden[t], trace.hidden[t + 1]
        d_h = d_h + d_outputs[t]
        # tanh'(v) = 1 - tanh(v)^2; the rectifier passes the gradient where it passed the value
        d_sum = d_h * ((1.0 - h**2) if activation == "tanh" else (h > 0.0).astype(np.float64))
        d_parameters = d_parameters.plus(parameters.gradients(d_sum, x, h_before))
        d_x[t] = parameters.W.T @ d_sum
        d_h = parameters.U.T @ d_sum
    return d_x, d_h, d_parameters


# LSTM: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000.
#
#     input  i_t = sigmoid(W_i x_t + U_i h_{t-1} + b_i)        how much of the candidate is written
#     forget f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)        how much of the memory is kept
#     cell   g_t = tanh   (W_g x_t + U_g h_{t-1} + b_g)        the candidate
#     output o_t = sigmoid(W_o x_t + U_o h_{t-1} + b_o)        how much of the memory is output
#     memory c_t = f_t * c_{t-1} + i_t * g_t
#     hidden h_t = o_t * tanh(c_t)                             also the output


class LSTMParameters(NamedTuple):
    """The four weighted sums of an LSTM."""

    input: Affine
    forget: Affine
    cell: Affine
    output: Affine


class LSTMTrace(NamedTuple):
    """What each time step of an LSTM computed; memory and hidden start with the state before step one."""

    x: Array  # [time, input]
    input: Array
    forget: Array
    cell: Array
    output: Array  # the gates, [time, hidden]
    memory: Array
    hidden: Array  # [time + 1, hidden]


def lstm_forward(
    x: Array, state: tuple[Array, Array], parameters: LSTMParameters
) -> tuple[Array, tuple[Array, Array], LSTMTrace]:
    """LSTM of one sentence; state (hidden, memory). Returns outputs [time, hidden], last state, trace."""
    gates: list[tuple[Array, Array, Array, Array]] = []
    hiddens, memories = [state[0]], [state[1]]
    for x_t in x:
        h, c = hiddens[-1], memories[-1]
        i = sigmoid(parameters.input(x_t, h))
        f = sigmoid(parameters.forget(x_t, h))
        g = np.tanh(parameters.cell(x_t, h))
        o = sigmoid(parameters.output(x_t, h))
        memories.append(f * c + i * g)
        hiddens.append(o * np.tanh(memories[-1]))
        gates.append((i, f, g, o))
    input_gate, forget_gate, cell, output_gate = (np.stack(gate) for gate in zip(*gates, strict=True))
    trace = LSTMTrace(x, input_gate, forget_gate, cell, output_gate, np.stack(memories), np.stack(hiddens))
    return trace.hidden[1:], (hiddens[-1], memories[-1]), trace


def lstm_backward(
    trace: LSTMTrace,
    parameters: LSTMParameters,
    d_outputs: Array,
    d_last_state: tuple[Array, Array],
) -> tuple[Array, tuple[Array, Array], LSTMParameters]:
    """Returns dL/dx [time, input], dL/d first state (hidden, memory) and dL/d parameters."""
    d_x = np.zeros_like(trace.x)
    d_parameters = LSTMParameters(*(gate.zeros() for gate in parameters))
    d_h, d_c = d_last_state
    for t in reversed(range(len(trace.x))):
        i, f, g, o = trace.input[t], trace.forget[t], trace.cell[t], trace.output[t]
        c_before, h_before, squashed = trace.memory[t], trace.hidden[t], np.tanh(trace.memory[t + 1])

        d_h = d_h + d_outputs[t]
        # the memory affects the loss through h_t = o_t tanh(c_t) and through c_{t+1}
        d_c = d_c + d_h * o * (1.0 - squashed**2)
        d_sums = (
            d_c * g * i * (1.0 - i),  # input gate;  sigmoid' = s (1 - s)
            d_c * c_before * f * (1.0 - f),  # forget gate
            d_c * i * (1.0 - g**2),  # candidate;    tanh' = 1 - tanh^2
            d_h * squashed * o * (1.0 - o),  # output gate
        )
        d_parameters = LSTMParameters(
            *(
                total.plus(gate.gradients(d_sum, trace.x[t], h_before))
                for total, gate, d_sum in zip(d_parameters, parameters, d_sums, strict=True)
            )
        )
        d_h = np.zeros_like(d_h)
        for gate, d_sum in zip(parameters, d_sums, strict=True):
            d_x[t] += gate.W.T @ d_sum
            d_h += gate.U.T @ d_sum
        d_c = d_c * f
    return d_x, (d_h, d_c), d_parameters


# GRU: Cho et al. 2014 (EMNLP), eq. 5-8. The paper writes no biases; they are the usual addition.
#
#     reset     r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)                    eq. 5
#     update    z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)                    eq. 6
#     hidden    h_t = z_t * h_{t-1} + (1 - z_t) * n_t                         eq. 7
#     candidate n_t = tanh(W_n x_t + U_n (r_t * h_{t-1}) + b_n)               eq. 8: reset before the product
#               n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + b_u))         reset after it, as in cuDNN
#
# Reset after the product lets one matrix product serve all three gates; it needs a second bias b_u, which the
# reset gate can switch off together with the product.


class GRUParameters(NamedTuple):
    """The three weighted sums of a GRU, and the bias added to U_n h in the variant that resets after it."""

    reset: Affine
    update: Affine
    candidate: Affine
    recurrent_bias: Array  # b_u [hidden]; unused if the reset comes before the product


class GRUTrace(NamedTuple):
    """What each time step of a GRU computed."""

    x: Array  # [time, input]
    reset: Array
    update: Array
    candidate: Array  # [time, hidden]
    hidden: Array  # [time + 1, hidden]: the state before the first step, then after each step


def gru_forward(
    x: Array, hidden: Array, parameters: GRUParameters, *, reset_after: bool
) -> tuple[Array, Array, GRUTrace]:
    """GRU over one sentence. Returns the outputs [time, hidden], the last state [hidden] and the trace."""
    W, U, b = parameters.candidate
    gates: list[tuple[Array, Array, Array]] = []
    states = [hidden]
    for x_t in x:
        h = states[-1]
        r = sigmoid(parameters.reset(x_t, h))
        z = sigmoid(parameters.update(x_t, h))
        recurrent = r * (U @ h + parameters.recurrent_bias) if reset_after else U @ (r * h)
        n = np.tanh(W @ x_t + b + recurrent)
        states.append(z * h + (1.0 - z) * n)
        gates.append((r, z, n))
    reset, update, candidate = (np.stack(gate) for gate in zip(*gates, strict=True))
    trace = GRUTrace(x, reset, update, candidate, np.stack(states))
    return trace.hidden[1:], states[-1], trace


def gru_backward(
    trace: GRUTrace,
    parameters: GRUParameters,
    d_outputs: Array,
    d_last_hidden: Array,
    *,
    reset_after: bool,
) -> tuple[Array, Array, GRUParameters]:
    """Returns dL/dx [time, input], dL/d first hidden state [hidden] and dL/d parameters."""
    U_n = parameters.candidate.U
    d_x = np.zeros_like(trace.x)
    d_reset, d_update, d_candidate = (gate.zeros() for gate in parameters[:3])
    d_recurrent_bias = np.zeros_like(parameters.recurrent_bias)
    d_h = d_last_hidden
    for t in reversed(range(len(trace.x))):
        x, h = trace.x[t], trace.hidden[t]  # h: the state that step t started from
        r, z, n = trace.reset[t], trace.update[t], trace.candidate[t]

        d_h = d_h + d_outputs[t]
        d_n_sum = d_h * (1.0 - z) * (1.0 - n**2)
        d_z_sum = d_h * (h - n) * z * (1.0 - z)
        d_h_before = d_h * z
        if reset_after:
            d_product = d_n_sum * r  # dL/d(U_n h + b_u)
            d_r = d_n_sum * (U_n @ h + parameters.recurrent_bias)
            d_U_n = np.outer(d_product, h)
            d_recurrent_bias = d_recurrent_bias + d_product
            d_h_before = d_h_before + U_n.T @ d_product
        else:
            d_reset_h = U_n.T @ d_n_sum  # dL/d(r * h)
            d_r = d_reset_h * h
            d_U_n = np.outer(d_n_sum, r * h)
            d_h_before = d_h_before + d_reset_h * r
        d_r_sum = d_r * r * (1.0 - r)

        d_reset = d_reset.plus(parameters.reset.gradients(d_r_sum, x, h))
        d_update = d_update.plus(parameters.update.gradients(d_z_sum, x, h))
        d_candidate = d_candidate.plus(Affine(np.outer(d_n_sum, x), d_U_n, d_n_sum))
        d_x[t] = (
            parameters.reset.W.T @ d_r_sum
            + parameters.update.W.T @ d_z_sum
            + parameters.candidate.W.T @ d_n_sum
        )
        d_h = d_h_before + parameters.reset.U.T @ d_r_sum + parameters.update.U.T @ d_z_sum
    return d_x, d_h, GRUParameters(d_reset, d_update, d_candidate, d_recurrent_bias)
