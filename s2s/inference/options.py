"""The options of a translation, for Python and the command line alike: names, defaults, meaning, what is possible."""

from __future__ import annotations

import math
import numbers
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypedDict

from s2s.errors import ConfigError
from s2s.registry.near_names import unknown
from s2s.search.defaults import (
    ALPHA,
    BEAM,
    BETA,
    CONSTRAINED_BEAM,
    DIVERSE_BEAM,
    GROUPS,
    NORMALIZATION,
    SAMPLES,
    SEED,
    STRENGTH,
    TEMPERATURE,
    TOP_P,
    of_bundle,
)
from s2s.search.limits import (
    LIMIT_EXTRA,
    LIMIT_RATIO,
    MOST_ALPHA,
    MOST_PENALTY,
    MOST_RATIO,
    MOST_TOKENS,
    TEMPERATURES,
)

NORMALIZATIONS = ("wu", "length", "none")
RISKS = ("chrf", "bleu")
SPLITS = ("sentences",)
BATCH_TOKENS = 4096
MAX_SOURCE_TOKENS = 4096
"""As many as a batch has: a line of a million letters must not take hours, nor all memory."""


def _of_search(usual: float | str, where: str) -> str:
    return f"the search's, {usual} where {where}"


_DRAWN = "outputs are drawn"
_SPLIT = "the beam is split"


def _option(
    default: Any,
    about: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    otherwise: str = "",
    metavar: str | None = None,
    aliases: tuple[str, ...] = (),
    search: str | None = None,
) -> Any:
    """A field of `Options`.

    Args:
        default: None is "not given".
        about: what it does, with its paper; for a person, on the command line as well.
        least: smallest possible number.
        above: all possible numbers are above it.
        most: largest possible number.
        choices: all that it may be.
        otherwise: what holds if it is not given, where the default does not say it.
        metavar: what stands for its value in the help.
        aliases: further flags.
        search: the strategy that it asks for if the bundle's does not take it, "" for none; None if it is not for a
            strategy.
    """
    return field(
        default=default,
        metadata={
            "about": about,
            "least": least,
            "above": above,
            "most": most,
            "choices": choices,
            "otherwise": otherwise,
            "metavar": metavar,
            "aliases": aliases,
            "search": search,
        },
    )


