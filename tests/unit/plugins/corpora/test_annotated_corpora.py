"""Readers of labelled words: pairs as they stand, bad sentences named or counted."""

from collections import Counter
from pathlib import Path

import pytest

from s2s.errors import ConfigError, DataError
from s2s.text.corpus import LineReport, Pair, open_corpus

COLUMNS = "the DT\nsea NN\n\n\nit PRP\nNew York\tNNP\n"


def row(number: str, word: str, upos: str) -> str:
    return f"{number}\t{word}\t_\t{upos}\t_\t_\t_\t_\t_\t_\n"


def pairs(path: Path, report: LineReport | None = None, **keys: str) -> list[Pair]:
    return list(open_corpus({"path": str(path), **keys}).pairs(report or LineReport()))


def test_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_text(COLUMNS)
    report = LineReport()
    assert pairs(path, report) == [Pair("the sea", "DT NN", 1), Pair("it New␣York", "PRP NNP", 5)]
    assert report.notes == [f"{path}: spaces within words (1) are read as ␣ (U+2423)"]
    turned = LineReport("skip")
    assert pairs(path, turned, source_key="2", target_key="1") == [Pair("DT NN", "the sea", 1)]
    assert turned.first == {"a space within a label": [f"{path}:6"]}


def test_conllu(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    text = f"# c\n{row('1-2', 'cannot', '_')}{row('1', 'can', 'AUX')}{row('2', 'not', 'PART')}"
    path.write_text(f"{text}\n# d\n{row('1', '#', 'SYM')}{row('1.1', 'x', 'X')}")
    assert pairs(path) == [Pair("can not", "AUX PART", 3), Pair("#", "SYM", 7)]


def test_a_bad_sentence_is_named_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_bytes(
        f"{row('1', 'good', 'ADJ')}\n{row('1', 'a', 'DET')}{row('2', 'b', '_')}\n".encode()
        + row("1", "c", "X").replace("c", "\udcff").encode("utf-8", "surrogateescape")
        + f"\n{row('1', 'end', 'NOUN')}".encode()
    )
    report = LineReport("skip")
    assert [pair.source for pair in pairs(path, report)] == ["good", "end"]
    assert report.skipped == {"no part of speech": 1, "not UTF-8": 1}
    assert report.first["no part of speech"] == [f"{path}:4"]
    with pytest.raises(
        DataError, match=r"a\.conllu:4: no part of speech \(its UPOS is _\); mend the file, or"
    ):
        pairs(path)


def test_columns_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a.conll: column 'x' is not a number from 1"):
        open_corpus({"path": str(tmp_path / "a.conll"), "target_key": "x"})
    with pytest.raises(ConfigError, match="unknown column of CoNLL-U 'x'"):
        open_corpus({"path": str(tmp_path / "a.conllu"), "target_key": "x"})


def test_a_real_treebank(shared_data: Path) -> None:
    """Sentences, words and labels counted by another program: lines that begin with a number and a tab."""
    path = shared_data / "ud_english_ewt" / "dev.conllu.gz"
    if not path.exists():
        pytest.skip(f"no {path}")
    import gzip
    import re

    text = gzip.decompress(path.read_bytes()).decode()
    words = re.findall(r"^\d+\t([^\t\n]+)\t[^\t\n]*\t([^\t\n]+)\t", text, flags=re.MULTILINE)
    found = pairs(path)
    assert len(found) == text.count("# sent_id =") == 2001
    assert [word for pair in found for word in pair.source.split()] == [word for word, _ in words]
    assert Counter(label for pair in found for label in pair.target.split()) == Counter(
        label for _, label in words
    )


def test_a_sentence_without_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr("s2s.text.annotated.LONGEST_SENTENCE", 10 * 70)
    path = tmp_path / "a.conll"
    path.write_bytes(b"a X\n\n" + b"b Y\n" * 11 + b"\nc Z\n")
    message = r"a\.conll:3: a sentence with too many lines; an empty line ends each.*on_bad_line"
    with pytest.raises(DataError, match=message):
        list(open_corpus(str(path)).pairs(LineReport()))
    report = LineReport("skip")
    pairs = [(pair.source, pair.line) for pair in open_corpus(str(path)).pairs(report)]
    assert pairs == [("a", 1), ("c", 15)]
    assert [*report.skipped.values()] == [1]
