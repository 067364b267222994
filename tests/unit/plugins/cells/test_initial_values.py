"""Initial values of the cells from papers, and what their options do to them."""

import math

import pytest
import torch

from s2s.errors import ConfigError
from s2s.nn import RecurrentCell
from s2s_plugins.cells.indrnn import IndRNN
from s2s_plugins.cells.layer_norm_lstm import LayerNormLSTM
from s2s_plugins.cells.lstm import LSTM
from s2s_plugins.cells.mgu import MGU
from s2s_plugins.cells.minlstm import MinLSTM
from s2s_plugins.cells.multiplicative_lstm import MultiplicativeLSTM
from s2s_plugins.cells.peephole_lstm import PeepholeLSTM
from s2s_plugins.cells.slstm import SLSTM
from s2s_plugins.cells.sru import SRU

HIDDEN = 6


@pytest.mark.parametrize("cell", [LayerNormLSTM, PeepholeLSTM, MultiplicativeLSTM, MGU, SLSTM])
def test_recurrent_weights_are_orthogonal_gate_by_gate(cell: type) -> None:
    """Saxe et al. 2014."""
    for block in cell(5, HIDDEN).recurrent_weight.double().split(HIDDEN):
        torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN, dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("cell", "bias"), [(LayerNormLSTM, "bias"), (MultiplicativeLSTM, "bias"), (PeepholeLSTM, "input_bias")]
)
def test_forget_bias(cell: type, bias: str) -> None:
    """Without input and hidden state sigmoid(forget_bias) of the memory is kept; the other biases are 0."""
    for forget_bias, built in ((1.0, cell(5, HIDDEN)), (2.5, cell(5, HIDDEN, forget_bias=2.5))):
        assert getattr(built, bias).sum() == forget_bias * HIDDEN
        memory = torch.ones(1, HIDDEN)
        _, state = built.step(built.project(torch.zeros(1, 5)), (torch.zeros_like(memory), memory))
        torch.testing.assert_close(state[1], torch.full_like(memory, forget_bias).sigmoid())


def test_forget_bias_of_minlstm() -> None:
    """Without input, forget / (forget + input) of the state is kept."""
    cell = MinLSTM(5, HIDDEN, forget_bias=2.0)
    h, _ = cell.step(cell.project(torch.zeros(1, 5)), (torch.ones(1, HIDDEN),))
    forget = 1 / (1 + math.exp(-2.0))
    torch.testing.assert_close(h, torch.full((1, HIDDEN), forget / (forget + 0.5)))


def test_forget_bias_of_slstm() -> None:
    """It stands in the forget gate of every head: with weight e^1 before, and no input, log n = log(f e^1 + 1)."""
    cell = SLSTM(5, HIDDEN, heads=3, forget_bias=2.0)
    nothing = torch.zeros(1, HIDDEN)
    _, state = cell.step(cell.project(torch.zeros(1, 5)), (nothing, nothing, torch.ones(1, HIDDEN)))
    expected = math.log(math.e / (1 + math.exp(-2.0)) + 1)
    torch.testing.assert_close(state[2], torch.full((1, HIDDEN), expected))


def test_peepholes_start_from_an_lstm() -> None:
    torch.manual_seed(0)
    cell, plain = PeepholeLSTM(5, HIDDEN), LSTM(5, HIDDEN)
    weights = cell.state_dict()
    assert not weights.pop("peephole_weight").any()
    plain.load_state_dict(weights)
    x, state = torch.randn(2, 5), (torch.randn(2, HIDDEN), torch.randn(2, HIDDEN))
    torch.testing.assert_close(cell.step(cell.project(x), state)[0], plain.step(plain.project(x), state)[0])


def test_indrnn_starts_where_no_gradient_explodes() -> None:
    """Li et al. 2018, section 3.1: the gradient over n steps is u^n."""
    weight = IndRNN(5, 2000).recurrent_weight.detach()
    assert weight.min() >= 0 and weight.max() <= 1
    assert abs(float(weight.mean()) - 0.5) < 5 * (1 / 12 / 2000) ** 0.5


