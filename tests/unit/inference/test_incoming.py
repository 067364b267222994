"""Lines to be translated: what lies ready in windows, what comes slowly at once."""

import gzip
import io
import itertools
import os
import sys
import threading

import pytest

from s2s.errors import DataError
from s2s.inference import incoming
from s2s.inference.incoming import Decoder, Incoming, of_lines


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(incoming, "LINES", 3)


@pytest.fixture
def fifo(tmp_path):
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def write(path, *pieces, between=lambda: None):
    """Another thread writes to a pipe, and calls `between` before each piece but the first."""

    def work():
        with open(path, "wb", buffering=0) as stream:
            for number, piece in enumerate(pieces):
                if number:
                    between()
                stream.write(piece)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_files_in_windows(few, tmp_path):
    (tmp_path / "a").write_bytes(b"1\n2\n\n4\r\n5")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf6\n"))
    lines = Incoming([str(tmp_path / "a"), str(tmp_path / "b.gz")])
    assert lines.size == sum((tmp_path / name).stat().st_size for name in ("a", "b.gz"))
    assert list(lines.windows()) == [[b"1", b"2", b""], [b"4", b"5", b"6"]]
    assert sum(lines.report.bytes_read.values()) == lines.size
    assert lines.report.notes == [f"took the byte order mark off {tmp_path / 'b.gz'}"]


def test_a_window_is_bounded_by_its_bytes(monkeypatch, tmp_path):
    monkeypatch.setattr(incoming, "BYTES", 5)
    (tmp_path / "a").write_bytes(b"123\n456\n7\n1234567\n8\n")
    assert list(Incoming([str(tmp_path / "a")]).windows()) == [[b"123", b"456"], [b"7", b"1234567"], [b"8"]]


def test_a_window_is_bounded_by_its_time(monkeypatch, tmp_path):
    """Lines that follow each other faster than `PATIENCE` do not wait until 2,048 of them are there."""
    clock = itertools.count()
    monkeypatch.setattr(incoming.time, "monotonic", lambda: 0.4 * incoming.LONGEST * next(clock))
    (tmp_path / "a").write_bytes(b"1\n2\n3\n4\n5\n6\n7\n")
    assert list(Incoming([str(tmp_path / "a")]).windows()) == [[b"1", b"2", b"3"], [b"4", b"5", b"6"], [b"7"]]


def test_patience_is_had_once(monkeypatch, fifo):
    asked = []
    monkeypatch.setattr(incoming._Pipe, "_ready", lambda pipe: asked.append(1) and False)
    thread = write(fifo, b"1\n", between=None)
    windows = Incoming([fifo]).windows()
    assert next(windows) == [b"1"] and len(asked) == 1
    windows.close()
    thread.join()


def test_what_lies_ready_in_a_pipe_comes_in_windows(few, fifo):
    thread = write(fifo, b"1\n2\n3\n4\n5")
    thread.join(0)
    found = list(Incoming([fifo]).windows())
    thread.join()
    assert [line for window in found for line in window] == [b"1", b"2", b"3", b"4", b"5"]
    assert found[0] == [b"1", b"2", b"3"]


def test_a_slow_pipe_is_answered_before_it_says_more(fifo):
    answered = threading.Semaphore(0)
    thread = write(fifo, b"1\n2\n", b"3\n4", b"4\n", between=lambda: answered.acquire(timeout=10))
    seen = []
    for window in Incoming([fifo]).windows():
        seen.append(window)
        if not window:
            answered.release()
        if seen[-2:] == [[b"3"], []]:  # half a line is none
            answered.release()
    thread.join()
    assert [window for window in seen if window] == [[b"1", b"2"], [b"3"], [b"44"]]
    assert seen[1] == [] and seen[3] == []


