"""What is measured and how long; every default is chosen here, so that three cells take some minutes on a CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s2s.errors import ConfigError

CELLS = ("Elman", "LSTM", "GRU")
"""The textbooks' three."""

SHORTEST_LAG = 4
"""Three symbols and the sign to recall them must have room before they are recalled."""


def _least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be {least} or more")


def _above_zero(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ConfigError(f"{name} is {value}; it must be above 0")


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths.

    Attributes:
        input_size: width of the inputs at which gradients are taken before training.
        hidden_size: of every cell.
        distance: steps that these gradients are followed back.
        scales: what the recurrent weights are multiplied by, one measurement for each.
        lags: steps that must be bridged, one training for each, cell and problem.
        steps: most updates of a training.
        batch_size: sequences of an update.
        learning_rate: of Adam (Kingma & Ba 2015).
        clip: longest gradient: longer ones are cut to it (Pascanu et al. 2013); 0: any length.
        seed: of weights and sequences.
    """

    input_size: int = 8
    hidden_size: int = 64
    distance: int = 100
    scales: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    lags: tuple[int, ...] = (10, 20, 40, 80)
    steps: int = 2000
    batch_size: int = 32
    learning_rate: float = 0.005
    clip: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: a number that is too small, or a lag that is given twice.
        """
        for name in ("input_size", "hidden_size", "distance", "steps", "batch_size"):
            _least(name, getattr(self, name), 1)
        for name in ("lags", "scales"):
            given = getattr(self, name)
            if not given:
                raise ConfigError(f"{name} is empty; give at least one")
            if twice := [value for value in given if given.count(value) > 1]:
                raise ConfigError(f"{name} has {twice[0]} twice; give each once")
        for lag in self.lags:
            _least("a lag", lag, SHORTEST_LAG)
        for scale in self.scales:
            _above_zero("a scale", scale)
        _above_zero("learning_rate", self.learning_rate)
        if not 0 <= self.clip < math.inf:
            raise ConfigError(f"clip is {self.clip}; it must be 0 (no clipping) or more")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"seed is {self.seed}; it must be at least 0 and below {2**31}")


QUICK = Settings(hidden_size=32, distance=50, lags=(5, 10), steps=200)
"""To see what it does: half a minute, and too short to learn much."""
