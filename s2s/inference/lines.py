"""Lines in, lines out: what every translator does, whatever computes its outputs. Nothing here needs torch."""

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
        """Of the source."""

    @property
    def strategy(self) -> Any:
        """That searches; sentences of one strategy are searched together."""


SentenceT = TypeVar("SentenceT", bound=Sentence)


class Search(Protocol[SentenceT]):
    """What all lines of a call have in common."""

    options: Options
    results: bool
    """Whether more than texts is wanted."""
    one_line: bool
    """Whether an output is a line, whatever the model says."""

    def sentences(self, line: str | Line) -> list[SentenceT]:
        """What there is to search for a line: itself, or each of its sentences. One at least."""


@dataclass(frozen=True)
class Window(Generic[SentenceT]):
    """Lines whose search has begun.

    Attributes:
        sentences: of all lines.
        parts: how many of the sentences are of each line.
        sources: for each of the models the tokens of each sentence.
        truncated: places of sentences that were cut.
        batches: places of sentences, batch by batch.
        waiting: for each batch what waits for its result.
    """

    sentences: list[SentenceT]
    parts: list[int]
    sources: list[list[Tokens]]
    truncated: set[int]
    batches: list[list[int]]
    waiting: Sequence[Callable[[], Hypotheses]]


class LineTranslator(ABC, Generic[SentenceT]):
    """Reads lines window by window, searches those of like lengths together, and answers in order.

    Any number of threads may call it at once, and each gets what it would get alone.

    Args:
        threads: that search, a batch each.
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
        """Most tokens of a source that the models can read; None: any number."""

    def _asked(self, given: Given) -> Options:
        options = Options.of(given)
        if self.longest is None or options.max_source_tokens <= self.longest:
            return options
        return replace(options, max_source_tokens=self.longest)

    @abstractmethod
    def _search(self, options: Options, results: bool, *, one_line: bool = True) -> Search[SentenceT]:
        """What the options ask for; see `Search` for the others.

        Raises:
            S2SError: what cannot be, or what this translator cannot do.
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
        """What is made of a sentence's outputs."""

    @property
    @abstractmethod
    def told_lengths(self) -> bool:
        """Whether all models have learnt to be asked for a length, see `s2s.text.wanted_length`."""

    def _preparation(self) -> Callable[[], None] | None:
        """See `Workers`."""
        return None

    def _expect(self, tokens: int) -> None:  # noqa: B027  (most have nothing to do with it)
        """Told how many source tokens are to be translated next."""

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

        A text is made of lines, split at \n only. Each line is translated on its own, and the result has as
        many lines; a line without a token (an empty one) gives an empty line. What a text gives depends on
        nothing else in the list.

        Args:
            texts: one text, or any number of them; every str is accepted, and a `Line` with wishes of its own.
            results: give objects with scores, tokens and alternatives instead of strings; then a text must be
                one line.
            options: see `s2s.inference.options.Options`; `s2s translate` has the same.

        Returns:
            for a str a str, for several a list, in their order; `Translation` instead of str if `results`.

        Raises:
            BundleError: a shortlist is asked for, and the bundle has none.
            ConfigError: an option that does not exist or cannot be, or a head that cannot use a shortlist.
            DataError: something that is not a str, or a text of several lines where `results` are asked for.

        Warns:
            UserWarning: a line had more than `max_source_tokens` tokens, or an output lacks a phrase, and `results`
                cannot tell it.
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
        """Translate texts while they come, in their order, with little memory however many they are.

        Args:
            texts: any number of them; read when the translations are asked for.
            results: see `translate`.
            window: most texts that are read and not yet answered; what is read is sorted by length. With 1 each text is
                answered before the next is read.
            options: see `translate`.

        Raises:
            BundleError: see `translate`; at once, as a `ConfigError`.
            ConfigError: see `translate`.
            DataError: see `translate`; when the text is reached, after the answers to those before it.
        """
        if window < 1:
            raise ConfigError(f"window is {window}; it must be 1 or more")
        if isinstance(texts, str | Line):
            raise DataError(
                "stream takes texts, such as a list or an open file; for one text there is translate"
            )
        search = self._search(self._asked(options), results)
        # Two windows at once, each of half the size: while the last batches of one are searched, the next has begun.
        windows = in_windows(checked(texts, results), max(1, window // 2))
        return self._stream(windows, search, ahead=min(window, 2))  # type: ignore[return-value]

    def stream_windows(
        self, windows: Iterable[Sequence[str | Line]], *, one_line: bool = True, **options: Unpack[Given]
    ) -> Generator[list[Translation]]:
        """Translate windows of lines, for those who know best when to wait for more of them.

        Args:
            windows: lines that are sorted together; an empty one asks for all answers before the next is read. A str
                is read as it is, newlines and all.
            one_line: whether a newline in an output becomes a space.
            options: see `translate`.

        Returns:
            for each window that is not empty its translations. Two windows at most are read and not yet answered.

        Raises:
            BundleError: see `stream`.
            ConfigError: see `stream`.
        """
        return self._flow(windows, self._search(self._asked(options), True, one_line=one_line), ahead=2)

    def _stream(
        self, windows: Iterable[list[str | Line]], search: Search[SentenceT], ahead: int
    ) -> Iterator[str | Translation]:
        """Texts to lines, and translations of lines to those of texts, or to results."""
        pending: deque[list[str | Line]] = deque()

        def lines() -> Iterator[list[str | Line]]:
            for texts in windows:
                if texts:  # else it has no answer
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
                f"{unmet} of {number} outputs lack a phrase that was asked for, or begin with another; see unmet of "
                "results=True, limit_extra, beam",
                stacklevel=3,
            )

    def _flow(
        self, windows: Iterable[Sequence[str | Line]], search: Search[SentenceT], ahead: int
    ) -> Generator[list[Translation]]:
        """See `stream_windows`; `ahead` windows at most are read and not yet answered."""
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
        sources = self._encode([one.text for one in sentences])
        most = search.options.max_source_tokens
        truncated = {index for tokens in sources for index, source in enumerate(tokens) if len(source) > most}
        sources = [[source[:most] for source in tokens] for tokens in sources]
        # A line without a token, whoever finds none, has no search; the others' tokens count as the longest do.
        lengths = [max(map(len, each)) if all(each) else 0 for each in zip(*sources, strict=True)]
        self._expect(sum(lengths))
        batch_tokens = min(search.options.batch_tokens, -(-sum(lengths) // self._threads))
        batches: list[list[int]] = []
        for strategy in dict.fromkeys(one.strategy for one in sentences):  # most often one searches all
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

    def _end(self, window: Window[SentenceT], search: Search[SentenceT]) -> list[Translation]:
        found = [Translation("", 0.0, [], [], True, []) for _ in window.sentences]
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
