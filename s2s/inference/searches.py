"""What is searched for: in a call as a whole, and for a single output with its own constraints."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import NamedTuple

from s2s.errors import BundleError, ConfigError
from s2s.inference.bundle import Bundle
from s2s.inference.line import Line
from s2s.inference.options import Options
from s2s.inference.risk import Gain
from s2s.inference.splitting import SentenceSplitter
from s2s.inference.strategies import strategy_of
from s2s.inference.windows import encodable
from s2s.registry.parts import factory
from s2s.registry.words import given_spec
from s2s.search.strategy import SearchStrategy
from s2s.text.extended import ExtendedVocabulary
from s2s.text.sentences import LANGUAGE
from s2s.text.tokenizer import UNK


class Said(NamedTuple):
    """The constraints on one output, in tokens.

    Attributes:
        prefix: what it must begin with.
        phrases: what it must contain.
        banned: what it must not contain.
        unsayable: required texts that the model has no tokens for.
    """

    prefix: list[int]
    phrases: list[list[int]]
    banned: list[list[int]]
    unsayable: list[str]


class Wish(NamedTuple):
    """A text, and its tokens as the tokenizer gives them, unknown ones too."""

    text: str
    tokens: list[int]


class Wishes(NamedTuple):
    """The constraints on one output, as requested.

    Attributes:
        prefix: what it must begin with; anything if it has no tokens.
        phrases: what it must contain.
        banned: what it must not contain.
    """

    prefix: Wish
    phrases: list[Wish]
    banned: list[Wish]

    @property
    def unknown(self) -> bool:
        """Whether any has an out-of-vocabulary word, which only a model that copies can generate."""
        return any(UNK in wish.tokens for wish in (self.prefix, *self.phrases, *self.banned))

    def said(self, vocabulary: ExtendedVocabulary) -> Said:
        """The constraints in tokens.

        Args:
            vocabulary: with the source words that the model can copy, if any.
        """

        def tokens(wish: Wish) -> list[int]:
            own = list(vocabulary.target(encodable(wish.text), wish.tokens))
            return [] if UNK in own else own

        prefix = tokens(self.prefix)
        phrases = [tokens(phrase) for phrase in self.phrases]
        return Said(
            prefix,
            [phrase for phrase in phrases if phrase],
            [word for word in map(tokens, self.banned) if word],
            [
                wish.text
                for wish, own in zip((self.prefix, *self.phrases), (prefix, *phrases), strict=True)
                if wish.text and not own
            ],
        )


class Sentence(NamedTuple):
    """What one search finds an output for: a line, or a part of one.

    Attributes:
        text: the source text.
        strategy: the search strategy.
        wishes: the constraints on its output.
    """

    text: str
    strategy: SearchStrategy
    wishes: Wishes


class Search:
    """What all lines of a call have in common.

    Args:
        options: of the call.
        bundle: of the first model.
        results: whether results are returned, not just texts.
        one_line: whether an output must be a single line.
        copies: whether out-of-vocabulary words can be copied from the source.

    Raises:
        BundleError: `shortlist` is given, but the bundle has none.
        ConfigError: options that are impossible with this bundle.
    """

    def __init__(
        self,
        options: Options,
        bundle: Bundle,
        results: bool,
        *,
        one_line: bool = True,
        copies: bool = False,
    ) -> None:
        if options.shortlist and bundle.shortlist is None:
            raise BundleError(
                "the bundle has no shortlist; learn one from its training text with: "
                "s2s shortlist BUNDLE SOURCE,TARGET"
            )
        self.options = options
        self.results = results
        self.one_line = one_line
        self.shortlist = bundle.shortlist if options.shortlist else None
        self.strategy = strategy_of(options, bundle.search, bundle.config["search"])
        self.gain = None if options.minimum_risk is None else _gain(options.minimum_risk)
        self._bundle = bundle
        self._split = None if options.split is None else SentenceSplitter(options.language or LANGUAGE)
        self._wishes = self._encoded(options)
        for wish in (self._wishes.prefix, *self._wishes.phrases):
            # Whether the source has the word, so that it can be copied, is only known line by line.
            if wish.text and (not wish.tokens or (UNK in wish.tokens and not copies)):
                raise ConfigError(f"the model has no tokens for {wish.text!r}; choose other words")

    def sentences(self, line: str | Line) -> list[Sentence]:
        """What to search for a line: the line itself, or each of its sentences. At least one.

        Raises:
            ConfigError: a constraint of the line contradicts the options of the call.
        """
        text = line if isinstance(line, str) else line.text
        strategy, wishes = self.strategy, self._wishes
        if isinstance(line, Line) and line.wishes:
            # The result is the same as if its constraints were options of the call.
            options = dataclasses.replace(
                self.options,
                prefix=self.options.prefix if line.prefix is None else line.prefix,
                phrases=(*self.options.phrases, *line.phrases),
                banned=(*self.options.banned, *line.banned),
            )
            strategy, wishes = self._for_phrases if options.phrases else strategy, self._encoded(options)
        parts = [text] if self._split is None else self._split(text)
        return [
            Sentence(part, strategy, wishes if number == 0 else wishes._replace(prefix=Wish("", [])))
            for number, part in enumerate(parts)
        ]

    @cached_property
    def _for_phrases(self) -> SearchStrategy:
        if self.options.phrases:
            return self.strategy
        options = dataclasses.replace(self.options, phrases=("any",))
        return strategy_of(options, self._bundle.search, self._bundle.config["search"])

    def _encoded(self, options: Options) -> Wishes:
        def wish(text: str) -> Wish:
            return Wish(text, self._bundle.target_tokenizer.encode(encodable(text)))

        return Wishes(
            wish(options.prefix or ""),
            [wish(text) for text in options.phrases],
            [wish(text) for text in options.banned],
        )


def _gain(minimum_risk: str) -> Gain:
    gain: Gain = factory("metric", given_spec(minimum_risk, "minimum_risk"))().gain
    return gain
