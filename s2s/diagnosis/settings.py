"""Settings of a diagnosis; with the defaults, three cells take some minutes on a CPU."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s2s.errors import ConfigError

CELLS = ("Elman", "LSTM", "GRU")
"""The textbooks' three."""

SHORTEST_LAG = 4
"""Three symbols and the recall sign must fit before the symbols are recalled."""


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
        input_size: width of the inputs for gradients before training.
        hidden_size: of every cell.
        distance: number of steps back to which these gradients are computed.
        scales: factors on the recurrent weights, one measurement for each.
        lags: steps to bridge, one training for each lag, cell and problem.
        steps: maximum updates of a training.
        batch_size: sequences per update.
        learning_rate: of Adam (Kingma & Ba 2015).
        clip: maximum gradient norm; longer gradients are clipped (Pascanu et al. 2013); 0: no clipping.
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
