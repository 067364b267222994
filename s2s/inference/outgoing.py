"""Output of translations: standard output, or a file that appears when complete and can be resumed after a kill."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from operator import index
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from s2s.counted import counted
from s2s.durable import Lock, check_name, is_stream, sync_folder, writing
from s2s.errors import DataError
from s2s.inference.incoming import of_lines
from s2s.untrusted import parse_json


class Outgoing:
    """Standard output, or a file that appears under its name when it is complete.

    Until then it is written next to it, as NAME.partial, with the progress in NAME.partial.json. Both are written
    window by window, the second after the first and by renaming, so after a kill at any moment they tell where to
    continue. If the name ends in .gz, the output is compressed, each window separately.

    Args:
        path: of the file; None is standard output. Links are followed; a device, a pipe or `/dev/stdout` is written to
            directly.
        made_of: what the translations depend on besides the lines; any JSON value.
        resume: continue where an earlier run with the same `made_of` stopped.
        inputs: files that are read, none of which is replaced.

    Attributes:
        lines: number of input lines that are already translated.
        checksum: `of_lines` of these.

    Raises:
        DataError: the file is an input, another run is writing it, or the earlier run had other settings.
        WriteError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | None,
        *,
        made_of: Mapping[str, Any] | None = None,
        resume: bool = False,
        inputs: Sequence[str] = (),
    ) -> None:
        check_name(path)
        if path is not None and not is_stream(path) and os.path.exists(path):
            for one in inputs:
                if os.path.exists(one) and os.path.samefile(one, path):
                    raise DataError(
                        f"{path} is an input, which would be replaced; give the output another name"
                    )
        # A device or a pipe has no partial file, and must not be replaced.
        self._direct = path is None or is_stream(path)
        self.path = path if path is None or self._direct else os.path.realpath(path)
        self._made_of = json.loads(json.dumps(made_of or {}))
        self._compressed = path is not None and path.endswith(".gz")
        self._partial = Path(f"{self.path}.partial")
        self._about = Path(f"{self.path}.partial.json")
        self.lines = self.checksum = 0
        self._name = path or "standard output"
        self._lock: Lock | None = None
        self._stream: IO[bytes]
        with writing(self._name):
            if path is None:
                self._stream = sys.stdout.buffer
            elif self._direct:
                self._stream = open(path, "ab")  # noqa: SIM115 - closed by `__exit__`
            else:
                self._open(resume=resume)

    def _open(self, *, resume: bool) -> None:
        begun = self._partial.exists()
        self._lock = self._locked()
        try:
            start = self._earlier(begun) if resume else 0
            self._stream = open(self._partial, "r+b")  # noqa: SIM115 - closed by `__exit__`
            self._stream.truncate(start)  # half a window may have been written
            self._stream.seek(start)
            self._note(start)
        except BaseException:
            if not begun:
                self._partial.unlink(missing_ok=True)
            self._unlock()
            raise

    def _locked(self) -> Lock:
        try:
            return Lock.of_new_file(self._partial)
        except BlockingIOError as error:
            raise DataError(
                f"another run{self._whose()} is writing {self._partial}; wait for it, or stop it"
            ) from error

    def _whose(self) -> str:
        try:
            return f" (process {json.loads(self._about.read_text(encoding='utf-8'))['process']})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _earlier(self, begun: bool) -> int:
        if self._about.exists() and not begun and self.path and os.path.isfile(self.path):
            self._about.unlink()  # it was already complete
            return 0
        try:
            about = parse_json(self._about.read_text(encoding="utf-8"))
            made_of, size = dict(about["made_of"]), index(about["bytes"])
            self.lines, self.checksum = index(about["lines"]), index(about["checksum"])
        except FileNotFoundError:
            return 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._about} cannot be read ({error}); start over without --resume") from error
        for name in sorted({*made_of, *self._made_of}):
            if made_of.get(name) != self._made_of.get(name):
                raise DataError(
                    f"{self._partial} was begun with {name} {made_of.get(name)!r}, not {self._made_of.get(name)!r}; "
                    "give the same, or start over without --resume"
                )
        if self._partial.stat().st_size < size:
            raise DataError(f"{self._partial} is truncated; start over without --resume")
        return size

    def __enter__(self) -> Outgoing:
        return self

    def write(self, text: str, lines: list[bytes]) -> None:
        """Write the output of some lines, all of it or nothing.

        Args:
            text: complete output lines.
            lines: the input lines.

        Raises:
            WriteError: they cannot be written; those before are kept for a resumed run.
        """
        data = text.encode("utf-8", "replace")
        with writing(self._name):
            # Without a time stamp, so that the same translations give the same bytes.
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
            "process": os.getpid(),
        }
        new = Path(f"{self._about}.new")
        try:  # not synced, since it is written often: after a power cut `_earlier` notices a loss
            new.write_text(json.dumps(about), encoding="utf-8")
            os.replace(new, self._about)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.path is None:
            return
        try:
            if kind is None:
                self._finish(self.path)
        except BaseException:
            kind = BaseException
            raise
        finally:
            with suppress(OSError):  # failed writes have already been reported
                self._stream.close()
            if kind is not None and not self._direct:
                self._keep()
            self._unlock()

    def _finish(self, path: str) -> None:
        with writing(path):
            if self._compressed and not self._direct and not self._stream.tell():
                self._stream.write(gzip.compress(b"", mtime=0))
            self._stream.flush()
            if self._direct:
                return
            os.fsync(self._stream.fileno())
            os.replace(self._partial, path)
            self._about.unlink(missing_ok=True)
            sync_folder(Path(path).absolute().parent)

    def _keep(self) -> None:
        """Keep the partial file for a resumed run, if it has any lines."""
        if self.lines == 0:
            self._partial.unlink(missing_ok=True)
            self._about.unlink(missing_ok=True)
        elif self._partial.exists():
            print(
                f"s2s: {counted(self.lines, 'line')} translated, in {self._partial}; continue with --resume",
                file=sys.stderr,
            )
