"""The encoder of Wu et al. 2016 in NumPy, with LSTM cells: one sentence [source, input]."""

import numpy as np

from s2s.testing.numpy_cells import LSTMParameters, lstm_forward
from tests.references.attention import Array

States = list[tuple[Array, Array]]


def gnmt(
    x: Array, rightward: LSTMParameters, leftward: LSTMParameters, higher: list[LSTMParameters]
) -> tuple[Array, States]:
    """Outputs [source, hidden], and the last states: rightward, leftward, then layer by layer."""

    def run(x: Array, parameters: LSTMParameters) -> tuple[Array, tuple[Array, Array]]:
        zero = np.zeros(len(parameters.input.b))
        outputs, state, _ = lstm_forward(x, (zero, zero), parameters)
        return outputs, state

    forwards, forward_state = run(x, rightward)
    backwards, backward_state = run(x[::-1], leftward)
    x = np.concatenate([forwards, backwards[::-1]], axis=1)  # section 3.2
    states = [forward_state, backward_state]
    for layer, parameters in enumerate(higher, start=2):
        m, state = run(x, parameters)
        x = m + x if layer >= 3 else m  # section 3.1, eq. 6; figure 1: from the third layer on
        states.append(state)
    return x, states
