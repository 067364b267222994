"""How many prefixes a beam may have, and how many of its hypotheses can be asked for."""

from s2s.errors import ConfigError
from s2s.search.limits import MOST_AT_ONCE


def check_beam(size: int, n_best: int) -> None:
    """See that a beam can be so large and give so many hypotheses.

    Raises:
        ConfigError: it cannot.
    """
    if not 1 <= size <= MOST_AT_ONCE:
        raise ConfigError(
            f"beam size {size} is impossible; it must be 1 or more, and at most {MOST_AT_ONCE:,}"
        )
    if not 1 <= n_best <= size:
        raise ConfigError(
            f"n_best {n_best} is impossible with a beam of {size}; choose 1 to {size} or a larger beam"
        )
