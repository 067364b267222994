"""Converts sentences of words to the input of a labeller: word ids, and the pieces of each word."""

import warnings
from collections.abc import Sequence

import torch

from s2s.padded import Spelled
from s2s.text.batch import pad
from s2s.text.tokenizer import UNK, Tokenizer

MOST_PIECES = 256
"""Maximum pieces per word. Longer words are URLs or accidents, and their labels do not depend on the end."""

MOST_WORDS = 100_000
"""Maximum number of words whose pieces are cached."""


class Spelling:
    """Sentences of words as ids: each word as a whole, and its pieces.

    Args:
        words: knows words as a whole.
        pieces: splits a word.
    """

    def __init__(self, words: Tokenizer, pieces: Tokenizer) -> None:
        self.words = words
        self.pieces = pieces
        self._known: dict[str, list[int]] = {}
        self._told = False

    def __call__(self, sentences: Sequence[Sequence[str]]) -> Spelled:
        """A batch.

        Args:
            sentences: words without spaces in them, one at least in each.

        Warns:
            UserWarning: a word has more than MOST_PIECES pieces; of the first such word.
        """
        rows: dict[str, int] = {}
        for sentence in sentences:
            for word in sentence:
                rows.setdefault(word, len(rows))
        whole = pad([self.words.encode(" ".join(sentence)) for sentence in sentences])
        places = torch.zeros_like(whole.ids)
        for row, sentence in enumerate(sentences):
            places[row, : len(sentence)] = torch.tensor([rows[word] for word in sentence])
        return Spelled(whole, pad([self._pieces(word) for word in rows]), places)

    def _pieces(self, word: str) -> list[int]:
        found = self._known.get(word)
        if found is None:
            found = self.pieces.encode(word) or [UNK]  # a normalization may delete characters
            if len(found) > MOST_PIECES and not self._told:
                self._told = True
                warnings.warn(
                    f"the word {word[:20]}... has {len(found):,} pieces; only the first {MOST_PIECES} of such words "
                    "are read",
                    stacklevel=3,
                )
            found = found[:MOST_PIECES]
            if len(self._known) >= MOST_WORDS:
                self._known.clear()
            self._known[word] = found
        return found
