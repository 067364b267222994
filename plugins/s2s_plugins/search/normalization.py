"""Length normalization of scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.search.limits import MOST_ALPHA

Normalization = Literal["wu", "length", "none"]
_KNOWN = ("wu", "length", "none")


@dataclass(frozen=True)
class LengthNormalization:
    """The divisor of a sum of log-probabilities, where |Y| counts the tokens and the end symbol.

    ``wu``: (5 + |Y|)^alpha / 6^alpha (Wu et al. 2016, eq. 14); ``length``: |Y|^alpha; ``none``: 1.

    Args:
        kind: one of the three above.
        alpha: strength; 0 is none.

    Raises:
        ConfigError: an unknown kind, or an alpha that is negative or too large.
    """

    kind: Normalization
    alpha: float

    def __post_init__(self) -> None:
        if self.kind not in _KNOWN:
            raise ConfigError(f"unknown normalization {self.kind!r}; known: {', '.join(_KNOWN)}")
        if not 0 <= self.alpha <= MOST_ALPHA:
            raise ConfigError(
                f"alpha {self.alpha} is impossible; it must be 0 or more, and at most {MOST_ALPHA}"
            )

    def divisors(self, lengths: Tensor) -> Tensor:
        """The divisors of all these lengths.

        Args:
            lengths: |Y|, any shape.

        Returns:
            float64, of the same shape.
        """
        lengths = lengths.double()
        if self.kind == "wu":
            return ((5 + lengths) / 6) ** self.alpha
        if self.kind == "length":
            return lengths.clamp(min=1) ** self.alpha
        return torch.ones_like(lengths)

    def divisor(self, length: int) -> float:
        """The divisor of one length."""
        return _divisor(self, length)


@lru_cache
def _divisor(normalization: LengthNormalization, length: int) -> float:
    # Called at each step of each search, where five small operations would take a hundredth of the time.
    return float(normalization.divisors(torch.tensor(length)))
