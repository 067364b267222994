"""Initial values and options of the cells, each as the paper named beside it has it."""

from functools import partial
from typing import Any

import pytest
import torch

from s2s.nn import unroll
from s2s_plugins.cells.elman import Elman
from s2s_plugins.cells.gru import GRU
from s2s_plugins.cells.lstm import LSTM

HIDDEN = 6


@pytest.mark.parametrize("cell", [Elman, GRU, LSTM])
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell: type) -> None:
    """Saxe et al. 2014: U U^T = 1, so that a signal neither grows nor dies on its way through time."""
    for block in cell(5, HIDDEN).recurrent_weight.double().split(HIDDEN):
        torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN, dtype=torch.float64), atol=1e-5, rtol=0)


def test_relu_starts_from_the_identity() -> None:
    """Le et al. 2015: with h >= 0 and no input, the state stays what it is."""
    cell = Elman(5, HIDDEN, activation="relu")
    h = torch.rand(2, HIDDEN)
    torch.testing.assert_close(cell.step(cell.project(torch.zeros(2, 5)), (h,))[0], h)


def test_lstm_forget_bias() -> None:
    """Jozefowicz et al. 2015: forget bias 1, others 0. Without input and hidden state sigmoid(1) is kept."""
    cell = LSTM(5, HIDDEN).double()
    assert cell.input_bias is not None and cell.input_bias.sum() == HIDDEN
    memory = torch.ones(1, HIDDEN, dtype=torch.float64)
    silence = cell.project(torch.zeros(1, 5, dtype=torch.float64))
    _, state = cell.step(silence, (torch.zeros_like(memory), memory))
    torch.testing.assert_close(state[1], torch.sigmoid(torch.ones_like(memory)))
    assert LSTM(5, HIDDEN, forget_bias=2.5).input_bias.sum() == 2.5 * HIDDEN


@pytest.mark.parametrize(("cell", "gates"), [(Elman, 1), (GRU, 3), (LSTM, 4)])
def test_input_weights_are_spread_gate_by_gate(cell: type, gates: int) -> None:
    """Glorot & Bengio 2010, eq. 16: uniform up to sqrt(6 / (fan in + fan out)), with the fans of one gate."""
    weight = cell(50, 40).input_weight
    bound = (6 / (50 + 40)) ** 0.5
    assert weight.shape == (gates * 40, 50)
    assert 0.98 * bound < weight.abs().max() <= bound


@pytest.mark.parametrize("cell", [Elman, GRU, LSTM])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_has_a_fused_way(cell: type, dtype: torch.dtype) -> None:
    """Else the comparisons of fused and stepped would compare steps with steps."""
    built = cell(3, 4).to(dtype)
    x = torch.randn(2, 3, 3, dtype=dtype)
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert built.fused(x, mask, built.initial_state(2, like=x), None) is not None


@pytest.mark.parametrize(("cell", "kernel"), [(Elman, "rnn_tanh"), (GRU, "gru"), (LSTM, "lstm")])
def test_kernels_are_told_whether_gradients_follow(
    cell: type, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuDNN raises in the backward pass of a run with train=False, whatever mode the module is in."""
    told = []
    original = getattr(torch, kernel)

    def spy(*arguments: Any) -> Any:
        told.append(arguments[6])  # x, state, weights, has_biases, layers, dropout, train, ...
        return original(*arguments)

    monkeypatch.setattr(torch, kernel, spy)
    built = cell(3, 4).eval()
    unroll(built, torch.randn(2, 3, 3), torch.tensor([3, 1]))
    with torch.no_grad():
        unroll(built, torch.randn(2, 3, 3), torch.tensor([3, 1]))
    assert told == [True, False]


@pytest.mark.parametrize("cell", [Elman, GRU, LSTM])
def test_recurrent_dropout_is_one_mask_per_sequence(cell: type) -> None:
    """Gal & Ghahramani 2016. Zeros with the given probability, the others scaled so that the mean stays 1."""
    torch.manual_seed(0)
    built = cell(3, 1000, recurrent_dropout=0.25).train()
    (mask,) = built.noise(2, like=torch.zeros(1))
    assert mask.shape == (2, 1000)
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert abs(float(mask.mean()) - 1.0) < 0.05  # 2,000 draws: standard error 0.013
    assert not torch.equal(mask[0], mask[1])


VARIANTS = [
    partial(Elman, activation="tanh"),
    partial(Elman, activation="relu"),
    LSTM,
    GRU,
    partial(GRU, reset_before=True),
]


@pytest.mark.parametrize("make", VARIANTS)
def test_recurrent_dropout_is_on_the_recurrent_products(make: Any) -> None:
    """U (h * mask) = (U diag(mask)) h: a mask is the same as columns of U scaled by it, and touches nothing else."""
    torch.manual_seed(0)
    noisy, plain = make(3, HIDDEN, recurrent_dropout=0.5).double(), make(3, HIDDEN).double()
    plain.load_state_dict(noisy.state_dict())
    x, lengths = torch.randn(1, 5, 3, dtype=torch.float64), torch.tensor([5])
    (mask,) = noisy.train().noise(1, like=x)
    assert mask.unique().numel() == 2
    found, state = unroll(noisy, x, lengths, noise=(mask,))
    with torch.no_grad():
        plain.recurrent_weight *= mask
    expected, expected_state = unroll(plain, x, lengths)
    torch.testing.assert_close(found, expected)
    for leaf, wanted in zip(state, expected_state, strict=True):
        torch.testing.assert_close(leaf, wanted)
