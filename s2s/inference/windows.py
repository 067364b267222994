"""From texts that come to batches of like lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s2s.errors import DataError

WINDOW = 4096
"""Texts that are read ahead: enough to sort by length, few enough to see progress."""
WINDOW_LETTERS = 2**22
"""And so many letters, so that long texts do not fill the memory."""


def checked(texts: Iterable[str], one_line: bool) -> Iterator[str]:
    """The same texts.

    Args:
        texts: that a person gave.
        one_line: whether each must be one.

    Raises:
        DataError: one is no str, or has several lines; when it is reached.
    """
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"text {position} is a {type(text).__name__}, not a str: {text!r}")
        if one_line and "\n" in text:
            raise DataError(
                f"text {position} has several lines, but results are made line by line; "
                "split it at its newlines"
            )
        yield text


def in_windows(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """At most `size` texts at once, and fewer if they are long."""
    window: list[str] = []
    letters = 0
    for text in texts:
        window.append(text)
        letters += len(text)
        if len(window) >= size or letters >= WINDOW_LETTERS:
            yield window
            window, letters = [], 0
    if window:
        yield window


def in_batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Places of sentences of like lengths; one without a token is in no batch.

    Longest first, so that too large a budget shows at once; sentences of one length keep their order.

    Args:
        lengths: tokens of each sentence.
        batch_tokens: most tokens of a batch, padding counted; a longer sentence is a batch of its own.
    """
    order = sorted(
        (index for index, length in enumerate(lengths) if length), key=lambda index: -lengths[index]
    )
    start = 0
    while start < len(order):
        rows = max(1, batch_tokens // lengths[order[start]])
        yield order[start : start + rows]
        start += rows