@pytest.mark.parametrize("highway_bias", [0.0, -2.0])
@pytest.mark.parametrize("same_size", [False, True])
def test_sru_keeps_the_variance_of_its_input(same_size: bool, highway_bias: float) -> None:
    """Lei et al. 2018, section 3.2: the candidate has the variance of x; a gate's two terms have half of it each."""
    torch.manual_seed(0)
    size = 400
    cell = SRU(size if same_size else 300, size, highway_bias=highway_bias)
    x = torch.randn(500, cell.input_size)
    candidate, forget, reset, highway = cell.project(x).detach().chunk(4, dim=-1)
    # Of 200,000 numbers, which share 120,000 weights and more: the error is about one in a hundred.
    assert candidate.var() == pytest.approx(1.0, rel=0.05)
    assert forget.var() == pytest.approx(0.5, rel=0.05) and reset.var() == pytest.approx(0.5, rel=0.05)
    assert highway.var() == pytest.approx(1 + 2 * math.exp(highway_bias), rel=0.05)
    assert cell.gate_weight.detach().square().mean() == pytest.approx(0.5, rel=0.2)  # 800 of them
    assert cell.gate_bias.tolist() == [[0.0] * size, [highway_bias] * size]


def test_slstm_begins_with_a_normalizer_of_zero() -> None:
    """c_0 = n_0 = 0 (Beck et al. 2024): after one step c / n is z and log n is log i, whatever the forget gate says."""
    torch.manual_seed(0)
    cell = SLSTM(5, HIDDEN)
    x = cell.project(torch.randn(3, 5))
    _, (_, content, log_normalizer) = cell.step(x, cell.initial_state(3, like=x))
    candidate, log_input, _, _ = x.chunk(4, dim=-1)
    torch.testing.assert_close(content, candidate.tanh())
    torch.testing.assert_close(log_normalizer, log_input)


def test_slstm_is_stable_where_exponentials_are_not() -> None:
    """exp(200) and exp(-200) are beyond float32; the gates' sums get there in no time."""
    cell = SLSTM(5, HIDDEN, forget_gate="exponential")
    state = cell.initial_state(2, like=torch.zeros(1))
    extremes = torch.tensor([200.0, -200.0]).view(2, 1).expand(2, HIDDEN)
    for _ in range(3):
        sums = torch.cat([torch.ones(2, HIDDEN), extremes, -extremes, torch.zeros(2, HIDDEN)], dim=-1)
        output, state = cell.step(sums.requires_grad_(), state)
    (gradient,) = torch.autograd.grad(output.sum(), sums)
    assert gradient.isfinite().all() and all(leaf.isfinite().all() for leaf in state)
    assert (output.abs() <= 1).all()


@pytest.mark.parametrize("heads", [0, 4, 7])
def test_slstm_heads_must_divide(heads: int) -> None:
    with pytest.raises(
        ConfigError, match=f"heads {heads} do not divide hidden_size 6; take one of its divisors"
    ):
        SLSTM(5, HIDDEN, heads=heads)


def test_slstm_heads_do_not_see_each_other() -> None:
    """Section 2.2 (memory mixing within heads): a change of one head's h reaches that head alone."""
    torch.manual_seed(0)
    cell: RecurrentCell = SLSTM(5, HIDDEN, heads=3).double()
    state = tuple(torch.randn(1, HIDDEN, dtype=torch.float64) for _ in range(3))
    x = cell.project(torch.randn(1, 5, dtype=torch.float64))
    before, _ = cell.step(x, state)
    changed = state[0].clone()
    changed[:, 2:4] += 1.0
    after, _ = cell.step(x, (changed, *state[1:]))
    assert ((before != after) == torch.tensor([[False, False, True, True, False, False]])).all()
