"""Random numbers as a function of a seed, a sentence, and the place where they are used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mixed(state: Words, part: Words) -> Words:
    """Mix a part into a state by SplitMix64's step and finalizer (Steele et al. 2014).

    The same parts in the same order give the same state; any others give one that looks unrelated.

    Args:
        state: of any shape.
        part: of a shape that broadcasts with `state`.
    """
    bits = np.atleast_1d((state ^ part) + _GOLDEN)  # arrays wrap around silently, single numbers warn
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)), dtype=np.uint64)


def words(numbers: NDArray[np.int64]) -> Words:
    """Integers as 64-bit words."""
    return np.ascontiguousarray(numbers, dtype=np.int64).view(np.uint64)


def uniform(state: Words) -> NDArray[np.float64]:
    """A number in [0, 1) from each state."""
    numbers: NDArray[np.float64] = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers
