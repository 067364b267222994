"""Learning rates, held against the formulas that the schedules are known by."""

import math
from typing import Any

import pytest
import torch

from s2s.training.schedule import Plateau, Schedule, ScheduleName, learning_rate_factor

WARMUP = 10
TOTAL = 100


def factor(schedule: ScheduleName, step: int, plateau: Plateau | None = None) -> float:
    """With a warm-up of 10 steps of 100."""
    plateau = plateau or Plateau(1, higher_is_better=True)
    return learning_rate_factor(schedule, step, warmup_steps=WARMUP, total=TOTAL, plateau=plateau)


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt", "plateau"])
def test_the_warm_up_is_a_line_from_nothing_to_all(schedule: ScheduleName) -> None:
    assert [factor(schedule, step) for step in range(WARMUP)] == pytest.approx(
        [(step + 1) / WARMUP for step in range(WARMUP)]
    )


def test_constant() -> None:
    assert {factor("constant", step) for step in (WARMUP, 50, 10**6)} == {1.0}


def test_inverse_square_root() -> None:
    # four times as many steps, half the rate
    assert factor("inverse_sqrt", 4 * WARMUP - 1) == pytest.approx(0.5)
    assert factor("inverse_sqrt", 100 * WARMUP - 1) == pytest.approx(0.1)


def test_cosine() -> None:
    for step in (WARMUP, 50, 99):
        assert factor("cosine", step) == pytest.approx(
            0.01 + 0.99 * (1 + math.cos(math.pi * step / TOTAL)) / 2
        )
    assert factor("cosine", TOTAL) == factor("cosine", 2 * TOTAL) == pytest.approx(0.01)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_plateau(higher_is_better: bool) -> None:
    sign = 1 if higher_is_better else -1
    plateau = Plateau(2, higher_is_better=higher_is_better)
    found = []
    for figure in (1, 2, 2, 1, 3, 2, 2, 2, 2):
        plateau.see(sign * figure)
        found.append(factor("plateau", 50, plateau))
    # halved after two figures that were no better than the best, and after two more
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    other = Plateau(2, higher_is_better=higher_is_better)
    other.load_state_dict(plateau.state_dict())
    assert other.state_dict() == plateau.state_dict() and other.scale == 0.125


def test_no_warm_up() -> None:
    plateau = Plateau(1, higher_is_better=True)
    assert learning_rate_factor("constant", 0, warmup_steps=0, total=None, plateau=plateau) == 1
    assert learning_rate_factor("inverse_sqrt", 3, warmup_steps=0, total=None, plateau=plateau) == 0.5


def begun(rate: float, **options: Any) -> tuple[torch.optim.Optimizer, Schedule]:
    """An optimizer and a schedule that halves the rate at each step."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=rate, **options)
    return optimizer, Schedule(optimizer, lambda step: 0.5**step)


@pytest.mark.parametrize(("rate", "wanted"), [(0.3, 0.3 * 0.5**2), (0.5, 0.5 * 0.5**2), (0.0, 0.0)])
def test_it_goes_on_with_the_options_of_now_from_where_it_was(rate: float, wanted: float) -> None:
    optimizer, schedule = begun(0.3)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    other, gone_on = begun(rate, betas=(0.1, 0.2), weight_decay=0.5)
    other.load_state_dict(optimizer.state_dict())
    gone_on.load_state_dict(schedule.state_dict())
    (group,) = other.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (wanted, (0.1, 0.2), 0.5)
    other.step()
    gone_on.step()
    assert group["lr"] == rate * 0.5**3


def test_the_same_rate_leaves_what_a_validation_has_changed_to_the_next_step() -> None:
    """As in the run that was never stopped: the schedule is asked after a step, not before it."""
    optimizer, schedule = begun(0.3)
    (group,) = optimizer.param_groups
    optimizer.step()
    schedule.step()
    group["lr"] = 0.2
    other, gone_on = begun(0.3)
    other.load_state_dict(optimizer.state_dict())
    gone_on.load_state_dict(schedule.state_dict())
    assert other.param_groups[0]["lr"] == 0.2
