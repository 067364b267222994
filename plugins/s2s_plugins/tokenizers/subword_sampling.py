"""Random segmentations into the pieces of a SentencePiece model.

SentencePiece can sample, too, but mixes its seed with a number that differs in each process: a resumed run would read
other pieces than an uninterrupted one. Here the result depends only on the given generator.
"""

import heapq
import math
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

META = "\u2581"
"""How SentencePiece writes a space."""

_UNKNOWN_PENALTY = 10.0
"""How much more a character without a piece costs than the least probable piece, as in SentencePiece."""

_MOST_CACHED = 2**16
"""Number of words whose lattice is cached, as the words of a corpus recur."""

_WORD = re.compile(f"{META}*[^{META}]+|{META}+")


class Piece(NamedTuple):
    """A piece of the vocabulary: its id, and its log-probability (unigram) or minus its rank (bpe)."""

    id: int
    score: float


class SubwordSampler(ABC):
    """Draws segmentations of normalized text, word by word if no piece spans more than a word.

    Args:
        pieces: the pieces of the vocabulary, without those that stand for no text.
        alpha: see `SentencePiece`.
        symbols: pieces that are never split; of two that begin at the same place, the longer one is used.
    """

    def __init__(self, pieces: Mapping[str, Piece], alpha: float, symbols: Sequence[str] = ()) -> None:
        self.pieces = pieces
        self.alpha = alpha
        longest_first = sorted(symbols, key=len, reverse=True)
        self._symbols = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if symbols else None
        self.longest = max(map(len, pieces), default=1)
        self.by_word = not any(META in piece[1:] for piece in pieces)

    def draw(self, text: str, chance: random.Random) -> list[str]:
        """The pieces of a text; a character without a piece is returned as it is.

        Args:
            text: as normalized by the model, with spaces written as `META`.
            chance: the only source of randomness.
        """
        if self._symbols is None:
            return self._draw(text, chance)
        drawn: list[str] = []
        for place, part in enumerate(self._symbols.split(text)):  # every second one is a symbol
            drawn += [part] if place % 2 else self._draw(part, chance)
        return drawn

    def _draw(self, text: str, chance: random.Random) -> list[str]:
        words = _WORD.findall(text) if self.by_word else [text]
        return [piece for word in words if word for piece in self.draw_word(word, chance)]

    @abstractmethod
    def draw_word(self, word: str, chance: random.Random) -> Sequence[str]:
        """The pieces of one word."""


class UnigramSampler(SubwordSampler):
    """``P(segmentation) ~ (product of the pieces' probabilities) ** alpha`` (Kudo 2018, section 3.2).

    Samples from all segmentations, backwards after a forward pass: the last piece by the total probability of all
    segmentations that end with it, then the last piece of the remaining text, and so on.
    """

    def __init__(self, pieces: Mapping[str, Piece], alpha: float, symbols: Sequence[str] = ()) -> None:
        super().__init__(pieces, alpha, symbols)
        self.unknown = min((piece.score for piece in pieces.values()), default=0.0) - _UNKNOWN_PENALTY
        self._lattices: dict[str, list[tuple[list[int], list[float]]]] = {}

    def draw_word(self, word: str, chance: random.Random) -> Sequence[str]:
        """Samples backwards through the lattice."""
        lattice = self._lattices.get(word)
        if lattice is None:
            if len(self._lattices) >= _MOST_CACHED:
                self._lattices.clear()
            lattice = self._lattices[word] = self.lattice(word)
        drawn, end = [], len(word)
        while end:
            starts, cumulated = lattice[end]
            begin = starts[0] if len(starts) == 1 else chance.choices(starts, cum_weights=cumulated)[0]
            drawn.append(word[begin:end])
            end = begin
        return drawn[::-1]

    def lattice(self, word: str) -> list[tuple[list[int], list[float]]]:
        """For each end position, where the last piece may begin, and the cumulative weights of these places."""
        log_sums = [0.0]  # of all segmentations up to each place
        lattice: list[tuple[list[int], list[float]]] = [([], [])]
        for end in range(1, len(word) + 1):
            starts, logs = [], []
            for begin in range(max(0, end - self.longest), end):
                piece = self.pieces.get(word[begin:end])
                if piece is not None or begin == end - 1:
                    score = self.unknown if piece is None else piece.score
                    starts.append(begin)
                    logs.append(log_sums[begin] + self.alpha * score)
            most = max(logs)
            weights = [math.exp(log - most) for log in logs]
            log_sums.append(most + math.log(sum(weights)))
            lattice.append((starts, list(accumulate(weights))))
        return lattice


class BPESampler(SubwordSampler):
    """BPE-dropout: byte-pair encoding that skips each merge with probability alpha (Provilkov et al. 2020)."""

    def draw_word(self, word: str, chance: random.Random) -> Sequence[str]:
        """Repeatedly merges the best pair of neighbours."""
        symbols, before, behind = list(word), list(range(-1, len(word) - 1)), list(range(1, len(word) + 1))
        agenda: list[tuple[float, int, int, str]] = []

        def add(left: int, right: int) -> None:
            if left >= 0 and right < len(symbols):
                pair = symbols[left] + symbols[right]
                merged = self.pieces.get(pair)
                if merged is not None:
                    heapq.heappush(agenda, (-merged.score, left, right, pair))

        for left in range(len(symbols) - 1):
            add(left, left + 1)
        while agenda:
            _, left, right, pair = heapq.heappop(agenda)
            if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != pair:
                continue  # one of the two was merged with another
            if chance.random() < self.alpha:
                continue
            symbols[left], symbols[right] = pair, ""
            behind[left] = behind[right]
            if behind[right] < len(symbols):
                before[behind[right]] = left
            add(before[left], left)
            add(left, behind[left])
        return [symbol for symbol in symbols if symbol]
