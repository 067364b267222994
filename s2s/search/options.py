"""Which strategy takes which option: read from the strategies themselves, so that plugins answer like our own."""

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
    """What a strategy is built with: the same for all sentences. In the order of its constructor."""
    return list(options(strategy))


def call_options(strategy: type[SearchStrategy]) -> list[str]:
    """What a strategy takes at each search beyond what all take, such as `phrases`: something for each sentence."""
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
    """A strategy with options.

    Args:
        name: in the catalogue.
        given: options of its constructor.

    Raises:
        ConfigError: an unknown strategy, an option that it does not take (with those that do), or one that cannot be.
        PluginError: the strategy cannot be imported.
    """
    strategy = catalogue().load("search", name)
    _refuse(given, constructor_options(strategy), name)
    built: SearchStrategy = factory("search", {"class_path": name, "init_args": dict(given)})()
    return built


def check_call_options(strategy: SearchStrategy, given: Iterable[str]) -> None:
    """Hold the names of what is given at a search against what the strategy takes.

    Args:
        strategy: that is to search.
        given: names of what `search` is called with, beyond what all strategies take.

    Raises:
        ConfigError: it does not take it; the error tells which strategies do.
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
