"""Line-by-line translation, independent of the runtime that computes the outputs. Nothing here needs torch."""

from __future__ import annotations

import itertools
import threading
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, overload

from s2s.errors import ConfigError, DataError
from s2s.inference.line import Line
from s2s.inference.options import Given, Options
from s2s.inference.splitting import joined
from s2s.inference.translation import Translation
from s2s.inference.windows import WINDOW, checked, in_batches, in_windows, lines_of
from s2s.inference.workers import Workers
from s2s.search.hypotheses import Hypothesis

if TYPE_CHECKING:
    from typing_extensions import Unpack

Tokens = list[int]
Hypotheses = list[list[Hypothesis]]


class Sentence(Protocol):
    """What one search finds an output for: a line, or a part of one."""

    @property
    def text(self) -> str:
        """The source text."""

    @property
    def strategy(self) -> Any:
        """The search strategy; sentences with the same one are searched together."""


SentenceT = TypeVar("SentenceT", bound=Sentence)


class Search(Protocol[SentenceT]):
    """What all lines of a call have in common."""

    options: Options
    results: bool
    """Whether results are returned, not just texts."""
    one_line: bool
    """Whether an output must be a single line."""

    def sentences(self, line: str | Line) -> list[SentenceT]:
        """What to search for a line: the line itself, or each of its sentences. At least one."""


@dataclass(frozen=True)
class Window(Generic[SentenceT]):
    """Lines whose search has begun.

    Attributes:
        sentences: of all lines.
        parts: number of sentences of each line.
        sources: for each model, the tokens of each sentence.
        truncated: indices of truncated sentences.
        batches: indices of sentences, batch by batch.
        waiting: for each batch, a function that waits for its result.
    """

    sentences: list[SentenceT]
    parts: list[int]
    sources: list[list[Tokens]]
    truncated: set[int]
    batches: list[list[int]]
    waiting: Sequence[Callable[[], Hypotheses]]


