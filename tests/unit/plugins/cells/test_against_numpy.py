"""Elman, LSTM and GRU against the NumPy recurrences: outputs, last states, every gradient; float64 to 1e-10.

torch runs a whole padded batch (the fused way where there is one); NumPy runs one sentence at a time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.nn import RecurrentCell, leaves, map_state, run_steps, unroll
from s2s.nn.unroll import length_mask
from s2s.testing import numpy_cells
from s2s.testing.numpy_cells import Affine, GRUParameters, LSTMParameters
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM

INPUT, HIDDEN = 3, 4
TOLERANCE = 1e-10  # float64 over a few steps: rounding of 1e-16 a step, with room for sums


class Result(NamedTuple):
    """One sentence through NumPy: what must come out, and what the loss's gradients must be."""

    outputs: np.ndarray
    last_state: tuple[np.ndarray, ...]
    d_x: np.ndarray
    d_state: tuple[np.ndarray, ...]
    d_parameters: dict[str, np.ndarray]


def blocks(cell: RecurrentCell, names: list[str]) -> dict[str, Affine]:
    """The cell's stacked weights, cut into the gates that its docstring names, in that order."""
    gates = {}
    for i, name in enumerate(names):
        rows = slice(i * HIDDEN, (i + 1) * HIDDEN)
        gates[name] = Affine(
            *(p.detach().numpy()[rows] for p in (cell.input_weight, cell.recurrent_weight, cell.input_bias))
        )
    return gates


def stacked(gates: list[Affine]) -> dict[str, np.ndarray]:
    """Gradients of the gates, stacked as the cell stacks its weights."""
    return {
        "input_weight": np.concatenate([gate.W for gate in gates]),
        "recurrent_weight": np.concatenate([gate.U for gate in gates]),
        "input_bias": np.concatenate([gate.b for gate in gates]),
    }


def elman(activation: str) -> Callable[..., Result]:
    def run(cell: RecurrentCell, x: np.ndarray, state: Any, on_outputs: np.ndarray, on_last: Any) -> Result:
        parameters = blocks(cell, ["all"])["all"]
        outputs, last, trace = numpy_cells.elman_forward(x, state[0], parameters, activation)
        d_x, d_h, d = numpy_cells.elman_backward(trace, parameters, on_outputs, on_last[0], activation)
        return Result(outputs, (last,), d_x, (d_h,), stacked([d]))

    return run


def lstm(cell: RecurrentCell, x: np.ndarray, state: Any, on_outputs: np.ndarray, on_last: Any) -> Result:
    parameters = LSTMParameters(**blocks(cell, ["input", "forget", "cell", "output"]))
    outputs, last, trace = numpy_cells.lstm_forward(x, state, parameters)
    d_x, d_state, d = numpy_cells.lstm_backward(trace, parameters, on_outputs, on_last)
    return Result(outputs, last, d_x, d_state, stacked(list(d)))


def gru(reset_after: bool) -> Callable[..., Result]:
    def run(cell: RecurrentCell, x: np.ndarray, state: Any, on_outputs: np.ndarray, on_last: Any) -> Result:
        bias = cell.candidate_bias.detach().numpy() if reset_after else np.zeros(HIDDEN)
        parameters = GRUParameters(**blocks(cell, ["reset", "update", "candidate"]), recurrent_bias=bias)
        outputs, last, trace = numpy_cells.gru_forward(x, state[0], parameters, reset_after=reset_after)
        d_x, d_h, d = numpy_cells.gru_backward(
            trace, parameters, on_outputs, on_last[0], reset_after=reset_after
        )
        gradients = stacked([d.reset, d.update, d.candidate])
        if reset_after:
            gradients["candidate_bias"] = d.recurrent_bias
        return Result(outputs, (last,), d_x, (d_h,), gradients)

    return run


