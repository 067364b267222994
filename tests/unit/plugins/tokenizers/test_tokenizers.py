"""What all tokenizers keep: reserved ids, saving and loading, fingerprints, errors."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from s2s.errors import ConfigError, DataError
from s2s.text.tokenizer import BOS, EOS, PAD, UNK, UNKNOWN_TEXT, Tokenizer
from s2s_plugins.tokenizers.bytes import Bytes
from s2s_plugins.tokenizers.characters import Characters
from s2s_plugins.tokenizers.sentencepiece import SentencePiece
from s2s_plugins.tokenizers.words import Words

TEXT = ["the old man saw the sea", "the sea saw the old man", "a man and a boat, a sea and a net"]

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "bpe": lambda: SentencePiece(vocabulary_size=300),
    "unigram": lambda: SentencePiece(vocabulary_size=280, algorithm="unigram"),
    "words": Words,
    "characters": Characters,
    "bytes": Bytes,
}


def made(kind: str) -> Tokenizer:
    tokenizer = KINDS[kind]()
    tokenizer.train(TEXT)
    return tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_known_text_survives(kind: str) -> None:
    tokenizer = made(kind)
    for line in TEXT:
        ids = tokenizer.encode(line)
        assert tokenizer.decode(ids) == line
        assert not {PAD, UNK, BOS, EOS} & set(ids)
        assert max(ids) < tokenizer.vocabulary_size
        assert len(tokenizer.tokens(ids)) == len(ids)
    assert tokenizer.encode_batch(TEXT) == [tokenizer.encode(line) for line in TEXT]
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_reserved_ids_are_left_out_and_unknown_is_shown(kind: str) -> None:
    tokenizer = made(kind)
    ids = tokenizer.encode("the sea")
    assert tokenizer.decode([BOS, *ids, EOS, PAD, PAD]) == "the sea"
    assert UNKNOWN_TEXT in tokenizer.decode([UNK])
    assert tokenizer.tokens([PAD, UNK, BOS, EOS]) == ["<pad>", "<unk>", "<s>", "</s>"]


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(kind: str, tmp_path: Path) -> None:
    tokenizer = made(kind)
    tokenizer.save(tmp_path / "tokenizer")
    again = KINDS[kind]()
    again.load(tmp_path / "tokenizer")
    assert again.encode_batch(TEXT) == tokenizer.encode_batch(TEXT)
    assert again.fingerprint() == tokenizer.fingerprint()
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.encode_batch(TEXT) == tokenizer.encode_batch(TEXT)
    with pytest.raises(DataError, match="s2s tokenizer train"):
        again.load(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_deterministic_and_the_fingerprint_follows_text(kind: str) -> None:
    first, second = made(kind), made(kind)
    assert first.dump() == second.dump()
    assert first.fingerprint() == second.fingerprint()
    if kind != "bytes":
        other = KINDS[kind]()
        untrained = other.fingerprint()
        other.train(["completely different words stand here", "xyz"])
        assert len({other.fingerprint(), first.fingerprint(), untrained}) == 3


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bytes"])
def test_errors(kind: str, tmp_path: Path) -> None:
    tokenizer = KINDS[kind]()
    with pytest.raises(DataError, match="has learnt nothing yet"):
        tokenizer.encode("a")
    with pytest.raises(DataError, match="every line is empty"):
        tokenizer.train(["", ""])
    with pytest.raises(DataError, match="this is not"):
        tokenizer.restore(b"rubbish")


def test_fingerprint_follows_options() -> None:
    assert Words(minimum_count=2).fingerprint() != Words().fingerprint()
    assert (
        SentencePiece(vocabulary_size=300).fingerprint() != SentencePiece(vocabulary_size=301).fingerprint()
    )


def test_words_keep_the_most_frequent() -> None:
    words = Words(vocabulary_size=4 + 3)
    words.train(["b b b a a c c d"])
    assert words.tokens([4, 5, 6]) == ["b", "a", "c"]  # a before c: ties in code point order
    assert words.encode(" d  b ") == [UNK, 4]
    assert words.normalize(" d  b ") == "d b"
    rare = Words(minimum_count=2)
    rare.train(["b b b a a c c d"])
    assert rare.encode("d c") == [UNK, 6]


def test_characters_count_spaces() -> None:
    characters = Characters()
    characters.train(["a  a"])
    assert characters.decode(characters.encode(" a a ")) == " a a "
    assert characters.encode("z") == [UNK]


@pytest.mark.parametrize("kind", [Words, Characters, SentencePiece])
def test_too_small_a_vocabulary(kind: type) -> None:
    with pytest.raises(ConfigError, match="vocabulary_size is 4"):
        kind(vocabulary_size=4)


def test_another_version_is_another_fingerprint() -> None:
    """So that ids which an older version made are not taken for its own."""

    class Later(Words):
        version = 2

    Later.__module__, Later.__qualname__ = Words.__module__, Words.__qualname__
    assert Later().fingerprint() != Words().fingerprint()
