"""Sentences of a text, as sentencex finds them (https://github.com/wikimedia/sentencex)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from sentencex import segment

LANGUAGE = "en"
"""Whose abbreviations end no sentence where no language is given; the stops of all scripts end one anyway."""

segments = cast(Callable[[str, str], list[str]], segment)
"""Language and line to its sentences, with the spaces behind them."""


def sentences(text: str, language: str = LANGUAGE) -> list[str]:
    """The sentences of a text, without the space around them.

    Args:
        text: any number of lines; the end of a line ends a sentence.
        language: a code such as "de".
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is refused
    parts = (part.strip() for line in text.split("\n") if line.strip() for part in segments(language, line))
    return [part for part in parts if part]
