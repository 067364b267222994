import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from s2s.streams import Enduring, enduring


@contextmanager
def nobody_reads() -> Iterator[IO[str]]:
    """A pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        yield stream


@contextmanager
def broken_streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[IO[str], IO[str]]]:
    with nobody_reads() as output, nobody_reads() as errors:
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "stderr", errors)
        yield output, errors
        monkeypatch.undo()


def test_both_streams_outlive_their_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_streams(monkeypatch) as streams:
        with enduring(output=True):
            for stream in (sys.stdout, sys.stderr):
                for _ in range(3):
                    print("a" * 10_000, file=stream, flush=True)
            print("not flushed")
        assert (sys.stdout, sys.stderr) == streams


def test_who_reads_results_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_streams(monkeypatch), enduring(output=False):
        print("told", file=sys.stderr, flush=True)
        with pytest.raises(BrokenPipeError):
            print("result", flush=True)
        Enduring(sys.stdout).flush()  # the rest of it would be written at the end of the test


def test_what_is_read_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with enduring(output=True):
        print("result", end="")
        print("told", end="", file=sys.stderr)
        assert sys.stderr.isatty() is False
    assert capsys.readouterr() == ("result", "told")


def test_a_stream_that_is_no_file_falls_silent() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("full")

    assert Enduring(Full()).write("abc") == 3


def test_a_stream_that_was_never_there_is_none_to_write_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with enduring(output=True):
        print("told", file=sys.stderr)
    assert sys.stderr is None
