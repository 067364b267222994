"""Perplexities and bits per character of a text whose likelihood is known."""

import math

import pytest

from s2s.evaluation.perplexity import Perplexity, TextSizes


def test_sizes_count_the_ends() -> None:
    sizes = TextSizes.of([("the sea", [4, 5, 6]), ("", []), ("a  b ", [1, 4])])
    assert sizes == TextSizes(texts=3, pieces=4 + 1 + 3, words=3 + 1 + 3, characters=8 + 1 + 6, unknown=1)
    assert sizes.plus(TextSizes(1, 1, 1, 1, 1)) == TextSizes(4, 9, 8, 16, 2)


def test_units() -> None:
    """Eight pieces at a probability of 1/4 each: 16 bits for four words, 32 characters."""
    found = Perplexity(math.log(4), TextSizes(2, 8, 4, 32, 0))
    assert found.piece == pytest.approx(4)
    assert found.word == pytest.approx(2 ** (16 / 4))
    assert found.bits_per_character == pytest.approx(16 / 32)
    assert str(found) == "perplexity 4.00 per piece, 16.00 per word, 0.500 bits per character"


def test_scores_say_what_they_are_of() -> None:
    word, piece, character = Perplexity(math.log(4), TextSizes(2, 8, 4, 32, 1)).scores()
    assert (word.name, word.value, word.sentences) == ("perplexity per word", pytest.approx(16), 2)
    assert word.signature.startswith("words:whitespace|ends:counted|unknown:1|version:s2s.")
    assert piece.signature.startswith("pieces:8|") and character.name == "bits per character"


def test_what_a_float_cannot_hold_is_infinite() -> None:
    assert Perplexity(1000.0, TextSizes(1, 1, 1, 1, 0)).piece == math.inf
