"""Cells over time in ONNX: the operators are twins of the loops, and nothing is left behind on a cell."""

import functools

import numpy as np
import onnxruntime
import pytest
import torch
from torch.export import Dim

from s2s.export.graphs import export_part
from s2s.export.recurrence import traceable
from s2s.nn import RecurrentCell, Stack, leaves, unroll
from s2s.testing.odd_cells import CountingCell, OddCell, ScalarCell, SlotCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.cells.mgu import MGU
from s2s_plugins.cells.peephole_lstm import PeepholeLSTM

OPERATORS = {
    "Elman relu": (functools.partial(Elman, activation="relu"), "RNN"),
    "GRU reset_before": (functools.partial(GRU, reset_before=True), "GRU"),
    "LSTM": (LSTM, "LSTM"),
    "PeepholeLSTM": (PeepholeLSTM, "LSTM"),
}


class Sequence(torch.nn.Module):
    """Outputs and last state of a cell that begins with a state that is not zero."""

    def __init__(self, cell: RecurrentCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x, lengths):
        state = self.cell.state_from(x[:, 0, :1].expand(-1, self.cell.feature_size))
        outputs, state = unroll(self.cell, x, lengths, state)
        return outputs, *leaves(state)


def exported(cell):
    sequence = Sequence(cell)
    inputs = torch.randn(3, 5, cell.input_size), torch.tensor([5, 2, 3])
    free = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC}
    with torch.no_grad(), traceable(sequence):
        names = [f"out_{place}" for place in range(1 + len(leaves(cell.initial_state(1, like=inputs[0]))))]
        return export_part(sequence, inputs, free, ["x", "lengths"], names)


def random_cell(factory, seed=0):
    torch.manual_seed(seed)
    cell = factory(3, 4).eval()
    for parameter in cell.parameters():  # no bias, gate or peephole stays at zero
        torch.nn.init.normal_(parameter, std=0.5)
    return cell


def expect_equal(graph, cell, lengths=(4, 7, 1, 6)):
    x = torch.randn(len(lengths), max(lengths), cell.input_size)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    found = session.run(None, {"x": x.numpy(), "lengths": np.array(lengths)})
    with torch.no_grad():
        expected = Sequence(cell)(x, torch.tensor(lengths))
    for value, wanted in zip(found, expected, strict=True):
        assert value == pytest.approx(wanted.numpy(), abs=1e-5)


def operators(graph):
    return {node.op_type for node in graph.graph.node} & {"RNN", "GRU", "LSTM", "Scan"}


@pytest.mark.parametrize("name", OPERATORS)
def test_a_cell_as_an_operator(name):
    factory, operator = OPERATORS[name]
    cell = random_cell(factory)
    graph = exported(cell)
    assert operators(graph) == {operator}
    (node,) = [node for node in graph.graph.node if node.op_type == operator]
    weights = {tensor.name for tensor in graph.graph.initializer}  # worked out, not to be worked out
    assert {node.input[place] for place in (1, 2, 3)} <= weights
    expect_equal(graph, cell)


@pytest.mark.parametrize(
    "factory", [OddCell, SlotCell, ScalarCell, CountingCell], ids=lambda factory: factory.__name__
)
def test_any_other_cell_as_a_loop(factory):
    cell = random_cell(factory)
    graph = exported(cell)
    assert operators(graph) == {"Scan"}
    expect_equal(graph, cell)
    expect_equal(graph, cell, lengths=(1,))


def test_a_cell_that_changes_the_step_is_no_operator_any_more():
    class Damped(LSTM):
        def step(self, x, state, noise=None):
            output, state = super().step(0.5 * x, state, noise)
            return output, state

    cell = random_cell(Damped)
    graph = exported(cell)
    assert operators(graph) == {"Scan"}
    expect_equal(graph, cell)


def test_a_stack_is_walked_layer_by_layer():
    torch.manual_seed(0)
    cell = Stack([LSTM(3, 4), MGU(4, 4)], residual=True).eval()
    graph = exported(cell)
    assert operators(graph) == {"LSTM", "Scan"}
    expect_equal(graph, cell)


def test_cells_are_afterwards_what_they_were_before():
    cell = LSTM(3, 4)
    with pytest.raises(ZeroDivisionError), traceable(cell):
        assert type(cell) is not LSTM and isinstance(cell, LSTM)
        raise ZeroDivisionError
    assert type(cell) is LSTM
