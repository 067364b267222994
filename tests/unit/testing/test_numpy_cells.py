"""The NumPy cells' hand-derived gradients against central differences: a reference needs its own proof."""

from collections.abc import Callable

import numpy as np
import pytest

from s2s.testing import numpy_cells as cells

TIME, INPUT, HIDDEN = 4, 3, 2
STEP = 1e-5  # central differences err by STEP^2 ~ 1e-10 and by rounding ~ 1e-16 / STEP = 1e-11
TOLERANCE = 1e-8


def random_affine(random: np.random.Generator) -> cells.Affine:
    return cells.Affine(
        random.normal(size=(HIDDEN, INPUT)), random.normal(size=(HIDDEN, HIDDEN)), random.normal(size=HIDDEN)
    )


def differences(loss: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """dloss/darray by central differences; the array is changed in place and restored."""
    result = np.zeros_like(array)
    for place in np.ndindex(*array.shape):
        kept = array[place]
        array[place] = kept + STEP
        above = loss()
        array[place] = kept - STEP
        below = loss()
        array[place] = kept
        result[place] = (above - below) / (2 * STEP)
    return result


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_elman_gradients(activation: str) -> None:
    random = np.random.default_rng(1)
    x, hidden = random.normal(size=(TIME, INPUT)), random.normal(size=HIDDEN)
    parameters = random_affine(random)
    on_outputs, on_last = random.normal(size=(TIME, HIDDEN)), random.normal(size=HIDDEN)

    def loss() -> float:
        outputs, last, _ = cells.elman_forward(x, hidden, parameters, activation)
        return float((outputs * on_outputs).sum() + last @ on_last)

    trace = cells.elman_forward(x, hidden, parameters, activation)[-1]
    d_x, d_hidden, d_parameters = cells.elman_backward(trace, parameters, on_outputs, on_last, activation)
    for found, array in [(d_x, x), (d_hidden, hidden), *zip(d_parameters, parameters, strict=True)]:
        np.testing.assert_allclose(found, differences(loss, array), atol=TOLERANCE)


def test_lstm_gradients() -> None:
    random = np.random.default_rng(2)
    x, state = random.normal(size=(TIME, INPUT)), (random.normal(size=HIDDEN), random.normal(size=HIDDEN))
    parameters = cells.LSTMParameters(*(random_affine(random) for _ in range(4)))
    on_outputs, on_last = random.normal(size=(TIME, HIDDEN)), random.normal(size=(2, HIDDEN))

    def loss() -> float:
        outputs, last, _ = cells.lstm_forward(x, state, parameters)
        return float((outputs * on_outputs).sum() + last[0] @ on_last[0] + last[1] @ on_last[1])

    trace = cells.lstm_forward(x, state, parameters)[-1]
    d_x, d_state, d_parameters = cells.lstm_backward(trace, parameters, on_outputs, (on_last[0], on_last[1]))
    pairs = [(d_x, x), (d_state[0], state[0]), (d_state[1], state[1])]
    for d_gate, gate in zip(d_parameters, parameters, strict=True):
        pairs += zip(d_gate, gate, strict=True)
    for found, array in pairs:
        np.testing.assert_allclose(found, differences(loss, array), atol=TOLERANCE)


@pytest.mark.parametrize("reset_after", [False, True])
def test_gru_gradients(reset_after: bool) -> None:
    random = np.random.default_rng(3)
    x, hidden = random.normal(size=(TIME, INPUT)), random.normal(size=HIDDEN)
    parameters = cells.GRUParameters(*(random_affine(random) for _ in range(3)), random.normal(size=HIDDEN))
    on_outputs, on_last = random.normal(size=(TIME, HIDDEN)), random.normal(size=HIDDEN)

    def loss() -> float:
        outputs, last, _ = cells.gru_forward(x, hidden, parameters, reset_after=reset_after)
        return float((outputs * on_outputs).sum() + last @ on_last)

    trace = cells.gru_forward(x, hidden, parameters, reset_after=reset_after)[-1]
    d_x, d_hidden, d_parameters = cells.gru_backward(
        trace, parameters, on_outputs, on_last, reset_after=reset_after
    )
    pairs = [(d_x, x), (d_hidden, hidden), (d_parameters.recurrent_bias, parameters.recurrent_bias)]
    for d_gate, gate in zip(d_parameters[:3], parameters[:3], strict=True):
        pairs += zip(d_gate, gate, strict=True)
    for found, array in pairs:
        np.testing.assert_allclose(found, differences(loss, array), atol=TOLERANCE)


def test_lstm_keeps_its_memory_when_told_to() -> None:
    """Worked by hand: gates saturated to input 0, forget 1, output 1 leave c alone and show tanh(c)."""
    zeros, shut = np.zeros((1, 1)), np.array([-1e4])
    parameters = cells.LSTMParameters(
        cells.Affine(zeros, zeros, shut),
        cells.Affine(zeros, zeros, -shut),
        cells.Affine(zeros, zeros, shut),
        cells.Affine(zeros, zeros, -shut),
    )
    state = (np.zeros(1), np.array([0.5]))
    outputs, (hidden, memory), _ = cells.lstm_forward(np.ones((3, 1)), state, parameters)
    assert memory == 0.5
    np.testing.assert_allclose(outputs, np.tanh(0.5))
    np.testing.assert_allclose(hidden, np.tanh(0.5))
