from pathlib import Path

import pytest

from s2s.errors import DataError
from s2s.text.statistics import corpus_statistics, overlaps
from s2s_plugins.tokenizers.characters import Characters


def test_a_small_corpus_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("a bb\tx\na bb\tx\nc\tx\nbroken\na a a a\ty z\n", encoding="utf-8")
    tokenizer = Characters()
    tokenizer.train(["ab xyz"])
    about = corpus_statistics(str(path), [tokenizer, tokenizer])
    source = about.sides["source"]
    assert (source.lines, source.repeated_lines, source.distinct_words) == (4, 1, 3)
    assert (source.words.mean, source.words.median, source.words.longest) == (9 / 4, 2.0, 4)
    assert (source.characters.mean, source.characters.longest) == (16 / 4, 7)
    assert source.pieces_per_word == 16 / 9
    assert source.unknown_share == 1 / 16  # the c
    assert about.sides["target"].repeated_lines == 2
    assert about.repeated_pairs == 1
    assert about.report == [f"skipped 1 line: not two columns, at {path}:4"]


def test_overlap(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tx\nb\ty\nc\tz\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text("a\tx\nb\tz\nd\tz\n", encoding="utf-8")
    (tmp_path / "lines").write_text("a\n\nb\n", encoding="utf-8")
    train, test, lines = (
        corpus_statistics(str(tmp_path / name)) for name in ("train.tsv", "test.tsv", "lines")
    )
    (found,) = overlaps([train, test])
    assert (found.corpus, found.inside) == (test.name, train.name)
    assert found.lines == {"source": 2, "target": 3, "pair": 1}
    assert overlaps([train, lines]) == []
    assert lines.sides["text"].lines == 3
    assert lines.sides["text"].pieces is None


def test_nothing_to_count(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no line to count; skipped 1 line: empty line"):
        corpus_statistics(str(tmp_path / "a.tsv"))
