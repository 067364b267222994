"""Replacement of unknown words by the source word that the model attends to."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from s2s.inference.words import words_of_text
from s2s.text.tokenizer import UNK, UNKNOWN_TEXT, Tokenizer


def replaced(text: str, tokens: Sequence[int], weights: Tensor, source: str, tokenizer: Tokenizer) -> str:
    """An output with a source word in place of each unknown piece.

    Luong et al. 2015b insert the dictionary translation of the source word that the model points at, or the word
    itself, mostly a name. Here it is always the word itself, the one with the most attention, the first one of ties.

    Args:
        text: of the output.
        tokens: of the output.
        weights: of its attention, [tokens, source tokens].
        source: the line.
        tokenizer: of the source.
    """
    unknown = [place for place, token in enumerate(tokens) if token == UNK]
    parts = text.split(UNKNOWN_TEXT)
    if not unknown or len(parts) != len(unknown) + 1:  # the model may generate that sign itself: ambiguous
        return text
    words, word_of = words_of_text(tokenizer, source)
    for number, place in enumerate(unknown, start=1):
        word = word_of[int(weights[place].argmax())]
        parts[number] = (words[word] if word >= 0 else UNKNOWN_TEXT) + parts[number]
    return "".join(parts)
