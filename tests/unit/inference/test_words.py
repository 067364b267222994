"""Pieces of every kind put together to words."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.inference.words import Words, _by_beginnings, by_words, words_of_pieces, words_of_text
from s2s.registry.parts import factory

LINES = ["the cat sat on the mat", "a dog  barks ", " der Hund bellt", "ñandú 한국어 مرحبا", "x"]


def trained(name, **options):
    tokenizer = factory("tokenizer", {"class_path": name, "init_args": options})()
    tokenizer.train(LINES * 20)
    return tokenizer


@pytest.fixture(scope="module", params=["Characters", "Words", "Bytes", "SentencePiece"])
def tokenizer(request):
    return trained(
        request.param,
        **({"vocabulary_size": 60, "byte_fallback": False} if request.param == "SentencePiece" else {}),
    )


@pytest.mark.parametrize("line", [*LINES, "", "  ", "cats\u00a0sat", "a zebra!", "한 🙂 b"])
def test_the_words_of_a_line_are_those_between_spaces_and_no_piece_is_lost(tokenizer, line):
    words, word_of = words_of_text(tokenizer, line)
    assert words == line.split()
    ids = tokenizer.encode(line)
    assert len(word_of) == len(ids)
    inside = [word for word in word_of if word >= 0]
    assert inside == sorted(inside) and set(inside) == set(range(len(words)))
    for index, word in enumerate(words):
        spelt = tokenizer.decode([token for token, of in zip(ids, word_of, strict=True) if of == index])
        assert spelt.replace("\u2047", "").strip() in word or "\u2047" in spelt
        if "\u2047" not in tokenizer.decode(ids):
            assert spelt.strip() == word


@pytest.mark.parametrize("line", ["the cat sat", "ñandú der x", " a dog  barks "])
def test_the_words_that_pieces_spell(tokenizer, line):
    ids = tokenizer.encode(line)
    words, word_of = words_of_pieces(tokenizer, ids)
    assert words == line.split()
    inside = [word for word in word_of if word >= 0]
    assert inside == sorted(inside) and set(inside) == set(range(len(words)))
    assert all(word == -1 for word in word_of[len(inside) :])


def test_scripts_without_spaces_are_shown_in_pieces():
    tokenizer = trained("Bytes")
    words, word_of = words_of_pieces(tokenizer, tokenizer.encode("中文 ab 한국 ab中b"))
    assert words == ["中", "文", "ab", "한국", "ab", "中", "b"]
    assert word_of == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 7 + [4] * 3 + [5] * 3 + [6]


def test_pieces_that_spell_nothing_belong_to_no_word():
    tokenizer = trained("Bytes")
    assert words_of_pieces(tokenizer, []) == ([], [])
    assert words_of_pieces(tokenizer, tokenizer.encode("  ")) == ([], [-1, -1])
    half = tokenizer.encode("a é")[:-1]
    assert words_of_pieces(tokenizer, half).words == ["a", "\ufffd"]


def test_attention_is_summed_to_a_word_and_averaged_from_a_word():
    source, target = Words(["a", "b"], [0, 0, 1, -1]), Words(["c", "d", "e"], [0, 1, 1])
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]])
    expected = torch.tensor([[0.3, 0.3], [0.75, 0.25], [0.0, 0.0]])  # no piece makes up e
    assert torch.allclose(by_words(weights, source, target), expected, atol=1e-6)  # rounding of 0.1 + 0.2


@settings(max_examples=60, deadline=None)  # the machine's other work must not fail it
@given(line=st.text(st.sampled_from("ab ñ한中\t\u3000\u00a0\x00\x1f🙂\u0301ר"), max_size=20))
def test_whatever_the_line_pieces_and_words_are_in_order(tokenizer, line):
    words, word_of = words_of_text(tokenizer, line)
    assert words == re.findall(r"\S+", line)
    assert len(word_of) == len(tokenizer.encode(line))
    assert all(-1 <= word < len(words) for word in word_of)
    inside = [word for word in word_of if word >= 0]
    assert inside == sorted(inside)
    spelt, of = words_of_pieces(tokenizer, tokenizer.encode(line))
    assert len(of) == len(word_of) and set(of) - {-1} == set(range(len(spelt)))


def test_both_ways_to_the_words_of_a_line_agree(tokenizer):
    for line in LINES:
        fast = words_of_text(tokenizer, line)
        pieces = tokenizer.encode(line)
        beginnings = [line[: word.end()] for word in re.finditer(r"\S+", line)]
        assert _by_beginnings(tokenizer, pieces, beginnings) == fast.word_of
