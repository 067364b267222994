"""Whole texts as tokens: the names of classes."""

import sys
from collections.abc import Iterable, Sequence

from s2s.text.tokenizer import BOS, EOS, PAD, UNK, UNKNOWN_TEXT
from s2s_plugins.tokenizers.vocabulary import ListTokenizer, Vocabulary


class Labels(ListTokenizer):
    """The whole text is one token, including spaces; texts not seen in training are unknown.

    The most frequent label has the lowest id. Whitespace around a label is ignored. An unknown label decodes to U+2047.
    """

    def train(self, lines: Iterable[str]) -> None:
        """Keeps every label."""
        labels = (label for label in map(self.normalize, lines) if label)
        self._vocabulary = Vocabulary.count(labels, sys.maxsize, 1)

    def encode(self, text: str) -> list[int]:
        """The id of a label; none for an empty text."""
        label = self.normalize(text)
        return self._known.lookup([label] if label else [])

    def normalize(self, text: str) -> str:
        """The label without whitespace around it."""
        return text.strip()

    def decode(self, ids: Sequence[int]) -> str:
        """The label; several ones are separated by line breaks."""
        labels = (UNKNOWN_TEXT if i == UNK else self._known.token(i) for i in ids if i not in (PAD, BOS, EOS))
        return "\n".join(labels)

    def unknown_texts(self, text: str, ids: Sequence[int]) -> list[str]:
        """The label itself, if it is not known."""
        return [self.normalize(text)] if UNK in ids else []
