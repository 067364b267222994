"""Published decoders in NumPy, written from their equations: one sentence, one token after the other.

A cell is a function of its input [input] and its state that returns its output [hidden] and its next state; attention
is a function of its query that returns the context [memory] and the weights [source]. `y` are the embedded tokens that
are read, [target, input]. What comes back for each token is what the softmax sees, and attention's context and weights.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from s2s.testing.numpy_cells import Array, GRUParameters, LSTMParameters, gru_forward, lstm_forward

Cell = Callable[[Array, Any], tuple[Array, Any]]
Ask = Callable[[Array], tuple[Array, Array]]


class Said(NamedTuple):
    """For all tokens: [target, hidden], [target, memory], [target, source]."""

    hidden: Array
    context: Array
    weights: Array


def gru(parameters: GRUParameters, *, reset_after: bool) -> Cell:
    """A GRU's step; the state is h."""

    def step(x: Array, h: Array) -> tuple[Array, Array]:
        outputs, last, _ = gru_forward(x[None], h, parameters, reset_after=reset_after)
        return outputs[0], last

    return step


def lstm(parameters: LSTMParameters) -> Cell:
    """An LSTM's step; the state is (hidden, memory)."""

    def step(x: Array, state: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        outputs, last, _ = lstm_forward(x[None], state, parameters)
        return outputs[0], last

    return step


def bahdanau(y: Array, s: Array, cell: Cell, ask: Ask, U_o: Array, V_o: Array, C_o: Array, b: Array) -> Said:
    """Bahdanau et al. 2015, A.2.2; the deep output sees s_i, as in eq. 4. Its matrices are [2 l, ...]."""
    said = []
    for y_before in y:
        context, weights = ask(s)
        s, _ = cell(np.concatenate([y_before, context]), s)
        sums = U_o @ s + V_o @ y_before + C_o @ context + b
        said.append((np.maximum(sums[0::2], sums[1::2]), context, weights))
    return Said(*(np.stack(part) for part in zip(*said, strict=True)))


def conditional(
    y: Array, s: Array, first: Cell, second: Cell, ask: Ask, W_t1: Array, W_t2: Array, W_t3: Array, b: Array
) -> Said:
    """Sennrich et al. 2017, section 2: s'_j, then c_j, then s_j; t_j = tanh(s_j W_t1 + E y_{j-1} W_t2 + c_j W_t3)."""
    said = []
    for y_before in y:
        between, _ = first(y_before, s)
        context, weights = ask(between)
        s, _ = second(context, between)
        said.append((np.tanh(W_t1 @ s + W_t2 @ y_before + W_t3 @ context + b), context, weights))
    return Said(*(np.stack(part) for part in zip(*said, strict=True)))


def gnmt(y: Array, states: Sequence[tuple[Array, Array]], cells: Sequence[Cell], ask: Ask) -> Said:
    """Wu et al. 2016, eq. 4-6 and figure 1: attention of the first layer's last output, residuals from layer 3."""
    states = list(states)
    bottom = states[0][0]
    said = []
    for y_before in y:
        context, weights = ask(bottom)
        x = y_before
        for layer, cell in enumerate(cells):
            m, states[layer] = cell(np.concatenate([x, context]), states[layer])
            x = m + x if layer >= 2 else m
            if layer == 0:
                bottom = m
        said.append((x, context, weights))
    return Said(*(np.stack(part) for part in zip(*said, strict=True)))


def layers(x: Array, states: Sequence[Any], cells: Sequence[Cell]) -> tuple[Array, list[Any]]:
    """Cells on top of each other over [time, input]: the highest outputs and the last states."""
    last = []
    for cell, state in zip(cells, states, strict=True):
        outputs = []
        for x_t in x:
            output, state = cell(x_t, state)
            outputs.append(output)
        x = np.stack(outputs)
        last.append(state)
    return x, last


def sutskever(
    source: Array,
    y: Array,
    encoder: Sequence[Cell],
    first: Sequence[Any],
    bridge: Callable[[list[Any]], list[Any]],
    decoder: Sequence[Cell],
) -> Array:
    """Sutskever et al. 2014, section 3: the source is read in reverse, its last states start the decoder.

    `bridge` makes the decoder's states of the encoder's; the paper hands them over as they are.
    """
    _, states = layers(source[::-1], first, encoder)
    return layers(y, bridge(states), decoder)[0]
