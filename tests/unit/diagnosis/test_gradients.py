"""Norms of Jacobians: against back-propagation by hand in NumPy, and against what can be worked out on paper."""

import math

import numpy as np
import pytest
import torch

from s2s.diagnosis.gradients import input_gradients, per_step
from s2s.nn import RecurrentCell, leaves, unroll
from s2s.testing.odd_cells import CountingCell, HookedCell, OddCell, ScalarCell, SlotCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.lstm import LSTM
from tests.unit.plugins.cells.test_against_numpy import CASES, HIDDEN, INPUT

TIME = 6


@pytest.mark.parametrize("name", CASES)
def test_as_back_propagated_by_hand(name: str) -> None:
    torch.manual_seed(1)
    make, reference = CASES[name]
    cell = make().double()
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, TIME, INPUT, dtype=torch.float64)
    found = input_gradients(cell, x).numpy()
    state = tuple(leaf[0].numpy() for leaf in leaves(cell.initial_state(1, like=x)))
    nothing = tuple(np.zeros(HIDDEN) for _ in state)
    for row, sequence in enumerate(x.numpy()):
        jacobian = np.zeros((HIDDEN, TIME, INPUT))
        for unit in range(HIDDEN):
            on_outputs = np.zeros((TIME, HIDDEN))
            on_outputs[-1, unit] = 1.0
            jacobian[unit] = reference(cell, sequence, state, on_outputs, nothing).d_x
        for distance in range(TIME):
            wanted = np.sqrt((jacobian[:, TIME - 1 - distance] ** 2).sum())
            assert found[row, distance] == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_an_elman_network_that_is_linear(factor: float) -> None:
    """At h = 0 tanh has slope 1: with U = c I, d h_T / d x_t is c^distance W, exactly."""
    cell = Elman(3, 4)
    cell.recurrent_weight.data = factor * torch.eye(4)
    (norms,) = input_gradients(cell, torch.zeros(1, 100, 3))
    first = float(cell.input_weight.detach().double().norm())
    for distance in (0, 1, 10, 99):
        assert float(norms[distance]) == pytest.approx(first * factor**distance, rel=1e-9)
    assert per_step(norms.tolist()) == pytest.approx(factor)


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_an_lstm_keeps_what_its_forget_gate_lets_pass(bias: float) -> None:
    """Without U and inputs: c_T = sum of forget^distance * input * candidate, so each step back costs sigmoid(bias)."""
    cell = LSTM(3, 4, forget_bias=bias)
    cell.recurrent_weight.data.zero_()
    (norms,) = input_gradients(cell, torch.zeros(1, 50, 3))
    candidate = cell.input_weight.detach()[8:12].double()  # blocks: input, forget, candidate, output
    at_once = 0.5 * 0.5 * float(candidate.norm())  # input and output gate are half open; tanh has slope 1
    forget = 1 / (1 + math.exp(-bias))
    for distance in (0, 1, 10, 49):
        assert float(norms[distance]) == pytest.approx(at_once * forget**distance, rel=1e-9)


@pytest.mark.parametrize("kind", [OddCell, SlotCell, ScalarCell, CountingCell, HookedCell])
def test_cells_that_look_like_none_of_ours(kind: type[RecurrentCell]) -> None:
    """The Jacobian row by row, one sequence in the batch, by a loop."""
    torch.manual_seed(2)
    cell = kind(3, 4).double().eval()
    x = torch.randn(1, TIME, 3, dtype=torch.float64, requires_grad=True)
    outputs, _ = unroll(cell, x, torch.tensor([TIME]))
    rows = [torch.autograd.grad(unit, x, retain_graph=True)[0][0] for unit in outputs[0, -1]]
    wanted = torch.stack(rows, dim=1).flatten(1).norm(dim=1).flip(0)
    torch.testing.assert_close(input_gradients(cell, x)[0], wanted, rtol=1e-10, atol=0)


def test_the_cell_is_left_as_it_was_and_dropout_is_off() -> None:
    torch.manual_seed(3)
    cell = Elman(3, 4, recurrent_dropout=0.9)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    x = torch.randn(2, TIME, 3)
    found = input_gradients(cell, x)
    assert cell.training and all(parameter.grad is None for parameter in cell.parameters())
    assert all(torch.equal(value, before[name]) for name, value in cell.state_dict().items())
    plain = Elman(3, 4)
    plain.load_state_dict(before)
    torch.testing.assert_close(found, input_gradients(plain, x), rtol=1e-12, atol=0)


def test_the_factor_of_a_step() -> None:
    assert per_step([99.0, 8.0, 4.0, 2.0]) == pytest.approx(0.5)
    assert per_step([99.0, 1.0, 0.0, 9.0]) == pytest.approx(3.0)
    for nothing in ([1.0], [1.0, 1.0], [1.0, 1.0, 0.0], [1.0, math.nan, 1.0], [1.0, 1.0, math.inf]):
        assert per_step(nothing) is None
