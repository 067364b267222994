"""A tokenizer for words and punctuation."""

import re
from collections.abc import Iterable, Sequence

from s2s.errors import ConfigError
from s2s.text.tokenizer import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    UNKNOWN_TEXT,
    Tokenizer,
    untrained,
)
from s2s_plugins.tokenizers.vocabulary import Vocabulary

# Every character belongs to exactly one token, so known text is decoded unchanged.
TOKEN = re.compile(r" ?\w+| ?[^\w\s]|\s")


class MyPart(Tokenizer):
    """Words and punctuation, each with the space before it: "Yes, I do" is "Yes" "," " I" " do".

    Those that training did not keep are unknown, and decode to a double question mark.

    Args:
        vocabulary_size: maximum number of ids, the four reserved ones included.
    """

    def __init__(self, *, vocabulary_size: int = 8000) -> None:
        if vocabulary_size <= len(SPECIALS):
            raise ConfigError(
                f"vocabulary_size is {vocabulary_size}; it must be at least {len(SPECIALS) + 1}"
            )
        self.maximum_size = vocabulary_size
        self._vocabulary: Vocabulary | None = None

    # `encode` and `decode` define this tokenizer; below is what all tokenizers have.
    def encode(self, text: str) -> list[int]:
        """The ids of a line, without start and end."""
        return self._known.lookup(TOKEN.findall(text))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; padding, start and end are left out."""
        said = [i for i in ids if i not in (PAD, BOS, EOS)]
        return "".join(UNKNOWN_TEXT if i == UNK else self._known.token(i) for i in said)

    def train(self, lines: Iterable[str]) -> None:
        """Keep the most frequent tokens."""
        tokens = (token for line in lines for token in TOKEN.findall(line))
        self._vocabulary = Vocabulary.count(tokens, self.maximum_size, minimum_count=1)

    @property
    def trained(self) -> bool:
        """Whether `train` or `load` has been called."""
        return self._vocabulary is not None

    @property
    def _known(self) -> Vocabulary:
        if self._vocabulary is None:
            raise untrained(self)
        return self._vocabulary

    @property
    def vocabulary_size(self) -> int:
        """The number of ids."""
        return len(self._known)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Each id as shown to users."""
        return [self._known.token(i) for i in ids]

    # What a bundle contains: never a pickle.
    def dump(self) -> bytes:
        """What was learnt."""
        return self._known.dump()

    def restore(self, model: bytes) -> None:
        """The reverse of `dump`."""
        self._vocabulary = Vocabulary.restore(model)
