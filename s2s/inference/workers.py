"""Threads that search, a batch each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

Result = TypeVar("Result")

_LOCK = threading.Lock()


class Workers:
    """Some threads, started when they are first needed; each has one thread of torch to itself.

    One batch per thread is faster than one batch in all threads: its products and the steps between them are too small
    to be shared out, and no thread waits for another. That holds for a batch that is alone, too: all threads are no
    faster than one where the machine is theirs, and many times slower where another program has one of the cores, for
    they wait for each other at each product (benchmarks/threads.py).

    Attributes:
        given_up: set when an error (or Ctrl-C) ends the work; what runs then does so for nobody.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.given_up = threading.Event()
        self._pool: ThreadPoolExecutor | None = None

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
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def start(self, tasks: Sequence[Callable[[], Result]]) -> Sequence[Callable[[], Result]]:
        """Start tasks, and give for each what waits for its result.

        One after the other and with one thread of torch anyway, they wait until they are asked for.
        """
        if self.threads < 2 and torch.get_num_threads() < 2:
            return tasks
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, "search", use_one_thread)
        return [self._pool.submit(task).result for task in tasks]


def use_one_thread() -> None:
    """Let torch use one thread for what the calling thread computes, and leave all other threads as they are.

    `torch.set_num_threads` sets the number of the thread that calls it, and the number of threads that have not used
    torch yet. A thread that is such a newcomer reads that second number, and puts it back.
    """
    with _LOCK, ThreadPoolExecutor(1, "newcomer") as newcomer:
        others = newcomer.submit(torch.get_num_threads).result()
        torch.get_num_threads()  # or the calling thread is a newcomer itself, and takes the others' number later
        torch.set_num_threads(1)
        newcomer.submit(torch.set_num_threads, others).result()
