"""Words as ids: exact batches."""

import warnings

import pytest

from s2s.text import spelling as module
from s2s.text.spelling import Spelling
from s2s_plugins.tokenizers.characters import Characters
from s2s_plugins.tokenizers.words import Words


@pytest.fixture
def spelling() -> Spelling:
    words, pieces = Words(minimum_count=2), Characters()
    words.train(["ab ab b c b"])  # b and ab twice, in the order of their letters: 4 is ab, 5 is b
    pieces.train(["aab b c"])  # a, b and the space twice: 4 is the space, 5 a, 6 b, 7 c
    return Spelling(words, pieces)


def test_a_batch(spelling: Spelling) -> None:
    found = spelling([["b", "ab", "b"], ["xb"]])
    assert found.words.ids.tolist() == [[5, 4, 5], [1, 0, 0]]
    assert found.words.lengths.tolist() == [3, 1]
    assert found.pieces.ids.tolist() == [[6, 0], [5, 6], [1, 6]]
    assert found.pieces.lengths.tolist() == [1, 2, 2]
    assert found.places.tolist() == [[0, 1, 0], [2, 0, 0]]
    moved = found.to("cpu")
    assert moved.pieces.ids is found.pieces.ids


def test_what_is_remembered_is_the_same_again(spelling: Spelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WORDS", 2)
    sentence = ["a", "b", "ab", "c", "a"]
    first = spelling([sentence])
    assert spelling([sentence]).pieces.ids.tolist() == first.pieces.ids.tolist()
    assert first.pieces.ids.tolist() == [[5, 0], [6, 0], [5, 6], [7, 0]]


def test_a_very_long_word_is_cut_and_told_once(spelling: Spelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIECES", 3)
    with pytest.warns(
        UserWarning, match="the word abca... has 4 pieces; only the first 3 of such words are read"
    ):
        found = spelling([["abca", "c"]])
    assert found.pieces.ids.tolist() == [[5, 6, 7], [7, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spelling([["abcab"]])


def test_a_word_of_no_pieces_is_unknown(spelling: Spelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Characters, "encode", lambda self, text: [])
    assert spelling([["\u200b"]]).pieces.ids.tolist() == [[1]]


def test_some_rows_have_the_pieces_of_their_words(spelling: Spelling) -> None:
    part = spelling([["b", "ab", "b"], ["xb", "b"], ["ab"]]).rows(slice(1, None))
    alone = spelling([["xb", "b"], ["ab"]])
    assert part.words.ids.tolist() == alone.words.ids.tolist() == [[1, 5], [4, 0]]
    for row, length in enumerate((2, 1)):
        for one in (part, alone):
            assert one.pieces.lengths.max() == one.pieces.ids.size(1) == 2
        assert (
            part.pieces.ids[part.places[row, :length]].tolist()
            == alone.pieces.ids[alone.places[row, :length]].tolist()
        )
