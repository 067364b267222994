"""Forking a process whose threads have computed matrix products.

MKL keeps memory for each thread, and frees it when the thread ends, under a lock. Python considers a thread ended a
moment before that. A process forked at this moment inherits the held lock, but no thread that releases it: its first
product waits forever. Seen on a busy machine, 3 of 15 times, after 32 threads had translated.
"""

import threading
import time
from pathlib import Path

TASKS = Path("/proc/self/task")
LOOK_SECONDS = 0.001
MOST_SECONDS = 1.0
"""Longest wait: a library's thread that keeps computing must not prevent the process from forking."""


def ending_threads(tasks: Path = TASKS) -> list[int]:
    """Runnable threads that Python does not list: some may be Python threads that are about to end.

    A library's own threads sleep when there is nothing to do.

    Args:
        tasks: the folder where Linux lists a process's threads; other systems have none, and nothing is found.
    """
    pythons = {thread.native_id for thread in threading.enumerate()}
    found = []
    for task in tasks.glob("*/stat"):
        number = int(task.parent.name)
        if number in pythons:
            continue
        try:
            state = task.read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):  # it has ended
            continue
        if state == "R":
            found.append(number)
    return found


def let_threads_end(tasks: Path = TASKS) -> None:
    """Wait until no thread is about to end, MOST_SECONDS at most."""
    deadline = time.monotonic() + MOST_SECONDS
    while ending_threads(tasks) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
