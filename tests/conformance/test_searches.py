"""Every registered search strategy, with beams of several widths, lengths and numbers of results."""

from functools import partial

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check
from s2s.testing.kit import expected_failures
from s2s.testing.searches import SearchFactory
from s2s_plugins.search.beam import Beam
from s2s_plugins.search.constrained import ConstrainedBeam
from s2s_plugins.search.diverse import DiverseBeam
from s2s_plugins.search.sampling import Sampling

REGISTERED: dict[str, SearchFactory] = {
    name: catalogue().load("search", name) for name in catalogue().names("search")
}
STRATEGIES: dict[str, SearchFactory] = REGISTERED | {
    "Beam-1": partial(Beam, size=1),
    "Beam-all": partial(Beam, size=4, n_best=4, normalization="length", alpha=1.0),
    "Beam-wide": partial(Beam, size=12, n_best=3, normalization="none"),
    "ConstrainedBeam-all": partial(ConstrainedBeam, size=4, n_best=4, normalization="none"),
    "DiverseBeam-all": partial(DiverseBeam, size=6, groups=2, strength=2.0, n_best=6),
    "Sampling-4": partial(Sampling, samples=4, temperature=0.7, top_k=3, top_p=0.9),
}


def test_strategies_are_registered() -> None:
    assert {"Beam", "Greedy"} <= set(REGISTERED)


CASES = [
    pytest.param(
        factory,
        check,
        id=f"{name}-{check}",
        marks=[pytest.mark.xfail(reason=declared[check.name], strict=True)] if check.name in declared else [],
    )
    for name, factory in STRATEGIES.items()
    for declared in [expected_failures(KITS["search"], factory)]
    for check in KITS["search"]
]


@pytest.mark.parametrize(("factory", "check"), CASES)
def test_strategy(factory: SearchFactory, check: Check) -> None:
    check(factory)
