"""The options of a translation, for both Python and the command line: names, defaults, meaning, allowed values."""

from __future__ import annotations

import math
import numbers
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
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
SPLITS = ("sentences",)
BATCH_TOKENS = 4096
MAX_SOURCE_TOKENS = 4096
"""As many as a batch has: a line of a million letters must not take hours or exhaust the memory."""


def _of_search(usual: float | str, where: str) -> str:
    return f"the search strategy's, {usual} if {where}"


_DRAWN = "outputs are sampled"
_SPLIT = "the beam is split into groups"


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
        default: None means "not given".
        about: what it does, with its paper; also the help text of the command line.
        least: inclusive lower bound.
        above: exclusive lower bound.
        most: inclusive upper bound.
        choices: all allowed values.
        otherwise: description of the default, if `default` itself does not tell.
        metavar: placeholder for its value in the help.
        aliases: further flags.
        search: the strategy that it implies if the bundle's does not support it, "" for none; None if it is not an
            option of a strategy.
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
        ConfigError: an option has an invalid value, or options contradict each other.
    """

    search: str | None = _option(
        None,
        "search strategy, optionally with its own options; see: s2s plugins list --kind search",
        otherwise="the bundle's, or one that supports the given options",
        metavar="NAME[,KEY=VALUE...]",
    )
    beam: int | None = _option(
        None,
        "beam size (Sutskever et al. 2014); 1 is greedy search",
        least=1,
        otherwise=f"{of_bundle(BEAM)}; with groups {DIVERSE_BEAM}, with phrases {CONSTRAINED_BEAM}",
        search="Beam",
    )
    n_best: int = _option(
        1,
        "number of outputs to return for each line, at most the beam size",
        least=1,
        aliases=("--nbest",),
        search="Beam",
    )
    normalization: str | None = _option(
        None,
        "length normalization of beam scores: wu (Wu et al. 2016, eq. 14), length (log-probability per token), none",
        choices=NORMALIZATIONS,
        otherwise=of_bundle(NORMALIZATION),
        search="Beam",
    )
    alpha: float | None = _option(
        None,
        "strength of the length normalization; 0 is none",
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
        "sample this many outputs for each line and return them all, instead of searching for the best",
        least=1,
        otherwise=_of_search(SAMPLES, _DRAWN),
        search="Sampling",
    )
    temperature: float | None = _option(
        None,
        "sampling temperature: sample from p^(1 / temperature) (Ackley et al. 1985); below 1 favours likely tokens",
        above=0,
        least=TEMPERATURES[0],
        most=TEMPERATURES[1],
        otherwise=_of_search(f"{TEMPERATURE:g}", _DRAWN),
        search="Sampling",
    )
    top_k: int | None = _option(
        None,
        "sample only from this many most probable tokens (Fan et al. 2018)",
        least=1,
        most=MOST_TOKENS,
        otherwise=_of_search("all", _DRAWN),
        search="Sampling",
    )
    top_p: float | None = _option(
        None,
        "sample only from the most probable tokens that together have this probability (nucleus sampling; Holtzman et "
        "al. 2020)",
        above=0,
        most=1,
        otherwise=_of_search(f"{TOP_P:g}", _DRAWN),
        search="Sampling",
    )
    groups: int | None = _option(
        None,
        "split the beam into this many groups that avoid each other's tokens (Vijayakumar et al. 2016)",
        least=1,
        otherwise=_of_search(GROUPS, _SPLIT),
        search="DiverseBeam",
    )
    strength: float | None = _option(
        None,
        "diversity penalty on a token for each time that an earlier group chose it; 0 makes all groups alike",
        least=0,
        most=MOST_PENALTY,
        otherwise=_of_search(f"{STRENGTH:g}", _SPLIT),
        search="DiverseBeam",
    )
    phrases: Sequence[str] = _option(
        (),
        "words that each output must contain (Post & Vilar 2018), unless its length limit cuts them off",
        search="ConstrainedBeam",
    )
    seed: int | None = _option(
        None,
        "random seed; samples depend only on it and on the line",
        otherwise=_of_search(SEED, _DRAWN),
        search="",
    )
    minimum_risk: str | None = _option(
        None,
        "minimum Bayes risk: return the sample that is most similar to all of them (Kumar & Byrne 2004), by this "
        "metric, such as ChrF or ROUGE1; the score of an output is then its mean over the samples, with a minus for "
        "a metric whose lower values are better; see: s2s plugins list --kind metric",
        otherwise="the most probable first",
        metavar="METRIC[,KEY=VALUE...]",
    )
    no_repeat_ngram: int | None = _option(
        None,
        "no sequence of this many tokens occurs twice in an output (Paulus et al. 2018)",
        least=1,
        most=MOST_TOKENS,
        otherwise="no such restriction",
    )
    banned: Sequence[str] = _option(
        (),
        "words that no output may contain (Hu et al. 2019), as the tokenizer splits them (another split of the same "
        "letters is not detected)",
    )
    prefix: str | None = _option(
        None,
        "text that each output begins with (Wuebker et al. 2016)",
        otherwise="no prefix",
    )
    replace_unknowns: bool = _option(
        False,
        "replace each unknown piece of an output with the source word that it attends to most (Luong et al. 2015b)",
    )
    limit_ratio: float = _option(
        LIMIT_RATIO, "maximum output tokens, as a multiple of the source's", least=0, most=MOST_RATIO
    )
    limit_extra: int = _option(
        LIMIT_EXTRA, "tokens added to the maximum of limit_ratio", least=0, most=MOST_TOKENS
    )
    max_tokens: int | None = _option(
        None,
        "maximum output length in tokens, whatever the source length",
        least=0,
        most=MOST_TOKENS,
        otherwise=of_bundle("no such limit"),
    )
    minimum_ratio: float = _option(
        0.0, "minimum output tokens, as a multiple of the source's", least=0, most=MOST_RATIO
    )
    min_tokens: int = _option(
        0,
        "minimum output length in tokens, whatever the source length; if it exceeds the maximum, the maximum counts",
        least=0,
        most=MOST_TOKENS,
    )
    max_source_tokens: int = _option(
        MAX_SOURCE_TOKENS,
        "maximum number of tokens read per line (with split, per sentence); truncation is reported",
        least=1,
    )
    split: str | None = _option(
        None,
        "translate each sentence of a line separately and join the outputs; the score is then the mean of theirs, "
        "a prefix is that of the first",
        choices=SPLITS,
        otherwise="a line is translated as a whole",
    )
    language: str | None = _option(
        None,
        "source language for split: a code such as de, whose abbreviations then do not end a sentence",
        otherwise="en; full stops of all scripts always end a sentence",
        metavar="CODE",
    )
    batch_tokens: int = _option(
        BATCH_TOKENS,
        "maximum source tokens per batch, including padding; each thread searches one batch. Affects speed and memory "
        "only",
        least=1,
    )
    weights: bool = _option(False, "include the attention weights in results and in JSON lines")
    shortlist: bool = _option(
        False,
        "restrict the output vocabulary to the bundle's shortlist for the pieces of a sentence (Jean et al. 2015): "
        "faster, occasionally with a different word; "
        "probabilities are then normalized over these pieces only. See: s2s shortlist",
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
                f"language {self.language!r} is only for split, which is not given; give split or leave out language"
            )
        if self.split is not None and self.several:
            which = "n_best" if self.n_best > 1 else "samples"
            raise ConfigError(
                f"split {self.split!r} joins one output of each sentence, but {which} is {getattr(self, which)}; leave "
                f"out {which} or split"
            )
        if self.split is not None and self.phrases:
            raise ConfigError(
                f"split {self.split!r} cannot know which sentence must contain {self.phrases[0]!r}; leave out phrases "
                "or split"
            )
        for asked in ("prefix", "phrases"):
            if self.shortlist and getattr(self, asked):
                raise ConfigError(
                    f"the tokens of {asked} may be missing from the shortlist; leave out {asked} or shortlist"
                )

    def of_search(self) -> dict[str, Any]:
        """The given options that are for a search strategy."""
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

    def limited(self, recommended: int | None) -> Options:
        """The options with the bundle's maximum output length, unless another one is given, or a longer minimum.

        Args:
            recommended: by the bundle, in tokens; None: none.
        """
        if recommended is None or self.max_tokens is not None:
            return self
        return replace(self, max_tokens=max(recommended, self.min_tokens))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """The options of these names and values.

        Raises:
            ConfigError: an unknown name (the message suggests the nearest one), or an invalid value.
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise ConfigError(unknown("option", name, known))
        return cls(**given)


def implied_search(option: str) -> str | None:
    """The strategy that an option implies; None if it implies none."""
    return next(one.metadata["search"] or None for one in fields(Options) if one.name == option)


class Given(TypedDict, total=False):
    """For type checkers: `Options` as keyword arguments of `Translator.translate`."""

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
    """An option as a command-line flag.

    Attributes:
        name: as in `Options`.
        flags: such as "--limit-extra".
        kind: bool for one without a value, tuple for one that may be given more than once.
        about: help text.
        choices: all allowed values; empty if they cannot be listed.
        metavar: placeholder for its value in the help.
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
