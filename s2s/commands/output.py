"""Where a command writes: standard output, or a file that appears under its name only when it is complete."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from s2s.errors import DataError


class Output:
    """To be used in a `with`: if that fails, no file is left, and one that was there before is as it was.

    Args:
        path: the file; None is standard output.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._partial = "" if path is None else f"{path}.partial-{os.getpid()}"
        self._stream: BinaryIO

    def __enter__(self) -> Output:
        try:
            self._stream = sys.stdout.buffer if self.path is None else open(self._partial, "wb")
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror or error}") from error
        return self

    def write(self, text: str) -> None:
        """Write text as UTF-8."""
        self._stream.write(text.encode("utf-8", "replace"))

    def write_bytes(self, content: bytes) -> None:
        """Write bytes."""
        self._stream.write(content)

    def flush(self) -> None:
        """Hand on what was written; who reads a pipe sees it."""
        self._stream.flush()

    def __exit__(self, failure: object, *_: object) -> None:
        if self.path is None:
            if failure is None:
                self._stream.flush()  # here, where a closed pipe is noticed in time
            return
        try:
            if failure is None:
                self._stream.flush()
                os.fsync(self._stream.fileno())
            self._stream.close()
            if failure is None:
                os.replace(self._partial, self.path)
        except OSError as error:
            raise DataError(f"cannot write {self.path}: {error.strerror or error}") from error
        finally:
            Path(self._partial).unlink(missing_ok=True)
