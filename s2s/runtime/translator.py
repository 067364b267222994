"""Translation of text with an exported model."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from s2s.cores import threads_to_use
from s2s.durable import of_one_version
from s2s.errors import BundleError, ConfigError, DataError, PluginError
from s2s.inference.exported import EXPORTED, SEARCH_OPTIONS
from s2s.inference.line import Line
from s2s.inference.lines import Hypotheses, LineTranslator, Tokens
from s2s.inference.options import Options
from s2s.inference.shipped import LIMIT
from s2s.inference.splitting import SentenceSplitter
from s2s.inference.translation import Translation
from s2s.inference.windows import encodable
from s2s.registry.parts import check_values, read_spec
from s2s.runtime.model import Model
from s2s.runtime.search import Beam, Strategy
from s2s.runtime.strategies import OF_BEAM, strategy_of
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import limits_of
from s2s.text.extended import ExtendedVocabulary
from s2s.text.sentences import LANGUAGE
from s2s.text.tokenizer import BOS, EOS, Tokenizer

_LIMITS = ("limit_ratio", "limit_extra", "max_tokens", "minimum_ratio", "min_tokens")
_ABLE = ("search", *OF_BEAM, *_LIMITS, "max_source_tokens", "split", "language", "batch_tokens")


class _Sentence(NamedTuple):
    """See `s2s.inference.lines.Sentence`."""

    text: str
    strategy: Strategy


class _Search:
    """What all lines of a call have in common.

    Args:
        options: of the call.
        recommended: spec of the search that the export recommends.
        place: the file that recommends it, for messages.
        takes: see `strategy_of`.
        results: whether results are returned, not just texts.
        one_line: whether an output must be a single line.

    Raises:
        ConfigError: an option that this runtime does not support.
    """

    def __init__(
        self,
        options: Options,
        recommended: Any,
        place: object,
        takes: Collection[str] | None,
        results: bool,
        *,
        one_line: bool = True,
    ) -> None:
        for one in fields(Options):
            if getattr(options, one.name) != one.default:
                _refuse(one.name)
        self.options = options
        self.results = results
        self.one_line = one_line
        self.strategy = strategy_of(options, recommended, place, takes)
        self._split = None if options.split is None else SentenceSplitter(options.language or LANGUAGE)

    def sentences(self, line: str | Line) -> list[_Sentence]:
        """What to search for a line: the line itself, or each of its sentences.

        Raises:
            ConfigError: the line has its own constraints.
        """
        if isinstance(line, Line):
            for name in ("prefix", "phrases", "banned"):
                if getattr(line, name):
                    _refuse(name)
            line = line.text
        parts = [line] if self._split is None else self._split(line)
        return [_Sentence(part, self.strategy) for part in parts]


class OnnxTranslator(LineTranslator[_Sentence]):
    """Translates like `s2s.Translator`, without torch: with greedy or beam search.

    Each of its threads searches one batch. It is thread-safe.

    Args:
        config: of the export.
        model: its graphs.
        source_tokenizer: trained.
        target_tokenizer: trained.
        threads: number of threads that search, one batch each; None is `default_threads` of all cores.

    Raises:
        ConfigError: fewer than one thread.
    """

    tells_weights = False

    def __init__(
        self,
        config: Mapping[str, Any],
        model: Model,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        threads: int | None = None,
    ) -> None:
        super().__init__(threads_to_use(threads, os.cpu_count() or 1))
        self.config = config
        self._model = model
        self._source_tokenizer = source_tokenizer
        self._target_tokenizer = target_tokenizer
        self._copies = bool(config["model"].get("copies"))  # see `Head.copies`

    @classmethod
    def load(cls, path: str | Path, threads: int | None = None) -> OnnxTranslator:
        """Make a translator from an export on disk.

        Args:
            path: folder of the export.
            threads: see `OnnxTranslator`.

        Raises:
            BundleError: the export is incomplete, damaged or newer than this s2s, or its tokenizer is not available.
            ConfigError: fewer than one thread, or onnxruntime is not installed.
        """
        return cls(*_read(path), threads=threads)

    @property
    def files(self) -> list[dict[str, str]]:
        """See `LineTranslator.files`."""
        return [self.config["sha256"]]

    @property
    def told_lengths(self) -> bool:
        """See `LineTranslator.told_lengths`."""
        return bool(self.config.get("training", {}).get("told_lengths"))

    @property
    def max_output_tokens(self) -> int | None:
        """See `LineTranslator.max_output_tokens`."""
        return self.config.get(LIMIT)

    @property
    def longest(self) -> int | None:
        """See `LineTranslator.longest`."""
        longest: int | None = self.config["model"].get("longest")
        return longest

    def _search(self, options: Options, results: bool, *, one_line: bool = True) -> _Search:
        place = self._model.folder / EXPORTED.config
        takes = self.config.get(SEARCH_OPTIONS)
        options = options.limited(self.max_output_tokens)
        return _Search(options, self.config["search"], place, takes, results, one_line=one_line)

    def _encode(self, texts: Sequence[str]) -> list[list[Tokens]]:
        return [self._read(texts)[1]]

    def _read(self, texts: Sequence[str]) -> tuple[list[ExtendedVocabulary], list[Tokens]]:
        """The vocabulary of each sentence, with the words that the model may copy; its source tokens."""
        lines = [encodable(text) for text in texts]
        sources = self._source_tokenizer.encode_batch(lines)
        vocabularies = [ExtendedVocabulary(self._target_tokenizer) for _ in lines]
        if self._copies:
            parts = zip(vocabularies, lines, sources, strict=True)
            sources = [list(vocabulary.source(line, source)) for vocabulary, line, source in parts]
        return vocabularies, sources

    def _vocabulary(self, text: str) -> ExtendedVocabulary:
        return self._read([text])[0][0] if self._copies else ExtendedVocabulary(self._target_tokenizer)

    def _search_batch(
        self,
        sources: list[list[Tokens]],
        sentences: Sequence[_Sentence],
        search: _Search,
        given_up: threading.Event,
    ) -> Hypotheses:
        stepper, state = self._model.begin(sources[0], given_up.is_set)
        asked = {name: getattr(search.options, name) for name in _LIMITS}
        limits, minimums = limits_of(stepper.source_lengths, **asked)
        return search.strategy.search(stepper, state, bos=BOS, eos=EOS, limits=limits, minimums=minimums)

    def _translation(
        self, best: list[Hypothesis], sentence: _Sentence, source: Tokens, truncated: bool, search: _Search
    ) -> Translation:
        vocabulary = self._vocabulary(sentence.text)
        reader = vocabulary if self._copies else self._source_tokenizer
        source_tokens = reader.tokens(source) if search.results else []
        texts = [vocabulary.decode(one.tokens) for one in best]
        if search.one_line:  # a byte-level model may output a newline; a line stays a line
            texts = [text.replace("\n", " ") for text in texts]
        found = [
            Translation(
                text,
                one.score,
                vocabulary.tokens(one.tokens) if search.results else [],
                one.log_probs,
                one.finished,
                source_tokens,
                truncated=truncated,
            )
            for text, one in zip(texts, best, strict=True)
        ]
        found[0].alternatives.extend(found[1:])
        return found[0]


def _refuse(option: str) -> None:
    """Raise a ConfigError if this runtime does not support it."""
    if option not in _ABLE:
        raise ConfigError(
            f"an exported model cannot do {option!r}; translate with its bundle, or leave it out. "
            f"What it can do: {', '.join(_ABLE)}"
        )


@of_one_version
def _read(path: str | Path) -> tuple[dict[str, Any], Model, Tokenizer, Tokenizer]:
    folder = Path(path)
    config = EXPORTED.read_config(folder)
    EXPORTED.check_files(folder, config)
    try:
        tokenizers = EXPORTED.of_both_sides(folder, config)
    except (ConfigError, DataError, PluginError) as error:
        raise BundleError(
            f"{folder} (made by s2s {config['s2s_version']}) cannot be used here: {str(error).rstrip('.')}. "
            "If its tokenizer is a plugin's, install it or name its folder with --plugin-dir"
        ) from error
    recommended, takes = config["search"], config.get(SEARCH_OPTIONS)
    try:
        if takes is not None and not (isinstance(takes, list) and all(isinstance(one, str) for one in takes)):
            raise ConfigError(f"{SEARCH_OPTIONS} is {takes!r:.100}, not a list of names")
        name, given = read_spec("search", recommended)
        if name == "Beam":
            check_values("search 'Beam'", Beam, given)
            Beam(
                **{key: value for key, value in given.items() if key != "beta"}
            )  # `strategy_of` tells of that
    except (ConfigError, TypeError) as error:
        raise BundleError(
            f"{folder / EXPORTED.config} recommends a search that cannot be: {error}; {EXPORTED.again}"
        ) from error
    return config, Model(folder, config), *tokenizers
