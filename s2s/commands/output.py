"""Where a command writes: standard output, or a file that appears under its name only when it is complete."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import BinaryIO

from s2s.durable import check_name, durable_file, is_stream, writing


def check_place(path: str) -> None:
    """Check before the work that a file can be written at its place.

    Args:
        path: of the file; a device or a pipe is not checked.

    Raises:
        WriteError: the name is empty, there is no such folder, or nothing may be written there.
    """
    check_name(path)
    if is_stream(path) and not os.path.isdir(path):
        return
    with writing(path):
        folder = os.path.dirname(os.path.realpath(path))
        os.stat(os.path.join(folder, ""))  # tells whether it is there, and a folder
        for fits, number in (
            (not os.path.isdir(path), errno.EISDIR),
            (os.access(folder, os.W_OK), errno.EACCES),
        ):
            if not fits:
                raise OSError(number, os.strerror(number))


class Output:
    """To be used in a `with`: if the block fails, no file is left, and an existing one is unchanged.

    If several write one file, the last to end wins, and its file is complete.

    Args:
        path: the file; None is standard output. A device, a pipe or `/dev/stdout` is written to directly.

    Raises:
        WriteError: it cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        self._name = "standard output" if path is None else path
        self._held: AbstractContextManager[BinaryIO]
        check_name(path)
        if path is None:
            self._held = nullcontext(sys.stdout.buffer)
        elif is_stream(path):
            with writing(path):
                self._held = open(path, "ab")  # noqa: SIM115 - closed by `__exit__`
        else:
            self._held = durable_file(path)
        self._stream: BinaryIO

    def __enter__(self) -> Output:
        self._stream = self._held.__enter__()
        return self

    def write(self, text: str) -> None:
        """Write text as UTF-8."""
        self.write_bytes(text.encode("utf-8", "replace"))

    def write_bytes(self, content: bytes) -> None:
        """Write bytes."""
        with writing(self._name):
            self._stream.write(content)

    def flush(self) -> None:
        """Flush, so that a reader of a pipe sees what was written."""
        with writing(self._name):
            self._stream.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()  # here, where a closed pipe is noticed in time
        except BaseException:
            with suppress(OSError):  # closing fails as well
                self._held.__exit__(*sys.exc_info())
            raise
        with writing(self._name):
            self._held.__exit__(kind, error, traceback)
