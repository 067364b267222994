"""Texts of files: lines, and what is under a key of JSON objects."""

import json
from pathlib import Path

import pytest

from s2s.errors import DataError
from s2s.evaluation.lines import read_texts


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    rows = [{"body": "a\nb", "more": ["x", "y"]}, {"body": "c", "more": ["z", "w"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_under_a_key(rows: str) -> None:
    assert read_texts(f"{rows}#body") == [["a\nb", "c"]]
    assert read_texts(f"{rows}#more") == [["x", "z"], ["y", "w"]]


def test_lines(tmp_path: Path) -> None:
    (tmp_path / "a#b").write_text("one\ntwo\n")
    assert read_texts(str(tmp_path / "a#b")) == [["one", "two"]]


def test_blank_lines(rows: str, tmp_path: Path) -> None:
    with open(rows, "a") as file:
        file.write('\n{"body": "", "more": ["u", ""]}\n \n\n')
    assert read_texts(f"{rows}#body") == [["a\nb", "c", ""]]
    assert read_texts(f"{rows}#more") == [["x", "z", "u"], ["y", "w", ""]]
    (tmp_path / "rows.txt").write_text("one\n\nthree\n\n")  # where each line has its place
    assert read_texts(str(tmp_path / "rows.txt")) == [["one", "", "three", ""]]


def test_what_cannot_be(rows: str) -> None:
    with pytest.raises(DataError, match="rows.jsonl, line 1: no text under 'bodi'; it has 'body', 'more'"):
        read_texts(f"{rows}#bodi")
    (Path(rows).parent / "numbers.jsonl").write_text('{"body": 3}\n')
    with pytest.raises(DataError, match="line 1: what stands under 'body' is no text, or list of texts: 3"):
        read_texts(f"{Path(rows).parent / 'numbers.jsonl'}#body")
    with open(rows, "a") as file:
        file.write('{"body": "d", "more": ["z"]}\n')
    with pytest.raises(
        DataError, match="line 3: 1 texts under 'more', and 2 in line 1; all must have as many"
    ):
        read_texts(f"{rows}#more")
    with open(rows, "a") as file:
        file.write("[]\n{\n")
    with pytest.raises(DataError, match="line 4: no text under 'body'; it has no keys: it is no object"):
        read_texts(f"{rows}#body")


def test_objects_without_a_key(rows: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"rows\.jsonl, line 1: a JSON object, with 'body', 'more'; say under which key .*/rows\.jsonl#KEY$",
    ):
        read_texts(rows)
    for content in ("", "\n", "a line\n{}\n", '"one"\n', "3\n", "[]\n"):  # called so, and nothing but lines
        (tmp_path / "lines.jsonl").write_text(content)
        assert read_texts(str(tmp_path / "lines.jsonl")) == [content.splitlines()]
    (tmp_path / "object.txt").write_text("{}\n")
    assert read_texts(str(tmp_path / "object.txt")) == [["{}"]]


def test_more_than_can_be_scored_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.txt").write_text("abcd\n" * 10)
    monkeypatch.setattr("s2s.evaluation.lines.MOST_TEXT", 10 * 68)
    assert len(read_texts(str(tmp_path / "out.txt"))[0]) == 10
    monkeypatch.setattr("s2s.evaluation.lines.MOST_TEXT", 9 * 68)
    with pytest.raises(DataError, match=r"out\.txt holds more than .* at line 10; .*: split the file"):
        read_texts(str(tmp_path / "out.txt"))