@dataclass(frozen=True)
class Options:
    """How texts are translated.

    Raises:
        ConfigError: an option that cannot be.
    """

    search: str | None = _option(
        None,
        "name of a search strategy, with options of its own; see: s2s plugins list --kind search",
        otherwise="the bundle's, or one that takes the options that are given",
        metavar="NAME[,KEY=VALUE...]",
    )
    beam: int | None = _option(
        None,
        "size of the beam (Sutskever et al. 2014); 1 is greedy",
        least=1,
        otherwise=f"{of_bundle(BEAM)}; with groups {DIVERSE_BEAM}, with phrases {CONSTRAINED_BEAM}",
        search="Beam",
    )
    n_best: int = _option(
        1,
        "outputs to find for each line, at most the size of the beam",
        least=1,
        aliases=("--nbest",),
        search="Beam",
    )
    normalization: str | None = _option(
        None,
        "of the beam's scores by length: wu (Wu et al. 2016, eq. 14), length (the log-probability of a token), none",
        choices=NORMALIZATIONS,
        otherwise=of_bundle(NORMALIZATION),
        search="Beam",
    )
    alpha: float | None = _option(
        None,
        "strength of the normalization; 0 is none",
        least=0,
        most=MOST_ALPHA,
        otherwise=of_bundle(f"{ALPHA:g}"),
        search="Beam",
    )
    beta: float | None = _option(
        None,
        "strength of the coverage penalty (Wu et al. 2016, eq. 14 and 15); 0 is none",
        least=0,
        most=MOST_PENALTY,
        otherwise=of_bundle(f"{BETA:g}"),
        search="Beam",
    )
    samples: int | None = _option(
        None,
        "draw so many outputs for each line and give them all, instead of looking for the best",
        least=1,
        otherwise=_of_search(SAMPLES, _DRAWN),
        search="Sampling",
    )
    temperature: float | None = _option(
        None,
        "draw from p^(1 / temperature) (Ackley et al. 1985): below 1 the likely gets likelier",
        above=0,
        least=TEMPERATURES[0],
        most=TEMPERATURES[1],
        otherwise=_of_search(f"{TEMPERATURE:g}", _DRAWN),
        search="Sampling",
    )
    top_k: int | None = _option(
        None,
        "draw from so many most probable tokens (Fan et al. 2018)",
        least=1,
        most=MOST_TOKENS,
        otherwise=_of_search("all", _DRAWN),
        search="Sampling",
    )
    top_p: float | None = _option(
        None,
        "draw from the most probable tokens that have this share together (nucleus; Holtzman et al. 2020)",
        above=0,
        most=1,
        otherwise=_of_search(f"{TOP_P:g}", _DRAWN),
        search="Sampling",
    )
    groups: int | None = _option(
        None,
        "split the beam into so many groups that avoid what the others say (Vijayakumar et al. 2016)",
        least=1,
        otherwise=_of_search(GROUPS, _SPLIT),
        search="DiverseBeam",
    )
    strength: float | None = _option(
        None,
        "what a token costs a group for each time that an earlier one says it; 0 makes all groups alike",
        least=0,
        most=MOST_PENALTY,
        otherwise=_of_search(f"{STRENGTH:g}", _SPLIT),
        search="DiverseBeam",
    )
    phrases: Sequence[str] = _option(
        (),
        "words that each output holds (Post & Vilar 2018); a limit may cut them off",
        search="ConstrainedBeam",
    )
    seed: int | None = _option(
        None,
        "what is drawn is a function of it and of the line",
        otherwise=_of_search(SEED, _DRAWN),
        search="",
    )
    minimum_risk: str | None = _option(
        None,
        "of the samples give the one that is most like all of them (Kumar & Byrne 2004), by this sentence-level score; "
        "the score of an output is then its mean over the samples, from 0 to 100",
        choices=RISKS,
        otherwise="the most probable first",
    )
    no_repeat_ngram: int | None = _option(
        None,
        "so many tokens in a row never come twice in an output (Paulus et al. 2018)",
        least=1,
        most=MOST_TOKENS,
        otherwise="they may",
    )
    banned: Sequence[str] = _option(
        (),
        "words that no output holds (Hu et al. 2019), as the tokenizer splits them (another split of the same letters "
        "is not seen)",
    )
    prefix: str | None = _option(
        None,
        "text that each output begins with (Wuebker et al. 2016)",
        otherwise="whatever the model says",
    )
    replace_unknowns: bool = _option(
        False,
        "put for each unknown piece of an output the source word that it looked at most (Luong et al. 2015b)",
    )
    limit_ratio: float = _option(
        LIMIT_RATIO, "most tokens of an output, as a multiple of its source's", least=0, most=MOST_RATIO
    )
    limit_extra: int = _option(LIMIT_EXTRA, "and so many more", least=0, most=MOST_TOKENS)
    max_tokens: int | None = _option(
        None,
        "most tokens of an output, whatever its source",
        least=0,
        most=MOST_TOKENS,
        otherwise="no such limit",
    )
    minimum_ratio: float = _option(
        0.0, "fewest tokens of an output, as a multiple of its source's", least=0, most=MOST_RATIO
    )
    min_tokens: int = _option(
        0,
        "fewest tokens of an output, whatever its source; a minimum above the limit gives way",
        least=0,
        most=MOST_TOKENS,
    )
    max_source_tokens: int = _option(
        MAX_SOURCE_TOKENS,
        "tokens of a line (with split, of a sentence) that are read; what a longer one loses is told",
        least=1,
    )
    split: str | None = _option(
        None,
        "of a line translate each of its sentences, and join what comes of them; the score is then the mean of theirs, "
        "a prefix is that of the first",
        choices=SPLITS,
        otherwise="a line is translated as a whole",
    )
    language: str | None = _option(
        None,
        "of the source, for split: a code such as de, whose abbreviations then end no sentence",
        otherwise="en; the stops of all scripts end a sentence anyway",
        metavar="CODE",
    )
    batch_tokens: int = _option(
        BATCH_TOKENS,
        "most source tokens of a batch, padding counted; each thread searches a batch. Speed and memory only",
        least=1,
    )
    weights: bool = _option(False, "keep the attention weights, in results and in JSON lines")
    shortlist: bool = _option(
        False,
        "say only what the bundle's shortlist has for the pieces of a sentence (Jean et al. 2015): faster, and now and "
        "then another word; "
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
        for several in ("banned", "phrases"):
            object.__setattr__(self, several, tuple(getattr(self, several)))
        if self.minimum_risk is not None and (self.samples or 0) < 2:
            raise ConfigError(
                f"minimum_risk {self.minimum_risk!r} compares samples, but samples is {self.samples}; it must be 2 "
                "or more"
            )
        if self.split is None and self.language is not None:
            raise ConfigError(
                f"language {self.language!r} is for split, and that is not given; leave it out or split"
            )
        if self.split is not None and self.several:
            which = "n_best" if self.n_best > 1 else "samples"
            raise ConfigError(
                f"split {self.split!r} joins one output of each sentence, but {which} is {getattr(self, which)}; leave "
                f"out {which} or split"
            )
        if self.split is not None and self.phrases:
            raise ConfigError(
                f"split {self.split!r} cannot know which sentence is to hold {self.phrases[0]!r}; leave out phrases or "
                "split"
            )
        for asked in ("prefix", "phrases"):
            if self.shortlist and getattr(self, asked):
                raise ConfigError(
                    f"what {asked} asks for may be on no shortlist; leave out {asked} or shortlist"
                )

    def of_search(self) -> dict[str, Any]:
        """The options of a search strategy that are given."""
        values = {
            one.name: getattr(self, one.name) for one in fields(self) if one.metadata["search"] is not None
        }
        return {
            name: value
            for name, value in values.items()
            if value not in (None, ()) and (name, value) != ("n_best", 1)
        }

    @property
    def several(self) -> bool:
        """Whether more than one output is asked for."""
        return self.n_best > 1 or ((self.samples or 1) > 1 and self.minimum_risk is None)

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


def implied_search(option: str) -> str | None:
    """The strategy that an option asks for; None if it asks for none."""
    return next(one.metadata["search"] or None for one in fields(Options) if one.name == option)


class Given(TypedDict, total=False):
    """For type checkers: `Options` as they are given to `Translator.translate`."""

    search: str | None
    beam: int | None
    n_best: int
    normalization: str | None
    alpha: float | None
    beta: float | None
    samples: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    groups: int | None
    strength: float | None
    phrases: Sequence[str]
    seed: int | None
    minimum_risk: str | None
    no_repeat_ngram: int | None
    banned: Sequence[str]
    prefix: str | None
    replace_unknowns: bool
    limit_ratio: float
    limit_extra: int
    max_tokens: int | None
    minimum_ratio: float
    min_tokens: int
    max_source_tokens: int
    split: str | None
    language: str | None
    batch_tokens: int
    weights: bool
    shortlist: bool


@dataclass(frozen=True)
class Flag:
    """An option as a command line has it.

    Attributes:
        name: as in `Options`.
        flags: such as "--limit-extra".
        kind: bool for one without a value, tuple for one that may be given more than once.
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
        shown = about["otherwise"] or ("" if kind in (bool, tuple) else f"{one.default:g}")
        letter = None if kind is bool or about["choices"] else {int: "N", float: "X"}.get(kind, "TEXT")
        yield Flag(
            one.name,
            (f"--{one.name.replace('_', '-')}", *about["aliases"]),
            kind,
            about["about"]
            + ("; may be given more than once" if kind is tuple else "")
            + (f" (default: {shown})" if shown else ""),
            about["choices"],
            about["metavar"] or letter,
        )


_KINDS = {int: "a whole number", float: "a number", bool: "True or False", str: "a str"}
_NUMBERS: dict[type, type] = {int: numbers.Integral, float: numbers.Real}
_HINTS = typing.get_type_hints(Options)


def _kind(one: Field[Any]) -> type:
    hint = _HINTS[one.name]
    if typing.get_origin(hint) is Sequence:
        return tuple
    (kind,) = {*(typing.get_args(hint) or (hint,))} - {type(None)}
    return typing.cast(type, kind)


def _check(one: Field[Any], value: Any) -> None:
    if value is None and one.default is None:
        return
    kind, choices = _kind(one), one.metadata["choices"]
    if kind is tuple:
        several = isinstance(value, Sequence) and not isinstance(value, str)
        if not several or not all(isinstance(part, str) and part.strip() for part in value):
            raise ConfigError(f"{one.name} is {value!r}; it must be a list of str, and none of them empty")
        return
    fits = isinstance(value, _NUMBERS.get(kind, kind))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{one.name} is {value!r}; it must be {_KINDS[kind]}")
    if choices and value not in choices:
        raise ConfigError(f"unknown {one.name} {value!r}; known: {', '.join(choices)}")
    least, above, most = (one.metadata[bound] for bound in ("least", "above", "most"))
    possible = kind not in (int, float) or (
        (least is None or value >= least)
        and (above is None or value > above)
        and (value <= most if most is not None else value < math.inf)
    )
    if not possible:
        lowest = (
            f"{least} or more" if above is None or (least is not None and value > above) else f"above {above}"
        )
        raise ConfigError(
            f"{one.name} is {value}; it must be {lowest}{'' if most is None else f' and at most {most:,}'}"
        )


def _documented() -> str:
    rows = [
        f"        {one.name}: {one.metadata['about']}"
        + (f"; None is {one.metadata['otherwise']}." if one.metadata["otherwise"] else ".")
        for one in fields(Options)
    ]
    summary, _, rest = (Options.__doc__ or "").partition("\n\n")
    return "\n".join([summary, "", "    Attributes:", *rows, "", rest])


Options.__doc__ = _documented()  # the help of the command line says the same, from the same place
