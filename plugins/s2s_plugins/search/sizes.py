"""Limits of the beam size and of the number of hypotheses to return."""

from s2s.errors import ConfigError
from s2s.search.limits import MOST_AT_ONCE


def check_beam(size: int, n_best: int) -> None:
    """Check the beam size and the number of hypotheses to return.

    Raises:
        ConfigError: one of them is out of range.
    """
    if not 1 <= size <= MOST_AT_ONCE:
        raise ConfigError(
            f"beam size {size} is impossible; it must be 1 or more, and at most {MOST_AT_ONCE:,}"
        )
    if not 1 <= n_best <= size:
        raise ConfigError(
            f"n_best {n_best} is impossible with a beam of {size}; choose 1 to {size} or a larger beam"
        )
