"""Grouping of input texts into windows, and of those into batches of similar lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from s2s.errors import DataError
from s2s.inference.line import Line

Text = TypeVar("Text", bound=str | Line)

WINDOW = 4096
"""Texts that are read ahead: enough to sort by length, few enough to see progress."""
WINDOW_LETTERS = 2**22
"""Maximum characters per window, so that long texts do not fill the memory."""


def checked(texts: Iterable[str | Line], one_line: bool) -> Iterator[str | Line]:
    """Check the texts, and yield them unchanged.

    Args:
        texts: the user's texts.
        one_line: whether each must be a single line.

    Raises:
        DataError: one is not a str, or has several lines; raised when it is reached.
    """
    for position, text in enumerate(texts):
        if not isinstance(text, str | Line):
            raise DataError(f"text {position} is a {type(text).__name__}, not a str: {text!r}")
        if one_line and len(lines_of(text)) > 1:
            raise DataError(
                f"text {position} has several lines, but results are made line by line; "
                "split it at its newlines"
            )
        yield text


def encodable(line: str) -> str:
    """The line without lone surrogates, which a str may contain but tokenizers refuse."""
    return line.encode("utf-8", "replace").decode("utf-8")


def lines_of(text: str | Line) -> Sequence[str | Line]:
    r"""The lines of a text; only \n ends one."""
    return text.split("\n") if isinstance(text, str) else [text]


def in_windows(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    """At most `size` texts at once, and fewer if they are long.

    If the texts end with an exception, those before come first, with an empty window, which flushes their results.
    """
    window: list[Text] = []
    letters = 0
    try:
        for text in texts:
            window.append(text)
            letters += len(text if isinstance(text, str) else text.text)
            if len(window) >= size or letters >= WINDOW_LETTERS:
                yield window
                window, letters = [], 0
    except Exception:
        if window:
            yield window
        yield []
        raise
    if window:
        yield window


def in_batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of sentences of similar lengths; those without tokens are in no batch.

    Longest first, so that a too large `batch_tokens` fails at once; sentences of the same length keep their order.

    Args:
        lengths: tokens of each sentence.
        batch_tokens: maximum tokens per batch, including padding; a longer sentence is a batch of its own.
    """
    order = sorted(
        (index for index, length in enumerate(lengths) if length), key=lambda index: -lengths[index]
    )
    start = 0
    while start < len(order):
        rows = max(1, batch_tokens // lengths[order[start]])
        yield order[start : start + rows]
        start += rows
