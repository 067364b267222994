"""Standard output and error that fail: a closed terminal, a `tee` that Ctrl-C has ended, a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import IO, Any, cast


class Stream:
    """A text stream for results, whose write errors become errors of `s2s.errors`.

    Raises:
        BrokenPipeError: the reader has closed the pipe.
        WriteError: it cannot be written.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream: IO[str] = stream._stream if isinstance(stream, Stream) else stream

    def write(self, text: str) -> int:
        r"""Write; characters that the stream's encoding lacks are written as `\u0142`."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self.encoding  # the stream's
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            return len(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def flush(self) -> None:
        """Flush."""
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _failed(self, error: OSError) -> None:
        from s2s.durable import writing  # seldom needed

        with writing("standard output"):
            raise error


class Enduring(Stream):
    """A text stream that silently drops output once its reader is gone, instead of raising an error."""

    def _failed(self, error: OSError) -> None:
        """Send buffered and further output to the null device: the interpreter would complain again at exit."""
        with suppress(OSError):  # it is no file of the system's
            number = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)


@contextmanager
def streams(*, output: type[Stream] = Stream) -> Iterator[None]:
    """Let standard error survive the loss of its reader; also standard output, if it is `Enduring` (no results)."""
    with ExitStack() as stack:

        def made(kind: type[Stream], stream: IO[str] | None) -> IO[str]:
            if stream is None:  # closed before Python began, as by `2>&-`
                stream = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            return cast(IO[str], kind(stream))

        stack.enter_context(redirect_stderr(made(Enduring, sys.stderr)))
        stack.enter_context(redirect_stdout(made(output, sys.stdout)))
        yield
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
