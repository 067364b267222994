"""How long an output shall be, told to the model in front of the source (Kikuchi et al. 2016; Fan et al. 2018).

In training, `tell_length` of a corpus puts the length of each target there; at inference, a person puts what he wants.
A model that shall be asked with and without reads its corpus twice, with and without.
"""

from __future__ import annotations

from s2s.errors import ConfigError
from s2s.text.words import words

_LONG = (18, 21, 25, 30, 36, 43, 52, 62, 75, 90, 108, 130, 156, 187, 224, 270, 324, 390)
BUCKETS: tuple[int, ...] = (*range(1, 16), *_LONG)
"""Lengths in words that are told apart: all short ones; long ones by a fifth, since few texts have each."""


def bucket(length: int) -> int:
    """The nearest length that is told apart.

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