CASES: dict[str, tuple[Callable[[], RecurrentCell], Callable[..., Result]]] = {
    "Elman-tanh": (lambda: Elman(INPUT, HIDDEN), elman("tanh")),
    "Elman-relu": (lambda: Elman(INPUT, HIDDEN, activation="relu"), elman("relu")),
    "LSTM": (lambda: LSTM(INPUT, HIDDEN), lstm),
    "GRU-reset-after": (lambda: GRU(INPUT, HIDDEN), gru(True)),
    "GRU-reset-before": (lambda: GRU(INPUT, HIDDEN, reset_before=True), gru(False)),
}


def hold_against_numpy(
    name: str, lengths: list[int], *, reverse: bool = False, steps_only: bool = False, from_zero: bool = False
) -> None:
    make, reference = CASES[name]
    cell = make().double()
    for parameter in cell.parameters():  # off the initial values: zero biases would hide a wrong one
        torch.nn.init.normal_(parameter, std=0.5)
    batch, time = len(lengths), max(lengths)
    x = torch.randn(batch, time, INPUT, dtype=torch.float64, requires_grad=True)
    state = cell.initial_state(batch, like=x)
    if from_zero:
        assert all(not leaf.any() for leaf in leaves(state))
    else:
        state = map_state(torch.randn_like, state)
    state = map_state(lambda leaf: leaf.clone().requires_grad_(), state)
    mask = length_mask(torch.tensor(lengths), time)
    if steps_only:
        outputs, last = run_steps(cell, x, mask, state, None)
    else:
        outputs, last = unroll(cell, x, torch.tensor(lengths), state, reverse=reverse)
    on_outputs = torch.randn_like(outputs).masked_fill(~mask.unsqueeze(-1), 0)
    on_last = [torch.randn_like(leaf) for leaf in leaves(last)]
    loss = (outputs * on_outputs).sum()
    loss = loss + sum((leaf * on).sum() for leaf, on in zip(leaves(last), on_last, strict=True))
    parameters = dict(cell.named_parameters())
    gradients = torch.autograd.grad(loss, [x, *leaves(state), *parameters.values()])
    d_x, d_state = gradients[0], gradients[1 : 1 + len(on_last)]
    d_parameters = dict(zip(parameters, gradients[1 + len(on_last) :], strict=True))

    expected_parameters = {key: np.zeros(value.shape) for key, value in parameters.items()}
    for row, length in enumerate(lengths):
        order = slice(None, None, -1) if reverse else slice(None)
        expected = reference(
            cell,
            x.detach().numpy()[row, :length][order],
            tuple(leaf.detach().numpy()[row] for leaf in leaves(state)),
            on_outputs.numpy()[row, :length][order],
            tuple(leaf.numpy()[row] for leaf in on_last),
        )
        pairs = [
            (outputs[row, :length], expected.outputs[order]),
            (d_x[row, :length], expected.d_x[order]),
            *zip((leaf[row] for leaf in leaves(last)), expected.last_state, strict=True),
            *zip((leaf[row] for leaf in d_state), expected.d_state, strict=True),
        ]
        for found, wanted in pairs:
            np.testing.assert_allclose(found.detach().numpy(), wanted, atol=TOLERANCE, rtol=TOLERANCE)
        assert not d_x[row, length:].any()
        for key, value in expected.d_parameters.items():
            expected_parameters[key] += value
    for key, wanted in expected_parameters.items():
        np.testing.assert_allclose(d_parameters[key].numpy(), wanted, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, reverse: bool) -> None:
    torch.manual_seed(1)
    hold_against_numpy(name, [5, 1, 3], reverse=reverse)


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    torch.manual_seed(2)
    hold_against_numpy(name, [4, 2], steps_only=True)


@pytest.mark.parametrize("name", CASES)
def test_first_state_is_zero(name: str) -> None:
    torch.manual_seed(3)
    hold_against_numpy(name, [3, 1], from_zero=True)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=10, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    reverse=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_any_lengths(name: str, lengths: list[int], reverse: bool, seed: int) -> None:
    torch.manual_seed(seed)
    hold_against_numpy(name, lengths, reverse=reverse)
