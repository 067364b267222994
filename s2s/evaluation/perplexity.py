"""How well a language model predicts a text: perplexity of pieces and of words, bits per character."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from s2s import __version__
from s2s.evaluation.metric import Score
from s2s.text.tokenizer import UNK


class TextSizes(NamedTuple):
    """How large some texts are. The end of each counts: as a piece, as a word and as a character, such as a newline.

    Attributes:
        texts: how many.
        pieces: of the tokenizer.
        words: what stands between whitespace.
        characters: code points.
        unknown: pieces that the tokenizer does not know; their spelling did not have to be predicted.
    """

    texts: int
    pieces: int
    words: int
    characters: int
    unknown: int

    @classmethod
    def of(cls, texts: Iterable[tuple[str, Sequence[int]]]) -> TextSizes:
        """Of texts with their pieces, ends not among them."""
        number = pieces = words = characters = unknown = 0
        for text, ids in texts:
            number += 1
            pieces += len(ids) + 1
            words += len(text.split()) + 1
            characters += len(text) + 1
            unknown += sum(1 for token in ids if token == UNK)
        return cls(number, pieces, words, characters, unknown)

    def plus(self, other: TextSizes) -> TextSizes:
        """Of these texts and others."""
        return TextSizes(*(one + more for one, more in zip(self, other, strict=True)))


class Perplexity(NamedTuple):
    """What a model makes of texts.

    Attributes:
        nll: mean negative log-likelihood of a piece, ends counted, in nats.
        sizes: of the texts.
    """

    nll: float
    sizes: TextSizes

    @property
    def piece(self) -> float:
        """Per piece; not comparable between different tokenizers."""
        return _exp(self.nll)

    @property
    def word(self) -> float:
        """Per word: the likelihood of the same text, however it was cut into pieces."""
        return _exp(self.nll * self.sizes.pieces / self.sizes.words)

    @property
    def bits_per_character(self) -> float:
        """Bits that each character costs a perfect compressor that has this model."""
        return self.nll * self.sizes.pieces / self.sizes.characters / math.log(2)

    def scores(self) -> list[Score]:
        """With their signatures."""
        about = f"ends:counted|unknown:{self.sizes.unknown}|version:s2s.{__version__}"
        rows = (
            (self.word, "perplexity per word", "words:whitespace", 2),
            (self.piece, "perplexity per piece", f"pieces:{self.sizes.pieces}", 2),
            (self.bits_per_character, "bits per character", "characters:unicode", 3),
        )
        return [
            Score(value, f"{unit}|{about}", name, self.sizes.texts, decimals=decimals)
            for value, name, unit, decimals in rows
        ]

    def __str__(self) -> str:
        return (
            f"perplexity {self.piece:.2f} per piece, {self.word:.2f} per word, "
            f"{self.bits_per_character:.3f} bits per character"
        )


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
