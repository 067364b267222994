"""Standard output and error whose reader may leave: a closed terminal, a `tee` that Ctrl-C has ended, a full disk."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import IO, Any, cast


class Enduring:
    """A text stream that falls silent where nobody reads it any more, instead of ending whoever writes to it."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if anybody reads."""
        try:
            return self._stream.write(text)
        except OSError:
            let_go(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flush, if anybody reads."""
        try:
            self._stream.flush()
        except OSError:
            let_go(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def enduring(*, output: bool) -> Iterator[None]:
    """Standard error, and `output` too if it is no result that somebody must get, outlive their readers."""
    with ExitStack() as stack:

        def endures(stream: IO[str] | None) -> IO[str]:
            if stream is None:  # closed before Python began, as by `2>&-`
                stream = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            made = cast(IO[str], Enduring(stream))
            stack.callback(made.flush)
            return made

        stack.enter_context(redirect_stderr(endures(sys.stderr)))
        if output:
            stack.enter_context(redirect_stdout(endures(sys.stdout)))
        yield


def let_go(stream: IO[str]) -> None:
    """What a stream still holds and gets goes nowhere: the interpreter would complain once more at its exit."""
    with suppress(OSError):  # it is no file of the system's
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
