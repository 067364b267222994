"""Every pair of choices, but for those that cannot be."""

import itertools

from soak.pairwise import Row, pairs_of, pairwise

FACTORS = {
    "cell": ["a", "b", "c", "d"],
    "attention": ["none", "x", "y"],
    "head": ["plain", "copies"],
    "tied": ["0", "1"],
}


def possible(row: Row) -> bool:
    """A head that copies needs attention, and d is never tied."""
    copies = row["head"] == "copies" and row["attention"] == "none"
    return not copies and (row["cell"], row["tied"]) != ("d", "1")


def test_all_pairs_that_can_be() -> None:
    rows = list(pairwise(FACTORS, possible))
    assert all(map(possible, rows))
    covered = set().union(*map(pairs_of, rows))
    everything = [dict(zip(FACTORS, row, strict=True)) for row in itertools.product(*FACTORS.values())]
    assert covered == set().union(*(pairs_of(row) for row in everything if possible(row)))
    assert 12 <= len(rows) <= 24 < len(everything), "4 x 3 at least, and half of all at most"
    assert rows == list(pairwise(FACTORS, possible)), "the same each time"
