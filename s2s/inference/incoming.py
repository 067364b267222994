"""Input lines: in windows if they are available at once, one by one if they arrive slowly."""

from __future__ import annotations

import errno
import io
import os
import re
import select
import stat
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from s2s.counted import counted
from s2s.errors import DataError
from s2s.resources import no_file
from s2s.text.corpus import STANDARD_INPUT, STDIN_CLOSED, LineReport, raw_lines, shown

LINES = 2048
"""Lines per window: enough to sort by length, few enough to see progress."""
BYTES = 2**22
"""Maximum bytes per window, so that long lines do not fill the memory."""
PATIENCE = 0.02
"""Seconds without a new line after which the lines so far are translated: unnoticeable for a person, and longer than
any pause of a program that writes at full speed."""
LONGEST = 0.5
"""Seconds after its first line at which a window ends, however soon each line follows the one before: a log that grows
by thirty lines a second would otherwise be answered once a minute."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_GZIP_MAGIC = b"\x1f\x8b"


class Incoming:
    """The lines of some files, one after the other.

    Args:
        paths: of files, plain or gzip; `-` is standard input.

    Attributes:
        report: what was repaired while reading, and how far reading has come in each file.

    Raises:
        DataError: one of them does not exist, or is not a readable file.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        if paths.count(STANDARD_INPUT) > 1:
            raise DataError("standard input (-) can be read only once; give a file for the others")
        if STANDARD_INPUT in paths and sys.stdin is None:
            raise DataError(STDIN_CLOSED)
        for path in paths:
            if path != STANDARD_INPUT:
                _check(path)
        self.paths = list(paths)
        self.report = LineReport()

    @property
    def size(self) -> int | None:
        """Bytes of all files on disk; None if one is not a regular file."""
        try:
            states = [_status(path) for path in self.paths]
        except (OSError, ValueError):
            return None
        return (
            sum(state.st_size for state in states)
            if all(stat.S_ISREG(state.st_mode) for state in states)
            else None
        )

    def windows(self, *, skip: int = 0, checksum: int = 0) -> Iterator[list[bytes]]:
        """Lines without line ends, in windows; an empty window means that no line is waiting.

        If reading fails, the lines before come first, followed by an empty window, so that they are processed.

        Args:
            skip: number of lines to skip at the beginning.
            checksum: `of_lines` of these.

        Raises:
            DataError: a file cannot be read, or the skipped lines have another checksum.
        """
        window: list[bytes] = []
        size = found = 0
        begun = 0.0
        try:
            for line, waits in self._lines():
                if line is not None and skip:
                    found, skip = of_lines([line], found), skip - 1
                    if not skip and found != checksum:
                        raise DataError(
                            "the input does not begin with the lines that are already translated; give the same "
                            "input, or start over without --resume"
                        )
                    continue
                if line is not None:
                    begun = begun if window else time.monotonic()
                    window.append(line)
                    size += len(line)
                full = len(window) >= LINES or size >= BYTES
                if window and (full or not waits or time.monotonic() - begun >= LONGEST):
                    yield window
                    window, size = [], 0
                if not waits:
                    yield []
        except DataError:
            if window:
                yield window
            yield []
            raise
        if skip:
            raise DataError(
                f"the input has {counted(skip, 'line')} less than are already translated; give the same input, or "
                "start over without --resume"
            )
        if window:
            yield window

    def _lines(self) -> Iterator[tuple[bytes | None, bool]]:
        # Each line, or None for a skipped one, and whether another is waiting.
        for path in self.paths:
            yield from self._lines_of(path)

    def _lines_of(self, path: str) -> Iterator[tuple[bytes | None, bool]]:
        with _pipe(path) as pipe:
            reader = None if pipe is None else _buffered(pipe)
            # Decompressed data that has not been read yet cannot be seen from here.
            slow = reader is not None and reader.peek(2)[:2] != _GZIP_MAGIC
            for line in raw_lines(path, self.report, reader):
                yield line, not (slow and reader and pipe) or pipe.line_waits(reader)


class _Pipe(io.RawIOBase):
    """What comes through a pipe or from a keyboard."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._asking = False
        self._ended = False  # a terminal tells its end only once

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._ended:
            return 0
        if self._asking and not self._ready():
            return None
        try:
            read = os.read(self._descriptor, len(buffer))
        except OSError as error:
            raise DataError(f"cannot read {shown(self._path)}: {error.strerror}") from error
        self._ended = not read
        buffer[: len(read)] = read
        return len(read)

    def line_waits(self, reader: io.BufferedReader) -> bool:
        """Whether a line, or the end, can be read: at once, or within `PATIENCE`.

        Args:
            reader: of this pipe; what it has buffered is waiting, too.
        """
        self._asking = True
        try:
            ready = reader.peek(1)
        finally:
            self._asking = False
        # If nothing has been read, `readinto` has already been patient.
        return b"\n" in ready or self._ended or (bool(ready) and self._ready())

    def _ready(self) -> bool:
        return bool(select.select([self._descriptor], [], [], PATIENCE)[0])


@contextmanager
def _pipe(path: str) -> Iterator[_Pipe | None]:
    # None for regular files, and where one cannot tell.
    try:
        mode = _status(path).st_mode
        slow = os.name == "posix" and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode))
    except (OSError, ValueError):
        slow = False  # a stream that another program has put there; or reading it will raise the error
    if not slow:
        yield None
    elif path == STANDARD_INPUT:
        yield _Pipe(path, sys.stdin.fileno())
    else:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        try:
            yield _Pipe(path, descriptor)
        finally:
            os.close(descriptor)


def _buffered(pipe: _Pipe) -> io.BufferedReader:
    reader: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, pipe), 2**16)
    return reader


def _check(path: str) -> None:
    # Before any work; other problems are reported on reading.
    try:
        mode = _status(path).st_mode
        reason = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else None
        if reason is None and not os.access(path, os.R_OK):
            reason = os.strerror(errno.EACCES)
    except FileNotFoundError as error:
        raise DataError(no_file(path)) from error
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        swapped = "; name the bundle before the text" * os.path.isfile(os.path.join(path, "config.json"))
        raise DataError(f"cannot read {path}: {reason}{swapped}")


def _status(path: str) -> os.stat_result:
    return os.fstat(sys.stdin.fileno()) if path == STANDARD_INPUT else os.stat(path)


def of_lines(lines: Sequence[bytes], before: int = 0) -> int:
    """A checksum of lines.

    Args:
        lines: without their ends.
        before: of the lines before these.
    """
    for line in lines:
        before = zlib.crc32(b"\n", zlib.crc32(line, before))
    return before


class Decoder:
    """Decodes any bytes to text, and counts irregularities.

    Args:
        unit: what is decoded, for the notes.

    Attributes:
        lines: how many there were.
        invalid: how many were not UTF-8.
        control: how many have control characters (such as NUL or an escape, but not a tab).
    """

    def __init__(self, unit: str = "lines") -> None:
        self.unit = unit
        self.lines = self.invalid = self.control = 0

    def __call__(self, line: bytes) -> str:
        """The text of a line; invalid UTF-8 becomes U+FFFD."""
        self.lines += 1
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            self.invalid += 1
            text = line.decode("utf-8", "replace")
        self.control += _CONTROL.search(text) is not None
        return text

    def notes(self) -> Iterator[str]:
        """Notes about irregularities."""
        if self.invalid:
            yield (
                f"{self.invalid} of {self.lines} {self.unit} were not UTF-8; invalid bytes were replaced by U+FFFD"
            )
        if self.control:
            yield (
                f"{self.control} of {self.lines} {self.unit} contain control characters, which were left unchanged"
            )
