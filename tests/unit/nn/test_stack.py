"""Stacks against their layers in NumPy, one upon the other, and dropout between them."""

from typing import Any

import numpy as np
import pytest
import torch

from s2s.nn import RecurrentCell, Stack, leaves, unroll
from s2s.testing import numpy_cells
from s2s.testing.numpy_cells import Affine, GRUParameters, LSTMParameters
from s2s.testing.odd_cells import OddCell
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM

INPUT, HIDDEN, TIME = 3, 4, 5


def gates(cell: RecurrentCell, count: int) -> list[Affine]:
    """The cell's stacked weights, gate by gate."""
    weights = [cell.input_weight, cell.recurrent_weight, cell.input_bias]
    parts = [weight.detach().numpy().reshape(count, HIDDEN, *weight.shape[1:]) for weight in weights]
    return [Affine(*(part[i] for part in parts)) for i in range(count)]


@pytest.mark.parametrize("width", [INPUT, HIDDEN])
@pytest.mark.parametrize("residual", [False, True])
def test_three_layers_against_numpy(residual: bool, width: int) -> None:
    """Wu et al. 2016, section 3.1: from the second layer on, the output is the cell's plus its input."""
    torch.manual_seed(0)
    lstm, gru, elman = LSTM(width, HIDDEN), GRU(HIDDEN, HIDDEN), Elman(HIDDEN, HIDDEN)
    stack = Stack([lstm, gru, elman], residual=residual).double()
    x = torch.randn(1, TIME, width, dtype=torch.float64)
    outputs, state = unroll(stack, x, torch.tensor([TIME]))

    zeros = np.zeros(HIDDEN)
    first, (h, c), _ = numpy_cells.lstm_forward(x[0].numpy(), (zeros, zeros), LSTMParameters(*gates(lstm, 4)))
    bias = gru.candidate_bias.detach().numpy()
    parameters = GRUParameters(*gates(gru, 3), bias)
    second, second_last, _ = numpy_cells.gru_forward(first, zeros, parameters, reset_after=True)
    second = second + first if residual else second
    third, third_last, _ = numpy_cells.elman_forward(second, zeros, gates(elman, 1)[0])
    third = third + second if residual else third
    np.testing.assert_allclose(outputs[0].detach().numpy(), third, atol=1e-12)
    for leaf, expected in zip(leaves(state), (h, c, second_last, third_last), strict=True):
        np.testing.assert_allclose(leaf[0].detach().numpy(), expected, atol=1e-12)  # states without the sums


def test_sizes_and_what_is_read() -> None:
    stack = Stack([LSTM(INPUT, HIDDEN), OddCell(HIDDEN, HIDDEN)])
    assert stack.input_size == INPUT and stack.output_size == HIDDEN + 2
    assert stack.state_sizes == (HIDDEN, HIDDEN, HIDDEN + 2, HIDDEN, 1)
    assert stack.feature_size == sum(stack.state_sizes)
    state = stack.initial_state(2, like=torch.zeros(1))
    assert torch.equal(stack.read(state), state[1][0])


def test_a_layer_of_another_width_gets_no_residual() -> None:
    torch.manual_seed(0)
    cells = [GRU(INPUT, HIDDEN), OddCell(HIDDEN, HIDDEN)]
    x, length = torch.randn(1, TIME, INPUT), torch.tensor([TIME])
    plain, _ = unroll(Stack(cells), x, length)
    residual, _ = unroll(Stack(cells, residual=True), x, length)
    assert torch.equal(plain, residual)


