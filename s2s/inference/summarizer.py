"""Summarization of documents: a translator that reads a document as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from s2s.errors import BundleError, ConfigError, DataError
from s2s.inference.lines import LineTranslator
from s2s.inference.options import MAX_SOURCE_TOKENS, Given
from s2s.inference.translation import Translation
from s2s.inference.windows import WINDOW, in_windows
from s2s.text.wanted_length import with_length

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from s2s.inference.bundle import Bundle


class Summarizer:
    """Summarizes documents: a `Translator` that treats a text of several lines as one source.

    Args:
        bundle: as `load_bundle` returns it.
        device: see `Translator`.
        precision: see `Translator`.
        models: see `Translator`.
        threads: see `Translator`.

    Raises:
        ConfigError: see `Translator`.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: str = "float32",
        models: Sequence[Bundle] = (),
        threads: int | None = None,
    ) -> None:
        from s2s.inference.translator import Translator  # imports torch, which an exported model does without

        self.translator: LineTranslator[Any] = Translator(
            bundle, device=device, precision=precision, models=models, threads=threads
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "cpu",
        precision: str = "float32",
        threads: int | None = None,
        models: Sequence[str | Path] = (),
    ) -> Summarizer:
        """Make a summarizer from a bundle on disk; see `Translator.load`."""
        from s2s.inference.translator import Translator

        return cls.of(Translator.load(path, device, precision, threads, models))

    @classmethod
    def of(cls, translator: LineTranslator[Any]) -> Summarizer:
        """Make a summarizer from a translator, also of an exported model; both remain usable."""
        summarizer = cls.__new__(cls)
        summarizer.translator = translator
        return summarizer

    @overload
    def summarize(  # type: ignore[overload-overlap]  # a str is an Iterable[str], too
        self,
        documents: str,
        *,
        results: Literal[False] = ...,
        words: int | None = ...,
        **options: Unpack[Given],
    ) -> str: ...

    @overload
    def summarize(
        self,
        documents: Iterable[str],
        *,
        results: Literal[False] = ...,
        words: int | None = ...,
        **options: Unpack[Given],
    ) -> list[str]: ...

    @overload
    def summarize(  # type: ignore[overload-overlap]
        self, documents: str, *, results: Literal[True], words: int | None = ..., **options: Unpack[Given]
    ) -> Translation: ...

    @overload
    def summarize(
        self,
        documents: Iterable[str],
        *,
        results: Literal[True],
        words: int | None = ...,
        **options: Unpack[Given],
    ) -> list[Translation]: ...

    def summarize(
        self,
        documents: str | Iterable[str],
        *,
        results: bool = False,
        words: int | None = None,
        **options: Unpack[Given],
    ) -> str | list[str] | Translation | list[Translation]:
        """Summarize a document or several.

        The summary of a document does not depend on the other documents. A document without tokens (an empty one) has
        an empty summary. A summary keeps the newlines that the model generates.

        Args:
            documents: one text, or any number of them; each may have several lines.
            results: return objects with scores, tokens and alternatives instead of strings.
            words: approximate length of a summary; only for a model trained with length control (`tell_length`).
            options: see `s2s.inference.options.Options`; `s2s summarize` has the same.

        Returns:
            a str for a str, a list in the same order for several; `Translation` instead of str if `results`.

        Raises:
            BundleError: `words` is given, but the model was not trained with it; or see `Translator.translate`.
            ConfigError: an unknown option or an invalid value.
            DataError: something that is not a str.

        Warns:
            UserWarning: a document had more than `max_source_tokens` tokens, or an output lacks a phrase, and `results`
                is off.
        """
        given = list(_checked([documents] if isinstance(documents, str) else documents))
        found = list(self._stream([given], results, words, options))
        return found[0] if isinstance(documents, str) else found  # type: ignore[return-value]

    def stream(
        self,
        documents: Iterable[str],
        *,
        results: bool = False,
        words: int | None = None,
        window: int = WINDOW,
        **options: Unpack[Given],
    ) -> Iterator[str] | Iterator[Translation]:
        """Summarize a stream of documents, in order, with little memory however many there are.

        Args:
            documents: any number of them; read lazily.
            results: see `summarize`.
            words: see `summarize`.
            window: see `Translator.stream`.
            options: see `summarize`.

        Raises:
            BundleError: see `summarize`.
            ConfigError: see `summarize`.
            DataError: see `summarize`; raised when the document is reached, after the summaries before it.
        """
        if isinstance(documents, str):
            raise DataError("stream takes documents, such as a list; for one document use summarize")
        if window < 1:
            raise ConfigError(f"window is {window}; it must be 1 or more")
        windows = in_windows(_checked(documents), max(1, window // 2))
        if window == 1:  # an empty window flushes the results of those before it
            windows = (one for each in windows for one in (each, []))
        return self._stream(windows, results, words, options)  # type: ignore[return-value]

    def stream_windows(
        self, windows: Iterable[Sequence[str]], *, words: int | None = None, **options: Unpack[Given]
    ) -> Generator[list[Translation]]:
        """Summarize windows of documents; see `Translator.stream_windows`.

        Raises:
            BundleError: see `summarize`.
            ConfigError: see `summarize`.
        """
        if words is not None:
            check_words(words, options.get("split"))
            self._check_told()
            windows = (
                [with_length(text, words) if text.strip() else "" for text in window] for window in windows
            )
        return self.translator.stream_windows(windows, one_line=False, **options)

    def _stream(
        self, windows: Iterable[list[str]], results: bool, words: int | None, options: Given
    ) -> Iterator[str | Translation]:
        flow = self.stream_windows(windows, words=words, **options)
        return self._answers(flow, results, options.get("max_source_tokens", MAX_SOURCE_TOKENS))

    def _answers(
        self, flow: Generator[list[Translation]], results: bool, most: int
    ) -> Iterator[str | Translation]:
        truncated = unmet = number = 0
        with closing(flow):
            for found in flow:
                truncated += sum(one.truncated for one in found)
                unmet += sum(bool(one.unmet) for one in found)
                number += len(found)
                yield from found if results else (one.text for one in found)
        if truncated and not results:
            warnings.warn(
                f"{truncated} of {number} documents have more than {most} tokens; only so many were read of each. See "
                "max_source_tokens",
                stacklevel=2,
            )
        if unmet and not results:
            warnings.warn(
                f"{unmet} of {number} summaries lack a requested phrase or prefix; see unmet of results=True, "
                "limit_extra, beam",
                stacklevel=2,
            )

    def _check_told(self) -> None:
        if not self.translator.told_lengths:
            raise BundleError(
                "this model was not trained with length control; train it with a corpus that tells lengths "
                "(data.train: [{path: FILE, tell_length: true}, {path: FILE}]), or use min_tokens and max_tokens"
            )


def check_words(words: int | None, split: str | None) -> None:
    """Check a requested length.

    Args:
        words: approximate length of a summary; None for any length.
        split: see `s2s.inference.options.Options`.

    Raises:
        ConfigError: fewer than one word, or each sentence of a document would be summarized separately.
    """
    if words is None:
        return
    with_length("", words)
    if split is not None:
        raise ConfigError(
            f"words {words} is for the summary of a whole document, but split {split!r} summarizes each of its "
            "sentences separately; leave out words or split"
        )


def _checked(documents: Iterable[str]) -> Iterator[str]:
    for position, document in enumerate(documents):
        if not isinstance(document, str):
            raise DataError(f"document {position} is a {type(document).__name__}, not a str: {document!r}")
        yield document
