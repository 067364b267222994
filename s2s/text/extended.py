"""The extended vocabulary of a sentence: the words that a copying model can output beyond its learnt vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

from s2s.text.tokenizer import UNK, UNKNOWN_TEXT, Tokenizer


class ExtendedVocabulary:
    """A tokenizer's vocabulary and, beyond it, the words of one source that it lacks (See et al. 2017, section 2.2).

    The k-th of them, in the order in which they appear, has the id `vocabulary_size` + k, however often it appears. So
    an id means something in its own sentence only, and depends on nothing but that sentence.

    Args:
        tokenizer: of both sides.
        words: those of the source, where they are known.
    """

    def __init__(self, tokenizer: Tokenizer, words: Sequence[str] = ()) -> None:
        self.tokenizer = tokenizer
        self.words = list(words)

    def source(self, text: str, ids: Sequence[int]) -> Sequence[int]:
        """The source's ids, its unknown words among them; they become words of this vocabulary.

        Args:
            text: the line.
            ids: as the tokenizer gives them, or the beginning of these.
        """
        if UNK not in ids:
            return ids
        unknown = self.tokenizer.unknown_texts(text, ids)
        for word in unknown:
            if word not in self.words and word != UNKNOWN_TEXT:
                self.words.append(word)
        return self._numbered(ids, unknown)

    def target(self, text: str, ids: Sequence[int]) -> Sequence[int]:
        """A target's ids, those unknown words among them that the source has; others stay unknown.

        Args:
            text: the line.
            ids: as the tokenizer gives them, or the beginning of these.
        """
        if not self.words or UNK not in ids:
            return ids
        return self._numbered(ids, self.tokenizer.unknown_texts(text, ids))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; see `Tokenizer.decode`."""
        plain = self._plain(ids)
        if plain == list(ids):
            return self.tokenizer.decode(ids)
        said = [self._word(own) for own, token in zip(ids, plain, strict=True) if token == UNK]
        first, *others = self.tokenizer.split_at_unknowns(plain)
        if len(others) != len(said):
            return self.tokenizer.decode(plain)
        return first + "".join(word + part for word, part in zip(said, others, strict=True))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Each id as a person should see it; see `Tokenizer.tokens`."""
        plain = self._plain(ids)
        shown = self.tokenizer.tokens(plain)
        return [
            self._word(own) if own != token else piece
            for own, token, piece in zip(ids, plain, shown, strict=True)
        ]

    def _numbered(self, ids: Sequence[int], unknown: Sequence[str]) -> list[int]:
        # `unknown`: what stands in the line for each unknown token.
        own = {word: self.tokenizer.vocabulary_size + number for number, word in enumerate(self.words)}
        words = iter(unknown)
        return [own.get(next(words), UNK) if token == UNK else int(token) for token in ids]

    def _plain(self, ids: Sequence[int]) -> list[int]:
        size = self.tokenizer.vocabulary_size
        return [token if token < size else UNK for token in ids]

    def _word(self, own: int) -> str:
        return UNKNOWN_TEXT if own == UNK else self.words[own - self.tokenizer.vocabulary_size]
