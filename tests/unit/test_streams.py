import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from s2s.__main__ import main
from s2s.errors import WriteError
from s2s.streams import Enduring, streams


@contextmanager
def nobody_reads() -> Iterator[IO[str]]:
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        yield stream


class Full(io.StringIO):
    """On a disk without space."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        self.write("")


@contextmanager
def broken_streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[IO[str], IO[str]]]:
    with nobody_reads() as output, nobody_reads() as errors:
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "stderr", errors)
        yield output, errors
        monkeypatch.undo()


def test_both_streams_outlive_their_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_streams(monkeypatch) as before:
        with streams(output=Enduring):
            for stream in (sys.stdout, sys.stderr):
                for _ in range(3):
                    print("a" * 10_000, file=stream, flush=True)
            print("not flushed")
        assert (sys.stdout, sys.stderr) == before


def test_who_reads_results_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_streams(monkeypatch), streams():
        print("told", file=sys.stderr, flush=True)
        with pytest.raises(BrokenPipeError):
            print("result", flush=True)
        with streams(output=Enduring):  # a training within a command
            print("score", flush=True)


def test_results_without_space_are_an_error_and_words_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", Full())
    with streams(output=Enduring):
        print("score")
        print("told", file=sys.stderr)
    with (
        pytest.raises(WriteError, match="cannot write standard output: No space left on device; free space"),
        streams(),
    ):
        print("told", file=sys.stderr)
        print("result")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["plugins", "list"]])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_command_that_cannot_print_says_so(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(words) == 2
        monkeypatch.undo()
    told = "s2s: error: cannot write standard output: No space left on device; free space on its disk"
    assert capsys.readouterr().err.startswith(told)


def test_a_command_whose_reader_has_left_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with nobody_reads() as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["--version"]) == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_what_is_read_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with streams():
        print("result", end="")
        print("told", end="", file=sys.stderr)
        assert sys.stderr.isatty() is False
    assert capsys.readouterr() == ("result", "told")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_was_never_there_is_none_to_write_to(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, name, None)
    with streams():
        print("told", file=getattr(sys, name))
    assert getattr(sys, name) is None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_letter_that_cannot_be_shown_is_no_error(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding=encoding, write_through=True))
    with streams():
        print("28.1 ± 0.4 → \ud800")
        print("Łódź", file=sys.stderr)
    expected = {
        "ascii": b"28.1 \\xb1 0.4 \\u2192 \\ud800\n\\u0141\\xf3d\\u017a\n",
        "latin-1": b"28.1 \xb1 0.4 \\u2192 \\ud800\n\\u0141\xf3d\\u017a\n",
        "cp1252": b"28.1 \xb1 0.4 \\u2192 \\ud800\n\\u0141\xf3d\\u017a\n",
        "utf-8": "28.1 ± 0.4 → \\ud800\nŁódź\n".encode(),
    }
    assert written.getvalue() == expected[encoding]
