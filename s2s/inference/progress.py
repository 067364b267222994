"""Progress bar of a long translation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from s2s.counted import counted


@contextmanager
def progress(size: int | None, *, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error with lines, lines per second and the remaining time.

    Args:
        size: bytes to read; None if unknown, and then no remaining time is shown.
        shown: if False, nothing is shown or imported.

    Yields:
        a function to be called with the number of new lines, and the number of bytes read so far.
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
