"""How far a long translation has come, for a person at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from s2s.counted import counted


@contextmanager
def progress(size: int | None, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with lines, lines per second and the time that is left.

    Args:
        size: bytes to read; None if they cannot be known, and then no time is left to tell.
        shown: without it nothing is shown, and nothing imported.

    Yields:
        what is to be told of new lines, and of the bytes that are read.
    """
    if not shown:
        yield lambda lines, read: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        task = bars.add_task("", total=size or None, said="0 lines")
        done, start = 0, time.perf_counter()

        def tell(lines: int, read: int) -> None:
            nonlocal done
            done += lines
            speed = done / max(time.perf_counter() - start, 1e-9)
            bars.update(task, completed=read, said=f"{counted(done, 'line')}, {speed:,.1f} sentences/s")

        yield tell
