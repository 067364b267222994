"""Splits text in any script into words to count or compare; not related to the tokenizers of models."""

from __future__ import annotations

import unicodedata

import regex

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that put no space between words, inside of brackets of a regular expression."""

_WORD = regex.compile(
    rf"(?V1)[{UNSPACED}--\p{{M}}]\p{{M}}*|[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}--\p{{M}}]]+",
    flags=regex.UNICODE,
)


def words(text: str) -> list[str]:
    """The words of a text, lower-cased, without punctuation and signs.

    A word is a run of letters, marks and figures, after NFKC (wide and narrow forms are one); in scripts that put no
    space between words each character with its marks is one. Of ASCII text they are what rouge-score finds. Korean has
    spaces, and a word is what stands between them, with its particles.
    """
    found: list[str] = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    return found
