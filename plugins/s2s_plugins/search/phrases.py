"""Phrases that an output must contain, and how much of them a prefix has matched."""

from __future__ import annotations

from collections.abc import Sequence

from s2s.errors import ConfigError
from s2s.text.tokenizer import BOS, EOS, PAD

Progress = tuple[int, ...]
"""For each phrase, how many of its first tokens the prefix ends with; stays at all once it contains the phrase."""


class Phrases:
    """The phrases of one sentence; an output holds a phrase if it contains the phrase's tokens consecutively.

    Duplicates are required only once; phrases may overlap.

    Args:
        phrases: the token ids of each.

    Raises:
        ConfigError: a phrase is empty, or has a token that cannot be generated.
    """

    def __init__(self, phrases: Sequence[Sequence[int]]) -> None:
        self.phrases = tuple(dict.fromkeys(tuple(phrase) for phrase in phrases))
        for phrase in self.phrases:
            if not phrase or min(phrase) < 0 or {PAD, BOS, EOS} & set(phrase):
                raise ConfigError(
                    f"phrase {list(phrase)} is impossible; it needs one token or more, and padding ({PAD}), begin "
                    f"({BOS}) and end ({EOS}) of the sentence cannot be said"
                )
        self.size = sum(map(len, self.phrases))
        self._borders = [_borders(phrase) for phrase in self.phrases]

    def begin(self) -> Progress:
        """Progress of the empty prefix."""
        return (0,) * len(self.phrases)

    def advance(self, progress: Progress, token: int) -> Progress:
        """Progress after one more token (Knuth, Morris and Pratt 1977, for each phrase)."""
        following = []
        for phrase, borders, matched in zip(self.phrases, self._borders, progress, strict=True):
            if matched < len(phrase):
                while matched and phrase[matched] != token:
                    matched = borders[matched - 1]
                matched += phrase[matched] == token
            following.append(matched)
        return tuple(following)

    def held(self, progress: Progress) -> int:
        """Number of tokens of the phrases held, plus those of the longest partial match; `size` if all are held."""
        done = begun = 0
        for phrase, matched in zip(self.phrases, progress, strict=True):
            if matched == len(phrase):
                done += matched
            else:
                begun = max(begun, matched)
        return done + begun

    def next_tokens(self, progress: Progress) -> list[int]:
        """The next token of each phrase that is not held."""
        open_phrases = zip(self.phrases, progress, strict=True)
        return [phrase[matched] for phrase, matched in open_phrases if matched < len(phrase)]

    def unmet(self, progress: Progress) -> tuple[tuple[int, ...], ...]:
        """The phrases that the prefix does not hold."""
        pairs = zip(self.phrases, progress, strict=True)
        return tuple(phrase for phrase, matched in pairs if matched < len(phrase))


def _borders(phrase: Sequence[int]) -> list[int]:
    # For each prefix of the phrase, the length of its longest border (a proper prefix that is also a suffix).
    borders, length = [0], 0
    for token in phrase[1:]:
        while length and phrase[length] != token:
            length = borders[length - 1]
        length += phrase[length] == token
        borders.append(length)
    return borders
