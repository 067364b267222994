"""The options of a translation, for Python and the command line alike: names, defaults, meaning, what is possible."""

from __future__ import annotations

import math
import numbers
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypedDict

from s2s.errors import ConfigError
from s2s.registry.near_names import unknown
from s2s.search.limits import LIMIT_EXTRA, LIMIT_RATIO

NORMALIZATIONS = ("wu", "length", "none")
BATCH_TOKENS = 4096
MAX_SOURCE_TOKENS = 4096
"""As many as a batch has: a line of a million letters must not take hours, nor all memory."""


def _option(
    default: Any,
    about: str,
    *,
    least: float | None = None,
    choices: tuple[str, ...] = (),
    otherwise: str = "",
    metavar: str | None = None,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A field of `Options`.

    Args:
        default: None is "not given".
        about: what it does, with its paper; for a person, on the command line as well.
        least: smallest possible number.
        choices: all that it may be.
        otherwise: what holds if it is not given, where the default does not say it.
        metavar: what stands for its value in the help.
        aliases: further flags.
    """
    return field(
        default=default,
        metadata={
            "about": about,
            "least": least,
            "choices": choices,
            "otherwise": otherwise,
            "metavar": metavar,
            "aliases": aliases,
        },
    )


@dataclass(frozen=True)
class Options:
    """How texts are translated.

    Raises:
        ConfigError: an option that cannot be.
    """

    beam: int | None = _option(
        None, "size of the beam; 1 is greedy", least=1, otherwise="what the bundle recommends", metavar="N"
    )
    n_best: int = _option(
        1, "outputs to find for each line, at most the size of the beam", least=1, aliases=("--nbest",)
    )
    normalization: str | None = _option(
        None,
        "of the beam's scores by length: wu (Wu et al. 2016, eq. 14), length (the log-probability of a token), none",
        choices=NORMALIZATIONS,
        otherwise="the bundle's",
    )
    alpha: float | None = _option(
        None, "strength of the normalization; 0 is none", least=0, otherwise="the bundle's"
    )
    limit_ratio: float = _option(
        LIMIT_RATIO, "most tokens of an output, as a multiple of its source's", least=0
    )
    limit_extra: int = _option(LIMIT_EXTRA, "and so many more", least=0)
    max_tokens: int | None = _option(
        None, "most tokens of an output, whatever its source", least=0, otherwise="no such limit"
    )
    minimum_ratio: float = _option(0.0, "fewest tokens of an output, as a multiple of its source's", least=0)
    min_tokens: int = _option(
        0, "fewest tokens of an output, whatever its source; a minimum above the limit gives way", least=0
    )
    max_source_tokens: int = _option(
        MAX_SOURCE_TOKENS, "tokens of a line that are read; what a longer one loses is told", least=1
    )
    batch_tokens: int = _option(
        BATCH_TOKENS,
        "most source tokens of a batch, padding counted; each thread searches a batch. Speed and memory only",
        least=1,
    )
    weights: bool = _option(False, "keep the attention weights")
    shortlist: bool = _option(
        False,
        "say only what the bundle's shortlist has for the pieces of a sentence: faster, and now and then another word; "
        "probabilities are then shares among these pieces. See: s2s shortlist",
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(one, getattr(self, one.name))
        if self.beam is not None and self.n_best > self.beam:
            raise ConfigError(
                f"n_best {self.n_best} is impossible with a beam of {self.beam}; choose 1 to {self.beam} "
                "or a larger beam"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """The options of these names and values.

        Raises:
            ConfigError: a name that is none, with the nearest one; or a value that cannot be.
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise ConfigError(unknown("option", name, known))
        return cls(**given)


class Given(TypedDict, total=False):
    """For type checkers: `Options` as they are given to `Translator.translate`."""

    beam: int | None
    n_best: int
    normalization: str | None
    alpha: float | None
    limit_ratio: float
    limit_extra: int
    max_tokens: int | None
    minimum_ratio: float
    min_tokens: int
    max_source_tokens: int
    batch_tokens: int
    weights: bool
    shortlist: bool


@dataclass(frozen=True)
class Flag:
    """An option as a command line has it.

    Attributes:
        name: as in `Options`.
        flags: such as "--limit-extra".
        kind: bool for one without a value.
        about: what the help says.
        choices: all that it may be; empty if that is not a list.
        metavar: what stands for its value in the help.
    """

    name: str
    flags: tuple[str, ...]
    kind: type
    about: str
    choices: tuple[str, ...]
    metavar: str | None


def flags() -> Iterator[Flag]:
    """All options, as flags."""
    for one in fields(Options):
        kind, about = _kind(one), one.metadata
        shown = about["otherwise"] or ("" if kind is bool else f"{one.default:g}")
        letter = None if kind is bool or about["choices"] else {int: "N", float: "X"}.get(kind, "TEXT")
        yield Flag(
            one.name,
            (f"--{one.name.replace('_', '-')}", *about["aliases"]),
            kind,
            about["about"] + (f" (default: {shown})" if shown else ""),
            about["choices"],
            about["metavar"] or letter,
        )


_KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a str"}
_NUMBERS: dict[type, type] = {int: numbers.Integral, float: numbers.Real}
_HINTS = typing.get_type_hints(Options)


def _kind(one: Field[Any]) -> type:
    hint = _HINTS[one.name]
    (kind,) = {*(typing.get_args(hint) or (hint,))} - {type(None)}
    return typing.cast(type, kind)


def _check(one: Field[Any], value: Any) -> None:
    if value is None and one.default is None:
        return
    kind, least, choices = _kind(one), one.metadata["least"], one.metadata["choices"]
    fits = isinstance(value, _NUMBERS.get(kind, kind))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{one.name} is {value!r}; it must be {_KINDS[kind]}")
    if choices and value not in choices:
        raise ConfigError(f"unknown {one.name} {value!r}; known: {', '.join(choices)}")
    if least is not None and not least <= value < math.inf:
        raise ConfigError(f"{one.name} is {value}; it must be {least} or more")


def _documented() -> str:
    rows = [
        f"        {one.name}: {one.metadata['about']}"
        + (f"; None is {one.metadata['otherwise']}." if one.metadata["otherwise"] else ".")
        for one in fields(Options)
    ]
    summary, _, rest = (Options.__doc__ or "").partition("\n\n")
    return "\n".join([summary, "", "    Attributes:", *rows, "", rest])


Options.__doc__ = _documented()  # the help of the command line says the same, from the same place