@pytest.mark.parametrize(
    ("typed", "lines"), [(b"1\n2\n\x04", [b"1", b"2"]), (b"1\x04\x04", [b"1"]), (b"\x04", [])]
)
def test_the_end_that_is_typed_at_a_terminal(typed, lines):
    keyboard, terminal = os.openpty()
    os.write(keyboard, typed)
    found = []
    reading = threading.Thread(
        target=lambda: found.extend(Incoming([os.ttyname(terminal)]).windows()), daemon=True
    )
    reading.start()
    reading.join(10)
    hangs = reading.is_alive()
    os.close(keyboard)  # ends it anyway
    os.close(terminal)
    assert not hangs
    assert [line for window in found for line in window] == lines


def test_a_pipe_that_cannot_be_read(monkeypatch):
    with open("/dev/null", "w") as closed:
        monkeypatch.setattr(sys, "stdin", closed)
        with pytest.raises(DataError, match="cannot read standard input: Bad file descriptor"):
            list(Incoming(["-"]).windows())


def test_a_compressed_pipe_is_read_in_windows(few, fifo):
    thread = write(fifo, gzip.compress(b"1\n2\n3\n4\n"))
    assert list(Incoming([fifo]).windows()) == [[b"1", b"2", b"3"], [b"4"]]
    thread.join()
    assert Incoming([fifo]).size is None


def test_a_stream_of_another_program(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1\n2")))
    assert list(Incoming(["-"]).windows()) == [[b"1", b"2"]]
    assert Incoming(["-"]).size is None


def test_what_is_translated_is_left_out_and_must_be_the_same(few, tmp_path):
    (tmp_path / "a").write_bytes(b"1\n2\n3\n4\n5\n")
    lines = Incoming([str(tmp_path / "a")])
    known = of_lines([b"1", b"2"])
    assert known == of_lines([b"2"], of_lines([b"1"])) != of_lines([b"12"])
    assert list(lines.windows(skip=2, checksum=known)) == [[b"3", b"4", b"5"]]
    with pytest.raises(
        DataError, match="the input does not begin with the lines that are already translated"
    ):
        list(lines.windows(skip=2, checksum=known + 1))
    with pytest.raises(DataError, match="the input has 2 lines less than are already translated"):
        list(lines.windows(skip=7, checksum=known))


def test_what_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="there is no file missing"):
        list(Incoming(["missing"]).windows())
    with pytest.raises(DataError, match="there is no file missing; paths are relative to"):
        Incoming(["-", "missing"])  # said before any work
    with pytest.raises(DataError, match=f"cannot read {tmp_path}: Is a directory"):
        list(Incoming([str(tmp_path)]).windows())
    with pytest.raises(DataError, match=f"cannot read {tmp_path}: Is a directory"):
        Incoming([str(tmp_path)])
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "config.json").touch()
    with pytest.raises(DataError, match="bundle: Is a directory; name the bundle before the text$"):
        Incoming([str(tmp_path / "bundle")])
    with pytest.raises(DataError, match=f"cannot read {tmp_path / 'a' / 'b'}: Not a directory"):
        (tmp_path / "a").write_text("1")
        Incoming([str(tmp_path / "a" / "b")])
    with pytest.raises(DataError, match="standard input .-. can be read only once"):
        Incoming(["-", "-"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input is closed; give a file"):
        Incoming(["-"])


def test_what_was_read_before_an_error_comes_first(few, tmp_path):
    (tmp_path / "a").write_bytes(b"1\n2\n3\n4\n")
    (tmp_path / "b").write_text("5\n", encoding="utf-16")
    seen = []
    with pytest.raises(DataError, match="b: this is UTF-16"):
        for window in Incoming([str(tmp_path / name) for name in "ab"]).windows():
            seen.append(window)
    assert seen == [[b"1", b"2", b"3"], [b"4"], []]


def test_strange_lines_are_counted():
    decode = Decoder()
    lines = [b"a\tb", b"\xc3", b"a\x00b", b"\x1b[0m\xff", "\u2028\u0085é".encode()]
    assert [decode(line) for line in lines] == ["a\tb", "\ufffd", "a\x00b", "\x1b[0m\ufffd", "\u2028\u0085é"]
    assert list(decode.notes()) == [
        "2 of 5 lines were not UTF-8; invalid bytes were replaced by U+FFFD",
        "2 of 5 lines contain control characters, which were left unchanged",
    ]
