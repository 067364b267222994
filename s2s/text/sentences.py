"""Sentences of a text, as sentencex finds them (https://github.com/wikimedia/sentencex)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from sentencex import segment

LANGUAGE = "en"
"""Whose abbreviations end no sentence where no language is given; the stops of all scripts end one anyway."""

_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
"""Spaces that are more than one byte: no-break space, ideographic space, line separator."""


LONG = 10_000
"""Letters of a line that is split piece by piece: sentencex takes time that grows with their square."""
_PIECE = 4_000
_OVERLAP = 200


def segments(language: str, line: str) -> list[str]:
    """The sentences of a line, with the spaces behind them.

    To sentencex every space is a plain one: at a wide one between a single capital and a full stop ("plan B\u00a0.")
    its 1.0.32 panics, which no `except Exception` catches, and with one behind it "Mr." ends a sentence.

    Args:
        language: a code such as "de".
        line: without halves of surrogate pairs.
    """
    ends = [0, *_ends(language, _WIDE_SPACE.sub(" ", line))]
    return [line[start:end] for start, end in itertools.pairwise(ends)]


def _ends(language: str, line: str) -> Iterator[int]:
    """Where sentences end.

    Of a long line a piece is asked for at a time. What its last sentence is, the next piece tells, which begins with
    it. A sentence that is longer than a piece goes on in the next, which sees a few words of it.
    """
    start = 0
    while start < len(line):
        piece = line if len(line) <= LONG else line[start : start + _PIECE]
        ends = list(itertools.accumulate(map(len, segment(language, piece)), initial=start))[1:]
        if start + len(piece) == len(line):
            yield from ends
            return
        yield from ends[:-1]
        if len(ends) > 1 and ends[-2] > start:
            start = ends[-2]
        else:
            end = start + _PIECE - _OVERLAP
            start = line.rfind(" ", end - _OVERLAP, end) + 1 or end


def sentences(text: str, language: str = LANGUAGE) -> list[str]:
    """The sentences of a text, without the space around them.

    Args:
        text: any number of lines; the end of a line ends a sentence.
        language: a code such as "de".
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is refused
    parts = (part.strip() for line in text.split("\n") if line.strip() for part in segments(language, line))
    return [part for part in parts if part]
