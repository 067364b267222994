"""Texts of a file of lines: as targets without a source."""

import gzip
from pathlib import Path

import pytest

from s2s.errors import ConfigError, DataError
from s2s.text.corpus import LineReport, Pair, open_corpus


def test_each_line_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "texts.txt.gz").write_bytes(gzip.compress(b"the sea\tis\n calm \n"))
    corpus = open_corpus(str(tmp_path / "texts.txt.gz"))
    assert list(corpus.pairs(LineReport())) == [Pair("", "the sea\tis", 1), Pair("", " calm ", 2)]


def test_an_empty_line_is_bad(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("one\n \ntwo\n")
    with pytest.raises(DataError, match=r"texts\.txt:2: empty line"):
        list(open_corpus(str(tmp_path / "texts.txt")).pairs(LineReport()))
    report = LineReport("skip")
    assert [pair.line for pair in open_corpus(str(tmp_path / "texts.txt")).pairs(report)] == [1, 3]
    assert report.skipped == {"empty line": 1}


def test_pairs_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"texts\.txt holds texts without a source \(reader Lines\), .* SOURCE,TARGET, or a file",
    ):
        open_corpus(str(tmp_path / "texts.txt"), ("source", "target"))
