"""The extended vocabulary: which words are a sentence's own, and how they become text again."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.text.extended import ExtendedVocabulary
from s2s.text.tokenizer import UNK, UNKNOWN_TEXT, Tokenizer
from s2s_plugins.tokenizers.characters import Characters
from s2s_plugins.tokenizers.sentencepiece import SentencePiece
from s2s_plugins.tokenizers.words import Words

TEXT = ["the cat sees the dog", "a dog and a cat", "the end"]


def words() -> Words:
    tokenizer = Words()
    tokenizer.train(TEXT)
    return tokenizer


def test_own_words_are_numbered_as_they_appear_each_once() -> None:
    vocabulary = ExtendedVocabulary(words())
    size = vocabulary.tokenizer.vocabulary_size
    line = "the Zyx sees Abc and Zyx"
    ids = vocabulary.source(line, vocabulary.tokenizer.encode(line))
    assert [i - size for i in ids if i >= size] == [0, 1, 0]
    assert vocabulary.words == ["Zyx", "Abc"]
    assert vocabulary.decode(ids) == line
    assert vocabulary.tokens(ids) == line.split()


def test_a_target_has_the_numbers_of_its_source_and_no_others() -> None:
    vocabulary = ExtendedVocabulary(words())
    size = vocabulary.tokenizer.vocabulary_size
    vocabulary.source("Zyx and Abc", vocabulary.tokenizer.encode("Zyx and Abc"))
    ids = vocabulary.target("Abc sees Q", vocabulary.tokenizer.encode("Abc sees Q"))
    assert [ids[0], ids[2]] == [size + 1, UNK]
    assert vocabulary.words == ["Zyx", "Abc"]
    assert vocabulary.decode(ids) == f"Abc sees {UNKNOWN_TEXT}"


def test_nothing_is_done_where_nothing_is_unknown() -> None:
    vocabulary = ExtendedVocabulary(words())
    ids = vocabulary.tokenizer.encode(TEXT[0])
    assert vocabulary.source(TEXT[0], ids) is ids and vocabulary.words == []
    assert vocabulary.decode(ids) == TEXT[0]


def test_a_line_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of source and target each: to tell its unknown words, a tokenizer may have to split the line anew."""
    vocabulary = ExtendedVocabulary(words())
    looked: list[str] = []
    plain = Words.unknown_texts

    def looking(tokenizer: Words, text: str, ids: Sequence[int]) -> list[str]:
        looked.append(text)
        return plain(tokenizer, text, ids)

    monkeypatch.setattr(Words, "unknown_texts", looking)
    for extend, line in ((vocabulary.source, "Zyx and Abc"), (vocabulary.target, "Abc sees Q")):
        extend(line, vocabulary.tokenizer.encode(line))
    assert looked == ["Zyx and Abc", "Abc sees Q"]


class Plain(Words):
    """Words without their own way to tell what is unknown: the way that every tokenizer inherits."""

    unknown_texts = Tokenizer.unknown_texts


@pytest.mark.parametrize("tokenizer", [Words(), Plain()], ids=lambda one: type(one).__name__)
@settings(max_examples=60, deadline=None)
@given(
    line=st.lists(st.sampled_from(["the", "cat", "x", "yy", "thecat", "caty"]), min_size=1, max_size=8),
    cut=st.integers(1, 8),
)
def test_words_against_the_line_itself(tokenizer: Words, line: list[str], cut: int) -> None:
    """However many are unknown, and where the ids end before the line does."""
    if not tokenizer.trained:
        tokenizer.train(TEXT)
    ids = tokenizer.encode(" ".join(line))[:cut]
    expected = [word for word in line[:cut] if word not in ("the", "cat")]
    assert tokenizer.unknown_texts(" ".join(line), ids) == expected


@settings(max_examples=60, deadline=None)
@given(line=st.text("abé☃☄⁇ ", min_size=1, max_size=10))
def test_characters_go_there_and_back(line: str) -> None:
    """The sign for what is unknown may stand in the line itself, known or unknown."""
    for text in ("ab ", "ab ⁇"):
        tokenizer = Characters()
        tokenizer.train([text])
        vocabulary = ExtendedVocabulary(tokenizer)
        assert vocabulary.decode(vocabulary.source(line, tokenizer.encode(line))) == line


@pytest.fixture(scope="module")
def pieces() -> SentencePiece:
    tokenizer = SentencePiece(vocabulary_size=40, byte_fallback=False)
    tokenizer.train(TEXT * 20)
    return tokenizer


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.sampled_from(["the", " ", "cat", "ζ", "Ω☃", "dog", "sees"]), min_size=1, max_size=9))
def test_pieces_go_there_and_back(pieces: SentencePiece, parts: list[str]) -> None:
    """Characters that no piece has, within words and as words of their own."""
    line = "".join(parts)
    vocabulary = ExtendedVocabulary(pieces)
    ids = pieces.encode(line)
    extended = vocabulary.source(line, ids)
    assert vocabulary.decode(extended) == pieces.normalize(line)
    assert UNK not in extended
