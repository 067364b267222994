"""Every registered search strategy, with beams of several widths, lengths and numbers of results."""

from functools import partial

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check
from s2s.testing.searches import SearchFactory
from s2s_plugins.search.beam import Beam

REGISTERED: dict[str, SearchFactory] = {
    name: catalogue().load("search", name) for name in catalogue().names("search")
}
STRATEGIES: dict[str, SearchFactory] = REGISTERED | {
    "Beam-1": partial(Beam, size=1),
    "Beam-all": partial(Beam, size=4, n_best=4, normalization="length", alpha=1.0),
    "Beam-wide": partial(Beam, size=12, n_best=3, normalization="none"),
}


def test_strategies_are_registered() -> None:
    assert {"Beam", "Greedy"} <= set(REGISTERED)


@pytest.mark.parametrize("check", KITS["search"], ids=str)
@pytest.mark.parametrize("name", STRATEGIES)
def test_strategy(name: str, check: Check) -> None:
    check(STRATEGIES[name])
