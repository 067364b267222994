"""QRNN's zoneout: which units stand still, and what that does to the others (nothing)."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import unroll
from s2s_plugins.cells.qrnn import QRNN, TICK
from tests.unit.plugins.cells.test_against_papers import HIDDEN, INPUT, qrnn

RATE = 0.3
BATCH, TIME, UNITS = 4, 50, 500


def kept_units(cell: QRNN, x: Tensor, noise: Any) -> Tensor:
    """Units that are at each step what they were before it, bit for bit, [batch, time, hidden]."""
    state = cell.initial_state(x.size(0), like=x)
    state = (torch.randn_like(state[0]), *state[1:])
    kept = []
    for x_t in x.unbind(1):
        _, following = cell.step(cell.project(x_t), state, noise)
        kept.append(following[0] == state[0])
        state = following
    return torch.stack(kept, dim=1)


def test_masks_are_independent_with_the_given_probability() -> None:
    """Over steps, units and rows; also side by side in each of them. Within five standard errors."""
    torch.manual_seed(0)
    cell = QRNN(2, UNITS, zoneout=RATE).double().train()
    x = torch.randn(BATCH, TIME, 2, dtype=torch.float64)
    kept = kept_units(cell, x, cell.noise(BATCH, like=x)).double()

    def expect(values: Tensor, probability: float) -> None:
        error = (probability * (1 - probability) / values.numel()) ** 0.5
        assert abs(float(values.mean()) - probability) < 5 * error

    expect(kept, RATE)
    for time in (0, 1, TIME - 1):
        expect(kept[:, time], RATE)
    for distance in (1, 2, 7):
        expect(kept[:, distance:] * kept[:, :-distance], RATE**2)
        expect(kept[:, :, distance:] * kept[:, :, :-distance], RATE**2)
    expect(kept[1:] * kept[:-1], RATE**2)
    assert kept.sum(1).std() == pytest.approx(
        (TIME * RATE * (1 - RATE)) ** 0.5, rel=0.1
    )  # binomial; 2,000 of them


def test_equals_the_equations() -> None:
    """Eq. 6 with the masks that were drawn: the others are neither rescaled nor touched."""
    torch.manual_seed(0)
    cell = QRNN(INPUT, HIDDEN, window=3, zoneout=0.5).double().train()
    x = torch.randn(1, 6, INPUT, dtype=torch.float64)
    noise = cell.noise(1, like=x)
    kept = kept_units(cell, x, noise)
    assert kept.any() and not kept.all()
    outputs, last = unroll(cell, x, torch.tensor([6]), noise=noise)
    weights = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    first = tuple(np.zeros(size) for size in cell.state_sizes[:-1])
    expected, state = qrnn(weights, x[0].numpy(), first, window=3, kept=kept[0].numpy())
    np.testing.assert_allclose(outputs[0].detach().numpy(), expected, atol=1e-12)  # float64, six steps
    for leaf, wanted in zip(last[:-1], state, strict=True):
        np.testing.assert_allclose(leaf[0].detach().numpy(), wanted, atol=1e-12)


def test_in_evaluation_it_is_the_cell_without() -> None:
    torch.manual_seed(0)
    cell, plain = QRNN(INPUT, HIDDEN, zoneout=0.5).eval(), QRNN(INPUT, HIDDEN)
    plain.load_state_dict(cell.state_dict())
    x, lengths = torch.randn(2, 5, INPUT), torch.tensor([5, 3])
    assert cell.noise(2, like=x) is None
    assert torch.equal(unroll(cell, x, lengths)[0], unroll(plain, x, lengths)[0])


def test_each_sequence_draws_its_own() -> None:
    cell = QRNN(INPUT, UNITS, zoneout=RATE).train()
    one, other = cell.noise(2, like=torch.zeros(1))[0]
    assert not torch.equal(one, other)
    assert not torch.equal(cell.noise(1, like=torch.zeros(1))[0][0], one)


def test_the_clock_stands_at_whole_ticks_whatever_a_bridge_says() -> None:
    """Else step by step and all at once could round to different ticks."""
    torch.manual_seed(0)
    cell = QRNN(INPUT, HIDDEN, zoneout=0.5).train()
    clock = cell.state_from(torch.randn(3, cell.feature_size))[-1]
    assert torch.equal((clock / TICK).round() * TICK, clock) and clock.unique().numel() == 3
    assert QRNN(INPUT, HIDDEN).state_sizes == cell.state_sizes[:-1]  # no clock without zoneout


@pytest.mark.parametrize("options", [{"zoneout": 1.0}, {"zoneout": -0.1}, {"window": 0}])
def test_impossible_options(options: dict[str, Any]) -> None:
    value = next(iter(options.values()))
    with pytest.raises(ConfigError, match=f"{value} is impossible"):
        QRNN(INPUT, HIDDEN, **options)
