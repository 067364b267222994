"""Where translations go: standard output, or a file that is there when it is whole, and goes on after a kill."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Mapping
from operator import index
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from s2s.counted import counted
from s2s.errors import DataError
from s2s.foreign_json import parsed
from s2s.inference.incoming import of_lines


class Outgoing:
    """Standard output, or a file that appears under its name when it is whole.

    Until then it is written beside, as NAME.partial, with NAME.partial.json: of which lines, and how far. Both are
    written window by window, the second after the first and by renaming, so after a kill at any moment they tell where
    to go on. A name that ends in .gz is compressed, each window for itself.

    Args:
        path: of the file; None is standard output.
        made_of: what the translations depend on, but for the lines; anything that JSON can hold.
        resume: go on where an earlier run with the same `made_of` stopped.

    Attributes:
        lines: of the input, that are translated already.
        checksum: `of_lines` of these.

    Raises:
        DataError: the file cannot be written, or the earlier run was another one.
    """

    def __init__(
        self, path: str | None, *, made_of: Mapping[str, Any] | None = None, resume: bool = False
    ) -> None:
        self.path = path
        self._made_of = json.loads(json.dumps(made_of or {}))
        self._compressed = path is not None and path.endswith(".gz")
        # A device or a pipe has no place beside it, and must not be replaced.
        self._direct = path is None or (os.path.exists(path) and not os.path.isfile(path))
        self._partial = Path(f"{path}.partial")
        self._about = Path(f"{path}.partial.json")
        self.lines = self.checksum = 0
        self._stream: IO[bytes] | None = None
        start = self._earlier() if resume and not self._direct else 0
        self._open(start)

    def _earlier(self) -> int:
        if self._about.exists() and not self._partial.exists() and self.path and os.path.isfile(self.path):
            self._about.unlink()  # it was whole already
            return 0
        try:
            about = parsed(self._about.read_text(encoding="utf-8"))
            made_of, size = dict(about["made_of"]), index(about["bytes"])
            self.lines, self.checksum = index(about["lines"]), index(about["checksum"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._about} cannot be read ({error}); begin anew without --resume") from error
        for name in sorted({*made_of, *self._made_of}):
            if made_of.get(name) != self._made_of.get(name):
                raise DataError(
                    f"{self._partial} was begun with {name} {made_of.get(name)!r}, not {self._made_of.get(name)!r}; "
                    "give the same, or begin anew without --resume"
                )
        if not self._partial.is_file() or self._partial.stat().st_size < size:
            raise DataError(f"{self._partial} has lost its end; begin anew without --resume")
        return size

    def _open(self, start: int) -> None:
        try:
            if self.path is None:
                self._stream = sys.stdout.buffer
            elif self._direct:
                self._stream = open(self.path, "wb")  # noqa: SIM115 - closed by `__exit__`
            else:
                self._stream = open(self._partial, "r+b" if start else "ab")  # noqa: SIM115
                _lock(self._stream, self._partial)
                self._stream.truncate(start)  # half a window may have been written
                self._stream.seek(start)
                self._note(start)
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror or error}") from error

    def __enter__(self) -> Outgoing:
        return self

    def write(self, text: str, lines: list[bytes]) -> None:
        """Write what some lines have become, all of it or nothing.

        Args:
            text: whole lines.
            lines: of the input.
        """
        assert self._stream is not None
        data = text.encode("utf-8", "replace")
        # Without a time, so that the same translations are the same bytes.
        self._stream.write(gzip.compress(data, mtime=0) if self._compressed else data)
        self._stream.flush()
        self.lines += len(lines)
        self.checksum = of_lines(lines, self.checksum)
        if not self._direct:
            self._note(self._stream.tell())

    def _note(self, size: int) -> None:
        about = {
            "made_of": self._made_of,
            "lines": self.lines,
            "checksum": self.checksum,
            "bytes": size,
        }
        new = Path(f"{self._about}.new")
        new.write_text(json.dumps(about), encoding="utf-8")
        os.replace(new, self._about)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.path is None or self._stream is None:
            return
        with self._stream:
            if self._direct:
                return
            if kind is None:
                if self._compressed and not self._stream.tell():
                    self._stream.write(gzip.compress(b"", mtime=0))
                self._stream.flush()
                os.fsync(self._stream.fileno())
                os.replace(self._partial, self.path)
                self._about.unlink()
            elif self.lines == 0:
                self._partial.unlink()
                self._about.unlink()
            else:
                print(
                    f"s2s: {counted(self.lines, 'line')} translated, in {self._partial}; go on with --resume",
                    file=sys.stderr,
                )


def _lock(stream: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on this system
        return
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(f"another run is writing {path}; let it end, or stop it") from error
