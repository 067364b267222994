"""A list of known tokens, most frequent first: what word and character tokenizers learn."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from s2s.errors import DataError
from s2s.text.tokenizer import SPECIALS, UNK, Tokenizer, untrained
from s2s.untrusted import parse_json


class Vocabulary:
    """Tokens and their ids; ids 0 to 3 are reserved and stand for no token."""

    def __init__(self, entries: Sequence[str]) -> None:
        self.entries = list(entries)
        self.ids = {entry: i for i, entry in enumerate(self.entries, start=len(SPECIALS))}

    @classmethod
    def count(cls, tokens: Iterable[str], size: int, minimum_count: int) -> "Vocabulary":
        """The most frequent tokens, ties in code point order, so that the result depends on the counts alone.

        Args:
            tokens: all tokens of the training text.
            size: maximum number of ids, including the reserved ones.
            minimum_count: rarer tokens stay unknown.
        """
        counts = Counter(tokens)
        if not counts:
            raise DataError("there is no text to train the tokenizer on: every line is empty")
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([token for token, count in ranked if count >= minimum_count][: size - len(SPECIALS)])

    def __len__(self) -> int:
        return len(SPECIALS) + len(self.entries)

    def lookup(self, tokens: Iterable[str]) -> list[int]:
        """The ids of tokens, `UNK` for those that are not in the list."""
        return [self.ids.get(token, UNK) for token in tokens]

    def token(self, index: int) -> str:
        """How an id is shown."""
        return SPECIALS[index] if index < len(SPECIALS) else self.entries[index - len(SPECIALS)]

    def dump(self) -> bytes:
        """The list as JSON, which can hold any token, including line breaks and NUL."""
        return json.dumps({"vocabulary": self.entries}, ensure_ascii=False, indent=0).encode("utf-8")

    @classmethod
    def restore(cls, model: bytes) -> "Vocabulary":
        """The reverse of `dump`."""
        try:
            entries = parse_json(model)["vocabulary"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"this is not the file of a word or character tokenizer: {error}") from error
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise DataError(
                "this is not the file of a word or character tokenizer: 'vocabulary' must list strings"
            )
        return cls(entries)


class ListTokenizer(Tokenizer):
    """A tokenizer that learns a list of tokens and nothing else."""

    def __init__(self) -> None:
        self._vocabulary: Vocabulary | None = None

    @property
    def _known(self) -> Vocabulary:
        if self._vocabulary is None:
            raise untrained(self)
        return self._vocabulary

    @property
    def trained(self) -> bool:
        """Whether `train` or `load` has been called."""
        return self._vocabulary is not None

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        return len(self._known)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The tokens themselves."""
        return [self._known.token(i) for i in ids]

    def dump(self) -> bytes:
        """The list."""
        return self._known.dump()

    def restore(self, model: bytes) -> None:
        """Reads the list."""
        self._vocabulary = Vocabulary.restore(model)
