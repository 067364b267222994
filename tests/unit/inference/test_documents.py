"""Documents of files, of objects, of folders, and of lines."""

import gzip
import json
import os
import threading
from pathlib import Path

import pytest

from s2s.errors import DataError
from s2s.inference.documents import Documents
from s2s.inference.incoming import of_lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    below = tmp_path / "documents"
    (below / "deep").mkdir(parents=True)
    (below / "b.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\nthree\n")
    (below / "a.txt.gz").write_bytes(gzip.compress(b"packed\ntext"))
    (below / "deep" / "c").write_text("")
    (below / ".hidden").write_text("not this")
    rows = [{"title": "T", "body": "x\ny"}, {"title": "U", "body": ""}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "lines.txt").write_text("first\n\nthird\n")
    return tmp_path


def read(documents: Documents) -> list[tuple[str, str]]:
    texts = [text.decode() for window in documents.windows() for text in window]
    return [(documents.name(number), text) for number, text in enumerate(texts)]


def test_every_kind_in_order(folder: Path) -> None:
    paths = [str(folder / name) for name in ("lines.txt", "documents", "rows.jsonl")]
    found = read(Documents(paths, fields=["title", "body"]))
    assert [(name.removeprefix(f"{folder}/"), text) for name, text in found] == [
        ("lines.txt:1", "first"),
        ("lines.txt:2", ""),
        ("lines.txt:3", "third"),
        ("documents/a.txt.gz", "packed\ntext"),
        ("documents/b.txt", "one\ntwo\n\nthree"),
        ("documents/deep/c", ""),
        ("rows.jsonl:1", "T\nx\ny"),
        ("rows.jsonl:2", "U\n"),
    ]


def test_a_whole_file(folder: Path) -> None:
    assert read(Documents([str(folder / "lines.txt")], whole=True)) == [
        (str(folder / "lines.txt"), "first\n\nthird")
    ]


def test_names_where_reading_goes_on(folder: Path) -> None:
    documents = Documents([str(folder / "rows.jsonl")], fields=["title"])
    before = list(Documents([str(folder / "rows.jsonl")], fields=["title"]).windows())
    assert list(documents.windows(skip=1, checksum=of_lines(before[0][:1]))) == [[b"U"]]
    assert documents.name(1) == f"{folder}/rows.jsonl:2"


def test_a_blank_line_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"source": "a"}\n\n{"source": ""}\n  \r\n\n')
    found = [(f"{path}:1", "a"), (f"{path}:3", "")]
    assert read(Documents([str(path)])) == found
    assert read(Documents([str(path), str(path)])) == found * 2
    going_on = Documents([str(path)])
    assert list(going_on.windows(skip=1, checksum=of_lines([b"a"]))) == [[b""]]
    assert going_on.name(1) == f"{path}:3"
    path.write_text("\n")
    assert read(Documents([str(path)])) == []


def test_a_blank_line_does_not_hold_back_what_came_slowly(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    answered = threading.Event()

    def write() -> None:
        with open(path, "wb", buffering=0) as stream:
            stream.write(b'{"source": "a"}\n\n')
            answered.wait(10)
            stream.write(b'{"source": "b"}\n')

    thread = threading.Thread(target=write)
    thread.start()
    windows = Documents([str(path)]).windows()
    assert [next(windows), next(windows)] == [[b"a"], []]
    assert not answered.is_set()
    answered.set()
    assert [window for window in windows if window] == [[b"b"]]
    thread.join()


def test_what_cannot_be(folder: Path) -> None:
    with pytest.raises(DataError, match="rows.jsonl:1: no text under 'source'; it has 'title', 'body'. Name"):
        read(Documents([str(folder / "rows.jsonl")]))
    (folder / "bad.jsonl").write_text('{"source": ["a", "b"]}\n')
    with pytest.raises(DataError, match=r'bad.jsonl:1: the value of .source. is not a text: \["a", "b"\]'):
        read(Documents([str(folder / "bad.jsonl")]))
    (folder / "bad.jsonl").write_text("[]\n{\n")
    with pytest.raises(
        DataError, match="bad.jsonl:1: no text under 'source'; it has no keys: it is no object"
    ):
        read(Documents([str(folder / "bad.jsonl")]))
    (folder / "bad.jsonl").write_text("{\n")
    with pytest.raises(DataError, match="bad.jsonl:1: not JSON"):
        read(Documents([str(folder / "bad.jsonl")]))
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="empty has no files; each file in it would be a document"):
        Documents([str(folder / "empty")])


def test_a_document_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2s.inference.documents.LONGEST_LINE", 2**20)
    path = tmp_path / "long.txt"
    path.write_bytes(b"x\n" * 2**19)
    ((_, text),) = read(Documents([str(path)], whole=True))
    assert len(text) == 2**20 - 1
    path.write_bytes(b"x\n" * 2**19 + b"y")
    with pytest.raises(DataError, match=r"long\.txt as one document is longer than 1 MiB; split it"):
        read(Documents([str(path)], whole=True))
