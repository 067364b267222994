"""Which search the options of a translation ask for: the twin of `s2s.inference.strategies`, which needs torch.

A test holds both together: the same strategy with the same arguments, or a refusal that names what is asked for.
"""

from __future__ import annotations

from typing import Any

from s2s.errors import ConfigError
from s2s.inference.options import Options
from s2s.registry.parts import read_spec
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
"""What the export recommends for scores, whichever search takes it."""


def strategy_of(options: Options, spec: Any, place: object) -> Strategy:
    """The strategy that is named; or what the export recommends, if that takes what is given; or one that does.

    What a strategy takes that is neither greedy search nor a beam cannot be known here: one that is recommended is
    refused, whatever is given, unless another is named.

    Args:
        options: of the translation; those of a search are `OF_BEAM`'s alone.
        spec: of the search that the export recommends.
        place: the file that does, for messages.

    Raises:
        ConfigError: the strategy is neither greedy search nor a beam, would weigh coverage, or does not take an option
            that is given.
    """
    recommended, init_args = read_spec("search", spec)
    given = options.of_search()
    if given == {"beam": 1} and options.search is None:
        return Greedy()
    able = recommended in ("Greedy", "Beam")
    name = options.search or ("Beam" if given and able else recommended)
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
    return Beam(**chosen)
