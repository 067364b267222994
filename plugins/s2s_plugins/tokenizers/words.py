"""Whitespace-separated words as tokens."""

from collections.abc import Iterable, Sequence

from s2s.errors import ConfigError
from s2s.text.tokenizer import BOS, EOS, PAD, SPECIALS, UNK, UNKNOWN_TEXT
from s2s_plugins.tokenizers.vocabulary import ListTokenizer, Vocabulary


class Words(ListTokenizer):
    """Each word between whitespace is a token; words that training did not keep are unknown.

    Lossless only for known words with single spaces between them: other whitespace is not kept, and an
    unknown word decodes to U+2047.

    Args:
        vocabulary_size: maximum number of ids, including the four reserved ones.
        minimum_count: words that are rarer in the training text stay unknown.
    """

    def __init__(self, *, vocabulary_size: int = 30_000, minimum_count: int = 1) -> None:
        if vocabulary_size <= len(SPECIALS):
            raise ConfigError(
                f"vocabulary_size is {vocabulary_size}; it must be at least {len(SPECIALS) + 1}"
            )
        super().__init__()
        self.maximum_size = vocabulary_size
        self.minimum_count = minimum_count

    def train(self, lines: Iterable[str]) -> None:
        """Keeps the most frequent words."""
        words = (word for line in lines for word in line.split())
        self._vocabulary = Vocabulary.count(words, self.maximum_size, self.minimum_count)

    def encode(self, text: str) -> list[int]:
        """The ids of the words of a line."""
        return self._known.lookup(text.split())

    def normalize(self, text: str) -> str:
        """The words with a space between them."""
        return " ".join(text.split())

    def decode(self, ids: Sequence[int]) -> str:
        """Words with a space between them."""
        words = (UNKNOWN_TEXT if i == UNK else self._known.token(i) for i in ids if i not in (PAD, BOS, EOS))
        return " ".join(words)

    def unknown_texts(self, text: str, ids: Sequence[int]) -> list[str]:
        """The words that are not known."""
        return [word for word, token in zip(text.split(), ids, strict=False) if token == UNK]
