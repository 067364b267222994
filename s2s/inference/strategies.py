"""The search strategy of given options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from s2s.errors import ConfigError
from s2s.inference.options import Options, implied_search
from s2s.registry import catalogue
from s2s.registry.parts import read_spec
from s2s.registry.words import given_spec
from s2s.search.options import build_strategy, call_options, constructor_options, takers
from s2s.search.strategy import SearchStrategy

_SHARED = ("normalization", "alpha", "beta")
"""Recommendations of the bundle for scores, for any search that supports them."""
_SIZE = {"beam": "size"}
"""Options that have another name in a strategy."""


def strategy_of(options: Options, recommended: SearchStrategy, spec: Any) -> SearchStrategy:
    """The named strategy; or the recommended one of the bundle, if it supports the given options; or one that does.

    Args:
        options: of the translation.
        recommended: by the bundle.
        spec: of what is recommended.

    Raises:
        ConfigError: the strategy does not support a given option; the error tells which strategies do.
        PluginError: the strategy cannot be imported.
    """
    given = options.of_search()
    if not given and options.search is None:
        return recommended
    if given == {"beam": 1} and options.search is None:
        return build_strategy("Greedy", {})
    base, init_args = read_spec("search", spec)
    name, own = _asked(options.search) if options.search else (_implied(given, base), {})
    known = _takes(name)
    for option in given:
        if _SIZE.get(option, option) not in known:
            able = takers(_SIZE.get(option, option))
            raise ConfigError(
                f"search {name!r} takes no {option!r}. What takes it: {', '.join(able) or 'none that is here'}"
            )
    chosen = {option: value for option, value in init_args.items() if name == base or option in _SHARED}
    chosen |= {_SIZE.get(option, option): value for option, value in given.items()}
    chosen["n_best"] = options.n_best
    constructor = constructor_options(catalogue().load("search", name))
    chosen = {option: chosen[option] for option in chosen if option in constructor}
    return build_strategy(name, {**chosen, **own})


def _asked(search: str) -> tuple[str, dict[str, Any]]:
    """Name and options of `NAME,KEY=VALUE,...`; options that have their own flag are refused here."""
    name, own = read_spec("search", given_spec(search, "search"))
    shared = {_SIZE.get(one.name, one.name): one.name for one in fields(Options)}
    for option in own:
        if option in shared:
            raise ConfigError(
                f"search {search!r}: {option!r} is given beside the search, as {shared[option]!r}, not within its name"
            )
    return name, own


def _takes(name: str) -> list[str]:
    strategy = catalogue().load("search", name)
    return [*constructor_options(strategy), *call_options(strategy)]


def _implied(given: Mapping[str, Any], recommended: str) -> str:
    known = _takes(recommended)
    if all(_SIZE.get(option, option) in known for option in given):
        return recommended
    implied = [name for option in given if (name := implied_search(option))]
    # Options that plain beam search lacks imply a strategy that has them.
    return next((name for name in implied if name != "Beam"), implied[0] if implied else recommended)
