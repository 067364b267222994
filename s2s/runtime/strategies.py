"""The search strategy of given options: the counterpart of `s2s.inference.strategies`, which needs torch.

A test compares both: the same strategy with the same arguments, or an error that names what was requested.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from s2s.errors import ConfigError
from s2s.inference.options import Options, implied_search
from s2s.registry.parts import check_values, read_spec
from s2s.runtime.search import Beam, Greedy, Strategy

OF_BEAM = {
    "beam": "size",
    "n_best": "n_best",
    "normalization": "normalization",
    "alpha": "alpha",
    "beta": "beta",
}
"""Options that a beam takes, and what it calls them; the only beta is 0."""
_SHARED = ("normalization", "alpha", "beta")
"""Recommendations of the export for scores, for any search that supports them."""


def strategy_of(options: Options, spec: Any, place: object, takes: Collection[str] | None = None) -> Strategy:
    """The named strategy; or the recommended one of the export, if it supports the given options; or one that does.

    If a strategy other than greedy and beam search is recommended, it is refused, unless another one is named, or is
    asked for by an option that the recommended one does not take.

    Args:
        options: of the translation; search options can only be those of `OF_BEAM`.
        spec: of the search that the export recommends.
        place: the file that recommends it, for messages.
        takes: options of the recommended strategy; None: unknown, as in an export of an earlier s2s.

    Raises:
        ConfigError: the strategy is neither greedy nor beam search, has a coverage penalty, or does not support a given
            option.
    """
    recommended, init_args = read_spec("search", spec)
    given = options.of_search()
    if given == {"beam": 1} and options.search is None:
        return Greedy()
    able = recommended in ("Greedy", "Beam")
    lacks = takes is not None and any(OF_BEAM[option] not in takes for option in given)
    lacks = lacks and any(map(implied_search, given))
    name = options.search or ("Beam" if given and (able or lacks) else recommended)
    if name.partition(",")[0] in ("Greedy", "Beam") and "," in name:
        raise ConfigError(
            f"search {name!r}: options of a beam are given beside the search, not within its name; known: "
            f"{', '.join(OF_BEAM)}"
        )
    if name not in ("Greedy", "Beam"):
        of_whom = "" if options.search else f", which {place} recommends"
        raise ConfigError(
            f"an exported model cannot do search {name!r}{of_whom}; ask for search Beam or Greedy, or translate with "
            "its bundle"
        )
    if name == "Greedy":
        if given:
            raise ConfigError(f"search 'Greedy' takes no {next(iter(given))!r}. What takes it: Beam")
        return Greedy()
    chosen = {key: value for key, value in init_args.items() if name == recommended or key in _SHARED}
    if given or options.search:
        chosen |= {OF_BEAM[key]: value for key, value in given.items()}
        chosen["n_best"] = options.n_best
    if beta := chosen.pop("beta", 0):
        by_whom = f"beta is {beta}" if "beta" in given else f"{place} recommends beta {beta}"
        raise ConfigError(
            f"an exported model cannot weigh coverage, and {by_whom}; give beta 0, or translate with its bundle, or "
            "greedily: search Greedy"
        )
    check_values("search 'Beam'", Beam, chosen)
    return Beam(**chosen)