def test_dropout_is_off_in_evaluation_and_for_one_layer() -> None:
    torch.manual_seed(0)
    x, lengths = torch.randn(2, TIME, INPUT), torch.tensor([TIME, 2])
    cells = [GRU(INPUT, HIDDEN), GRU(HIDDEN, HIDDEN)]
    expected, _ = unroll(Stack(cells), x, lengths)
    for variational in (False, True):
        stack = Stack(cells, dropout=0.5, variational=variational).eval()
        assert torch.equal(unroll(stack, x, lengths)[0], expected)
        assert not torch.equal(unroll(stack.train(), x, lengths)[0], expected)
        single = Stack(cells[:1], dropout=0.5, variational=variational).train()
        assert torch.equal(unroll(single, x, lengths)[0], unroll(Stack(cells[:1]), x, lengths)[0])


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_between_layers(variational: bool) -> None:
    class Echo(RecurrentCell):
        """Its output is its input."""

        def step(self, x: torch.Tensor, state: Any, noise: Any = None) -> tuple[torch.Tensor, Any]:
            return x, state

    torch.manual_seed(0)
    stack = Stack([Echo(50, 50), Echo(50, 50)], dropout=0.5, variational=variational).train()
    outputs, _ = unroll(stack, torch.ones(2, TIME, 50), torch.tensor([TIME, TIME]))
    assert outputs.unique().tolist() == [0.0, 2.0]  # kept values are scaled by 1 / (1 - 0.5)
    assert bool((outputs == outputs[:, :1]).all()) == variational
    assert not torch.equal(outputs[0], outputs[1])


def test_without_noise_nothing_variational_is_dropped() -> None:
    """The masks are drawn once per sequence; a step must not draw its own."""
    torch.manual_seed(0)
    stack = Stack([GRU(INPUT, HIDDEN), GRU(HIDDEN, HIDDEN)], dropout=0.5, variational=True)
    x = torch.randn(2, INPUT)
    state = stack.initial_state(2, like=x)
    expected, _ = stack.eval().step(stack.project(x), state)
    found, _ = stack.train().step(stack.project(x), state)
    assert torch.equal(found, expected)


def test_each_layer_is_given_zeros_at_padding() -> None:
    """What a layer leaves at padding is of any value; the next one's fused way is promised zeros."""

    class Careless(GRU):
        def fused(self, x: torch.Tensor, mask: torch.Tensor, state: Any, noise: Any) -> Any:
            assert not x[~mask].any()
            result = super().fused(x, mask, state, noise)
            assert result is not None
            return result[0].masked_fill(~mask.unsqueeze(-1), float("nan")), result[1]

    torch.manual_seed(0)
    cells = [Careless(INPUT, HIDDEN), Careless(HIDDEN, HIDDEN), Careless(HIDDEN, HIDDEN)]
    x, lengths = torch.randn(2, TIME, INPUT), torch.tensor([TIME, 2])
    for residual in (False, True):
        outputs, state = unroll(Stack(cells, residual=residual), x, lengths)
        assert all(value.isfinite().all() for value in (outputs, *leaves(state)))
        gradients = torch.autograd.grad(outputs.sum(), list(cells[0].parameters()))
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_variational_masks_are_on_the_inputs_of_the_upper_layers() -> None:
    """W (x * mask) = (W diag(mask)) x: a mask is the same as columns of the upper layer's input weights scaled."""
    torch.manual_seed(0)
    cells = [LSTM(INPUT, HIDDEN), GRU(HIDDEN, HIDDEN), LSTM(HIDDEN, HIDDEN)]
    stack = Stack(cells, dropout=0.5, variational=True, residual=True).double().train()
    x, length = torch.randn(1, TIME, INPUT, dtype=torch.float64), torch.tensor([TIME])
    noise = stack.noise(1, like=x)
    found, _ = unroll(stack, x, length, noise=noise)
    _, masks = noise
    assert len(masks) == 2 and all(mask.unique().numel() == 2 for mask in masks)
    with torch.no_grad():
        for cell, mask in zip(cells[1:], masks, strict=True):
            assert cell.input_weight is not None
            cell.input_weight *= mask
    expected, _ = unroll(stack.eval(), x, length)  # the residual goes past the mask
    torch.testing.assert_close(found, expected)
