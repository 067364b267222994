"""Phrases that an output is to hold, and how far a prefix has come with them."""

from __future__ import annotations

from collections.abc import Sequence

from s2s.errors import ConfigError
from s2s.text.tokenizer import BOS, EOS, PAD

Progress = tuple[int, ...]
"""Of each phrase, how many of its tokens the prefix ends with; all of them for ever once it holds the phrase."""


class Phrases:
    """The phrases of one sentence. An output holds a phrase if the phrase's tokens stand in it one after another.

    What stands twice is wanted once; phrases may overlap.

    Args:
        phrases: by their tokens.

    Raises:
        ConfigError: an empty phrase, or one with a token that cannot be said.
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
        """Of the empty prefix."""
        return (0,) * len(self.phrases)

    def advance(self, progress: Progress, token: int) -> Progress:
        """Of a prefix with one token more (Knuth, Morris and Pratt 1977, for each phrase)."""
        following = []
        for phrase, borders, matched in zip(self.phrases, self._borders, progress, strict=True):
            if matched < len(phrase):
                while matched and phrase[matched] != token:
                    matched = borders[matched - 1]
                matched += phrase[matched] == token
            following.append(matched)
        return tuple(following)

    def held(self, progress: Progress) -> int:
        """Tokens of the phrases that the prefix holds, and of the one that it is saying: `size` if it holds all."""
        done = begun = 0
        for phrase, matched in zip(self.phrases, progress, strict=True):
            if matched == len(phrase):
                done += matched
            else:
                begun = max(begun, matched)
        return done + begun

    def next_tokens(self, progress: Progress) -> list[int]:
        """The tokens by which a phrase that is not held goes on or begins."""
        open_phrases = zip(self.phrases, progress, strict=True)
        return [phrase[matched] for phrase, matched in open_phrases if matched < len(phrase)]

    def unmet(self, progress: Progress) -> tuple[tuple[int, ...], ...]:
        """The phrases that the prefix does not hold."""
        pairs = zip(self.phrases, progress, strict=True)
        return tuple(phrase for phrase, matched in pairs if matched < len(phrase))


def _borders(phrase: Sequence[int]) -> list[int]:
    # For each beginning of the phrase, how long its longest proper part is that both begins and ends it.
    borders, length = [0], 0
    for token in phrase[1:]:
        while length and phrase[length] != token:
            length = borders[length - 1]
        length += phrase[length] == token
        borders.append(length)
    return borders
