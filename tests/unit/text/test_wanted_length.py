"""The length of a target, told in front of its source."""

from pathlib import Path

import pytest

from s2s.errors import ConfigError
from s2s.text.corpus import LineReport, corpus_spec, open_corpus
from s2s.text.store_builder import pair_store
from s2s.text.wanted_length import BUCKETS, bucket, told, with_length
from s2s_plugins.tokenizers.words import Words


def test_short_lengths_are_themselves_and_long_ones_near() -> None:
    assert [bucket(length) for length in range(1, 16)] == list(range(1, 16))
    for length in range(1, BUCKETS[-1]):
        assert abs(bucket(length) - length) <= max(0, 0.1 * length + 0.5)
    assert bucket(10_000) == BUCKETS[-1]


def test_words_are_counted_in_any_script() -> None:
    assert told("a long text", "Two words!") == "<2> a long text"
    assert told("文", "大海大") == "<3> 文"
    assert told("a", "…") == "<1> a"
    with pytest.raises(ConfigError, match="words is 0; it must be 1 or more"):
        with_length("a", 0)


def test_a_corpus_with_and_without(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("one two three\tone two\nfour\tfour\n")
    plain, with_lengths = str(path), {"path": str(path), "tell_length": True}
    pairs = list(open_corpus(with_lengths).pairs(LineReport()))
    assert [(pair.source, pair.target, pair.line) for pair in pairs] == [
        ("<2> one two three", "one two", 1),
        ("<1> four", "four", 2),
    ]
    tokenizer = Words()
    tokenizer.train(["one two three four <1> <2>"])
    both, alone = (
        pair_store(tmp_path, "train", [corpus_spec(one) for one in some], tokenizer, tokenizer)
        for some in ([plain, with_lengths], [plain, plain])
    )
    sources = ["one two three", "four", "<2> one two three", "<1> four"]
    assert [both.text("source", pair) for pair in range(4)] == sources
    assert both.fingerprint != alone.fingerprint
    with pytest.raises(
        ConfigError, match="tell_length of corpus .*pairs.tsv is 'yes'; it must be true or false"
    ):
        corpus_spec({"path": str(path), "tell_length": "yes"})
