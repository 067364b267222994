"""Threads that search, one batch each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from s2s.spare import SpareThread, helping

Result = TypeVar("Result")


_Kind = tuple[int, Callable[[], None] | None]

_RESTING: dict[_Kind, list[ThreadPoolExecutor]] = {}
"""Idle threads for the next caller: preparing a new one takes 0.3 ms, and it starts with cold caches of its own."""

_MOST_RESTING = os.cpu_count() or 1
"""Maximum number of idle pools of a kind: as many concurrent callers as there are cores."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_RESTING.clear)  # threads are not forked


class GivenUp(Exception):
    """The search was cancelled: nobody waits for its result."""


class Workers:
    """Some threads, acquired when first needed and left to the next caller at the end.

    One batch per thread is faster than one batch in all threads: its matrix products and the steps between them are too
    small to be shared, and no thread waits for another. If there is only one batch, a second thread takes over the few
    large parts that can be computed at the same time (`s2s.spare`). All of torch's threads would wait for each other at
    each product, which takes many times as long if another program uses one of the cores (benchmarks/threads.py).

    Args:
        threads: how many.
        prepare: called first in each thread, to limit its library to one thread; None: not necessary.

    Attributes:
        given_up: set when an error (or Ctrl-C) ends the work; running tasks should then stop.
    """

    def __init__(self, threads: int, prepare: Callable[[], None] | None = None) -> None:
        self.threads = threads
        self._prepare = prepare
        self._kind = threads, prepare
        self.given_up = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._running: list[Future[Any]] = []
        self._spare: SpareThread | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.given_up.set()
        if self._pool is None:
            return
        resting = _RESTING.setdefault(self._kind, [])
        if error is None and len(resting) < _MOST_RESTING:  # all tasks have been waited for
            resting.append(self._pool)
        else:
            self._pool.shutdown(cancel_futures=True)

    def start(self, tasks: Sequence[Callable[[], Result]]) -> Sequence[Callable[[], Result]]:
        """Start tasks, and return for each a function that waits for its result.

        With one thread and nothing to prepare, each task runs only when its result is requested.
        """
        if self.threads < 2 and self._prepare is None:
            return tasks
        if self._pool is None:
            self._pool = self._rested() or ThreadPoolExecutor(self.threads, "search", self._prepare)
        if self._spare is not None:
            self._spare.dismiss()  # these tasks need its thread
        self._running = [future for future in self._running if not future.done()]
        if len(tasks) == 1 and not self._running and self.threads > 1:
            self._spare = SpareThread(self._pool)
            tasks = [partial(_helped, self._spare, tasks[0])]
        futures = [self._pool.submit(task) for task in tasks]
        self._running += futures
        return [future.result for future in futures]

    def _rested(self) -> ThreadPoolExecutor | None:
        try:
            return _RESTING[self._kind].pop()
        except (KeyError, IndexError):
            return None


def _helped(spare: SpareThread, task: Callable[[], Result]) -> Result:
    with helping(spare):
        return task()
