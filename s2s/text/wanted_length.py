"""Requests an output length by a token in front of the source (Kikuchi et al. 2016; Fan et al. 2018).

In training, `tell_length` of a corpus puts the length of each target there; at inference, the user gives the length.
To support inputs with and without a length, list the corpus twice, with and without `tell_length`.
"""

from __future__ import annotations

from s2s.errors import ConfigError
from s2s.text.words import words

_LONG = (18, 21, 25, 30, 36, 43, 52, 62, 75, 90, 108, 130, 156, 187, 224, 270, 324, 390)
BUCKETS: tuple[int, ...] = (*range(1, 16), *_LONG)
"""Length buckets in words: every short length; long ones in steps of a fifth, because few texts have each length."""


def bucket(length: int) -> int:
    """The nearest length bucket.

    Args:
        length: words, at least 1.
    """
    return min(BUCKETS, key=lambda one: (abs(one - length), one))


def with_length(source: str, length: int) -> str:
    """A source that asks for an output of so many words.

    Args:
        source: the text.
        length: words, as `s2s.text.words` counts them.

    Raises:
        ConfigError: fewer than one word.
    """
    if length < 1:
        raise ConfigError(f"words is {length}; it must be 1 or more")
    return f"<{bucket(length)}> {source}"


def told(source: str, target: str) -> str:
    """A source that tells the length of its target."""
    return with_length(source, max(1, len(words(target))))
