"""Learning rates, held against the formulas that the schedules are known by."""

import math

import pytest

from s2s.training.schedule import Plateau, ScheduleName, learning_rate_factor

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
