"""The three curves against the paper's formulas, and what ties them to one option."""

import math
from typing import Any

import pytest

from s2s.errors import ConfigError
from s2s.training.scheduled_sampling import ScheduledSampling

DECAYS: list[Any] = ["linear", "exponential", "inverse_sigmoid"]


def epsilons(decay: Any, half_steps: int, steps: range, floor: float = 0.0) -> list[float]:
    sampling = ScheduledSampling(decay, half_steps=half_steps, floor=floor)
    found = []
    for step in steps:
        sampling.at_step(step)
        found.append(sampling.epsilon)
    return found


def test_the_curves_of_the_paper() -> None:
    """Bengio et al. 2015, section 2.4, with k and c as they are there."""
    steps = range(0, 300, 7)
    c = 0.005
    assert epsilons("linear", 100, steps, 0.1) == pytest.approx([max(0.1, 1 - c * i) for i in steps])
    k = 0.99
    half = math.log(0.5) / math.log(k)  # 68.97: steps are whole, so k is the one that belongs to 69
    k = 0.5 ** (1 / round(half))
    assert epsilons("exponential", round(half), steps) == pytest.approx([k**i for i in steps])
    k = 40.0
    exact = [k / (k + math.exp(i / k)) for i in steps]
    # k ln k is 147.56; rounding it to whole steps moves the curve by less than its steepest slope, 1 / (4 k), times one
    assert epsilons("inverse_sigmoid", 148, steps) == pytest.approx(exact, abs=1 / (4 * k))


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("half_steps", [1, 2, 50, 10000])
def test_one_option_for_all_curves(decay: Any, half_steps: int) -> None:
    """Half at the step that it names; falling from almost one, never below the floor."""
    assert epsilons(decay, half_steps, range(half_steps, half_steps + 1)) == pytest.approx([0.5])
    curve = epsilons(decay, half_steps, range(0, 200 * half_steps, half_steps), 0.2)
    assert curve == sorted(curve, reverse=True) and curve[-1] == 0.2
    assert curve[0] > 0.6 if half_steps < 50 else curve[0] > 0.9


@pytest.mark.parametrize(
    ("half_steps", "floor", "told"),
    [
        (0, 0.0, "model.sampling_half_steps 0 is impossible; it must be at least 1"),
        (1, 1.5, "model.sampling_floor 1.5 is impossible; it must be between 0 and 1"),
    ],
)
def test_what_cannot_be(half_steps: int, floor: float, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ScheduledSampling("linear", half_steps=half_steps, floor=floor)
