"""Pairwise testing: combinations that cover every pair of choices, if all combinations are too many."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

Row = dict[str, str]
Pair = frozenset[tuple[str, str]]

TRIED = 20
"""Candidate rows per row; the one with most new pairs is taken. More candidates hardly reduce the number of rows."""


def pairwise(factors: Mapping[str, Sequence[str]], possible: Callable[[Row], bool]) -> Iterator[Row]:
    """A covering array of strength two, built greedily (as AETG: Cohen et al. 1997); deterministic.

    Args:
        factors: the choices of each factor, the plainest first, which replaces the others if no drawn row is possible.
        possible: whether a row is valid; pairs without a valid row are omitted.
    """
    chance = random.Random(0)
    left = {
        frozenset(pair)
        for one, other in itertools.combinations(factors, 2)
        for pair in itertools.product(((one, a) for a in factors[one]), ((other, b) for b in factors[other]))
    }
    plain = {name: choices[0] for name, choices in factors.items()}
    in_order = sorted(left, key=sorted)  # sets are unordered
    chance.shuffle(in_order)
    for pair in in_order:
        if pair not in left:
            continue
        drawn = [
            {name: chance.choice(choices) for name, choices in factors.items()} | dict(pair)
            for _ in range(TRIED)
        ]
        drawn.sort(key=lambda row: -len(left & pairs_of(row)))
        row = next((row for row in [*drawn, plain | dict(pair)] if possible(row)), None)
        if row is not None:
            left -= pairs_of(row)
            yield row


def pairs_of(row: Row) -> set[Pair]:
    """All pairs of choices in a row."""
    return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
