"""Which strategy takes which option: read from their signatures, so that it works for plugins too."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from s2s.errors import ConfigError, S2SError
from s2s.registry import catalogue
from s2s.registry.near_names import unknown
from s2s.registry.parts import factory, options
from s2s.search.strategy import SearchStrategy


def constructor_options(strategy: type[SearchStrategy]) -> list[str]:
    """Names of a strategy's constructor options, the same for all sentences, in the constructor's order."""
    return list(options(strategy))


def call_options(strategy: type[SearchStrategy]) -> list[str]:
    """Names of a strategy's extra arguments to `search`, such as `phrases`, with a value for each sentence."""
    shared = inspect.signature(SearchStrategy.search).parameters
    return [name for name in inspect.signature(strategy.search).parameters if name not in shared]


def takers(option: str) -> list[str]:
    """The registered strategies that take an option, by name. Those that cannot be imported are left out."""
    found = []
    for name in catalogue().names("search"):
        try:
            strategy = catalogue().load("search", name)
        except S2SError:
            continue
        if option in (*constructor_options(strategy), *call_options(strategy)):
            found.append(name)
    return found


def build_strategy(name: str, given: Mapping[str, Any]) -> SearchStrategy:
    """Build a strategy with options.

    Args:
        name: in the catalogue.
        given: options of its constructor.

    Raises:
        ConfigError: an unknown strategy, an option that it does not take (the error names those that do), or an invalid
            value.
        PluginError: the strategy cannot be imported.
    """
    strategy = catalogue().load("search", name)
    _refuse(given, constructor_options(strategy), name)
    built: SearchStrategy = factory("search", {"class_path": name, "init_args": dict(given)})()
    return built


def check_call_options(strategy: SearchStrategy, given: Iterable[str]) -> None:
    """Check the extra arguments to `search` against those that the strategy takes.

    Args:
        strategy: the strategy that will search.
        given: names of arguments to `search`, beyond those that all strategies take.

    Raises:
        ConfigError: it does not take one of them; the error tells which strategies do.
    """
    entry = catalogue().find(type(strategy), "search")
    _refuse(given, call_options(type(strategy)), type(strategy).__name__ if entry is None else entry.name)


def _refuse(given: Iterable[str], known: list[str], strategy: str) -> None:
    for option in given:
        if option in known:
            continue
        able = takers(option)
        if not able:
            raise ConfigError(f"search {strategy!r}: " + unknown("option", option, known))
        raise ConfigError(
            f"search {strategy!r} takes no {option!r}; it takes {', '.join(known) or 'no options'}. "
            f"What takes it: {', '.join(able)}"
        )
