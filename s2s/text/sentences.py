"""Sentences of a text, as sentencex finds them (https://github.com/wikimedia/sentencex)."""

from __future__ import annotations

import re

from sentencex import segment

LANGUAGE = "en"
"""Whose abbreviations end no sentence where no language is given; the stops of all scripts end one anyway."""

_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
"""Spaces that are more than one byte: no-break space, ideographic space, line separator."""


def segments(language: str, line: str) -> list[str]:
    """The sentences of a line, with the spaces behind them.

    To sentencex every space is a plain one: at a wide one between a single capital and a full stop ("plan B\u00a0.")
    its 1.0.32 panics, which no `except Exception` catches, and with one behind it "Mr." ends a sentence.

    Args:
        language: a code such as "de".
        line: without halves of surrogate pairs.
    """
    found, start = [], 0
    for part in segment(language, _WIDE_SPACE.sub(" ", line)):
        found.append(line[start : start + len(part)])
        start += len(part)
    return found


def sentences(text: str, language: str = LANGUAGE) -> list[str]:
    """The sentences of a text, without the space around them.

    Args:
        text: any number of lines; the end of a line ends a sentence.
        language: a code such as "de".
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is refused
    parts = (part.strip() for line in text.split("\n") if line.strip() for part in segments(language, line))
    return [part for part in parts if part]
