"""Code points as tokens."""

from collections.abc import Iterable, Sequence

from s2s.errors import ConfigError
from s2s.text.tokenizer import BOS, EOS, PAD, SPECIALS, UNK, UNKNOWN_TEXT
from s2s_plugins.tokenizers.vocabulary import ListTokenizer, Vocabulary


class Characters(ListTokenizer):
    """Each Unicode code point, spaces included, is a token; those that training did not keep are unknown.

    Lossless for text made of known code points; an unknown one decodes to U+2047.

    Args:
        vocabulary_size: maximum number of ids, including the four reserved ones.
        minimum_count: code points that are rarer in the training text stay unknown.
    """

    def __init__(self, *, vocabulary_size: int = 5_000, minimum_count: int = 1) -> None:
        if vocabulary_size <= len(SPECIALS):
            raise ConfigError(
                f"vocabulary_size is {vocabulary_size}; it must be at least {len(SPECIALS) + 1}"
            )
        super().__init__()
        self.maximum_size = vocabulary_size
        self.minimum_count = minimum_count

    def train(self, lines: Iterable[str]) -> None:
        """Keeps the most frequent code points."""
        characters = (character for line in lines for character in line)
        self._vocabulary = Vocabulary.count(characters, self.maximum_size, self.minimum_count)

    def encode(self, text: str) -> list[int]:
        """The ids of the code points of a line."""
        return self._known.lookup(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The code points, concatenated."""
        return "".join(
            UNKNOWN_TEXT if i == UNK else self._known.token(i) for i in ids if i not in (PAD, BOS, EOS)
        )

    def unknown_texts(self, text: str, ids: Sequence[int]) -> list[str]:
        """The code points that are not known."""
        return [character for character, token in zip(text, ids, strict=False) if token == UNK]