class LineTranslator(ABC, Generic[SentenceT]):
    """Reads lines window by window, batches those of similar lengths, and returns results in order.

    It is thread-safe: concurrent calls do not affect each other's results.

    Args:
        threads: number of threads that search, one batch each.
    """

    tells_weights: ClassVar[bool]
    """Whether results can have attention weights."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    @property
    @abstractmethod
    def files(self) -> list[dict[str, str]]:
        """Checksums of all files that outputs depend on."""

    @property
    @abstractmethod
    def longest(self) -> int | None:
        """Maximum source tokens that the models can read; None: no limit."""

    def _asked(self, given: Given) -> Options:
        options = Options.of(given)
        if self.longest is None or options.max_source_tokens <= self.longest:
            return options
        return replace(options, max_source_tokens=self.longest)

    @abstractmethod
    def _search(self, options: Options, results: bool, *, one_line: bool = True) -> Search[SentenceT]:
        """The search with these options; see `Search` for the other arguments.

        Raises:
            S2SError: invalid options, or ones that this translator does not support.
        """

    @abstractmethod
    def _encode(self, texts: Sequence[str]) -> list[list[Tokens]]:
        """The source tokens of sentences, for each of the models that translate together."""

    @abstractmethod
    def _search_batch(
        self,
        sources: list[list[Tokens]],
        sentences: Sequence[SentenceT],
        search: Any,
        given_up: threading.Event,
    ) -> Hypotheses:
        """The outputs of sentences of one strategy; called from several threads at once.

        Raises:
            GivenUp: nobody waits for them any more.
        """

    @abstractmethod
    def _translation(
        self, best: list[Hypothesis], sentence: SentenceT, source: Tokens, truncated: bool, search: Any
    ) -> Translation:
        """The result of a sentence from its hypotheses."""

    @property
    @abstractmethod
    def told_lengths(self) -> bool:
        """Whether all models were trained with length control, see `s2s.text.wanted_length`."""

    @property
    @abstractmethod
    def max_output_tokens(self) -> int | None:
        """Maximum output length that the (first) bundle recommends; it holds where `max_tokens` is not given."""

    def _preparation(self) -> Callable[[], None] | None:
        """See `Workers`."""
        return None

    def _expect(self, tokens: int) -> None:  # noqa: B027  (most have nothing to do with it)
        """Called with the number of source tokens to be translated next."""

    @overload
    def translate(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self, texts: str | Line, *, results: Literal[False] = ..., **options: Unpack[Given]
    ) -> str: ...

    @overload
    def translate(
        self, texts: Iterable[str | Line], *, results: Literal[False] = ..., **options: Unpack[Given]
    ) -> list[str]: ...

    @overload
    def translate(  # type: ignore[overload-overlap]
        self, texts: str | Line, *, results: Literal[True], **options: Unpack[Given]
    ) -> Translation: ...

    @overload
    def translate(
        self, texts: Iterable[str | Line], *, results: Literal[True], **options: Unpack[Given]
    ) -> list[Translation]: ...

    def translate(
        self, texts: str | Line | Iterable[str | Line], *, results: bool = False, **options: Unpack[Given]
    ) -> str | list[str] | Translation | list[Translation]:
        r"""Translate a text or several.

        A text consists of lines, split at \n only. Each line is translated independently, and the output has as
        many lines; a line without tokens (an empty one) gives an empty line. The translation of a text does not
        depend on the other texts.

        Args:
            texts: one text, or any number of them; any str is accepted, or a `Line` with its own constraints.
            results: return objects with scores, tokens and alternatives instead of strings; then a text must be
                one line.
            options: see `s2s.inference.options.Options`; `s2s translate` has the same.

        Returns:
            a str for a str, a list in the same order for several; `Translation` instead of str if `results`.

        Raises:
            BundleError: `shortlist` is given, but the bundle has none.
            ConfigError: an unknown option or an invalid value, or a head that cannot use a shortlist.
            DataError: something that is not a str, or a text of several lines if `results`.

        Warns:
            UserWarning: a line had more than `max_source_tokens` tokens, or an output lacks a phrase, and `results`
                is off.
        """
        single = isinstance(texts, str | Line)
        given = list(checked([texts] if isinstance(texts, str | Line) else texts, results))
        search = self._search(self._asked(options), results)
        found = list(self._stream([given], search, ahead=1))
        return found[0] if single else found  # type: ignore[return-value]

    @overload
    def stream(
        self,
        texts: Iterable[str | Line],
        *,
        results: Literal[False] = ...,
        window: int = ...,
        **options: Unpack[Given],
    ) -> Iterator[str]: ...

    @overload
    def stream(
        self,
        texts: Iterable[str | Line],
        *,
        results: Literal[True],
        window: int = ...,
        **options: Unpack[Given],
    ) -> Iterator[Translation]: ...

    def stream(
        self,
        texts: Iterable[str | Line],
        *,
        results: bool = False,
        window: int = WINDOW,
        **options: Unpack[Given],
    ) -> Iterator[str] | Iterator[Translation]:
        """Translate a stream of texts, in order, with little memory however many there are.

        Args:
            texts: any number of them; read lazily.
            results: see `translate`.
            window: maximum number of texts read ahead; they are sorted by length. With 1, each text is translated
                before the next is read.
            options: see `translate`.

        Raises:
            BundleError: see `translate`; raised at once, like a `ConfigError`.
            ConfigError: see `translate`.
            DataError: see `translate`; raised when the text is reached, after the results of those before it.
        """
        if window < 1:
            raise ConfigError(f"window is {window}; it must be 1 or more")
        if isinstance(texts, str | Line):
            raise DataError("stream takes texts, such as a list or an open file; for one text use translate")
        search = self._search(self._asked(options), results)
        # Two windows of half the size: while the last batches of one are searched, the next is begun.
        windows = in_windows(checked(texts, results), max(1, window // 2))
        return self._stream(windows, search, ahead=min(window, 2))  # type: ignore[return-value]

    def stream_windows(
        self, windows: Iterable[Sequence[str | Line]], *, one_line: bool = True, **options: Unpack[Given]
    ) -> Generator[list[Translation]]:
        """Translate windows of lines, for callers that decide themselves how long to wait for more input.

        Args:
            windows: lines that are sorted by length together; an empty window flushes all pending results. A str is
                read as it is, including newlines.
            one_line: whether a newline in an output becomes a space.
            options: see `translate`.

        Returns:
            the translations of each window that is not empty. At most two windows are read ahead.

        Raises:
            BundleError: see `stream`.
            ConfigError: see `stream`.
        """
        return self._flow(windows, self._search(self._asked(options), True, one_line=one_line), ahead=2)

    def _stream(
        self, windows: Iterable[list[str | Line]], search: Search[SentenceT], ahead: int
    ) -> Iterator[str | Translation]:
        """Split texts into lines, and join translations of lines to those of texts, or return results."""
        pending: deque[list[str | Line]] = deque()

        def lines() -> Iterator[list[str | Line]]:
            for texts in windows:
                if texts:  # an empty window has no result
                    pending.append(texts)
                yield [line for text in texts for line in lines_of(text)]

        truncated = unmet = number = 0
        with closing(self._flow(lines(), search, ahead)) as flow:
            for found in flow:
                truncated += sum(one.truncated for one in found)
                unmet += sum(bool(one.unmet) for one in found)
                number += len(found)
                texts = pending.popleft()
                if search.results:
                    yield from found
                    continue
                outputs = iter(found)
                for text in texts:
                    yield "\n".join(next(outputs).text for _ in lines_of(text))
        if truncated and not search.results:
            warnings.warn(
                f"{truncated} of {number} lines have more than {search.options.max_source_tokens} tokens; only so many "
                "were read of each. See max_source_tokens",
                stacklevel=3,
            )
        if unmet and not search.results:
            warnings.warn(
                f"{unmet} of {number} outputs lack a requested phrase or prefix; see unmet of results=True, "
                "limit_extra, beam",
                stacklevel=3,
            )

    def _flow(
        self, windows: Iterable[Sequence[str | Line]], search: Search[SentenceT], ahead: int
    ) -> Generator[list[Translation]]:
        """See `stream_windows`; at most `ahead` windows are read ahead."""
        with Workers(self._threads, self._preparation()) as workers:
            flying: deque[Window[SentenceT]] = deque()
            for lines in windows:
                if lines:
                    flying.append(self._begin(lines, search, workers))
                while flying and (not lines or len(flying) >= ahead):
                    yield self._end(flying.popleft(), search)
            while flying:
                yield self._end(flying.popleft(), search)

    def _begin(
        self, lines: Sequence[str | Line], search: Search[SentenceT], workers: Workers
    ) -> Window[SentenceT]:
        of_lines = [search.sentences(line) for line in lines]
        sentences = list(itertools.chain(*of_lines))
        # White space is no text: it is like an empty line.
        sources = self._encode([one.text if one.text.strip() else "" for one in sentences])
        most = search.options.max_source_tokens
        truncated = {index for tokens in sources for index, source in enumerate(tokens) if len(source) > most}
        sources = [[source[:most] for source in tokens] for tokens in sources]
        # A line without tokens for any of the models is not searched; for others, the longest source counts.
        lengths = [max(map(len, each)) if all(each) else 0 for each in zip(*sources, strict=True)]
        self._expect(sum(lengths))
        batch_tokens = min(search.options.batch_tokens, -(-sum(lengths) // self._threads))
        batches: list[list[int]] = []
        for strategy in dict.fromkeys(one.strategy for one in sentences):  # mostly there is only one
            places = [index for index, one in enumerate(sentences) if one.strategy is strategy]
            found = in_batches([lengths[index] for index in places], batch_tokens)
            batches += [[places[place] for place in batch] for batch in found]
        tasks = [
            partial(
                self._search_batch,
                [[tokens[index] for index in batch] for tokens in sources],
                [sentences[index] for index in batch],
                search,
                workers.given_up,
            )
            for batch in batches
        ]
        return Window(sentences, [*map(len, of_lines)], sources, truncated, batches, workers.start(tasks))

    def _empty(self, sentence: SentenceT) -> Translation:
        """The output of a sentence without tokens, which is not searched."""
        return Translation("", 0.0, [], [], True, [])

    def _end(self, window: Window[SentenceT], search: Search[SentenceT]) -> list[Translation]:
        found = [self._empty(sentence) for sentence in window.sentences]
        for batch, waiting in zip(window.batches, window.waiting, strict=True):
            for index, best in zip(batch, waiting(), strict=True):
                found[index] = self._translation(
                    best,
                    window.sentences[index],
                    window.sources[0][index],
                    index in window.truncated,
                    search,
                )
        of_sentences = iter(found)
        return [joined([*itertools.islice(of_sentences, number)]) for number in window.parts]
