"""A second thread for parts of one computation, where one is idle. Nothing here needs torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Here = TypeVar("Here")
There = TypeVar("There")

MOST_ALONE = 256
"""Most computations that the calling thread does alone after the other one was late."""

_OF_THREAD = threading.local()


class SpareThread:
    """An idle thread of a pool that takes over parts of another thread's computation.

    Nothing waits for a thread that the system does not run: a part that it has not begun is taken back, and once it was
    late (because other programs use the cores) it is not asked the next 1, 2, 4 ... times. It gets its parts from a
    queue of its own, which takes 0.1 ms less than giving each to the pool.

    Only the thread that it helps may call `both`.

    Args:
        pool: a thread of it is used from the first part until `dismiss`.
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._parts: SimpleQueue[_Part[Any] | None] = SimpleQueue()
        self._started = False
        self._dismissed = False
        self._busy = False
        self._penalty = 0
        self._alone = 0

    def dismiss(self) -> None:
        """Return the thread to its pool; everything is done alone from now on. Any thread may call this."""
        self._dismissed = True
        self._parts.put(None)

    def both(self, here: Callable[[], Here], there: Callable[[], There]) -> tuple[Here, There]:
        """The results of two functions; the second is called in the other thread, or in this one after the first.

        Raises:
            BaseException: what one of them raised, after both have ended.
        """
        if not self._is_free():
            return here(), there()
        part = _Part(there)
        self._parts.put(part)
        self._busy = True
        begun = time.perf_counter()
        try:
            first = here()
        except BaseException:
            part.drop()
            raise
        finally:
            self._busy = False
        ended = time.perf_counter()
        taken_back = part.claim()
        second = there() if taken_back else part.result()
        late = taken_back or time.perf_counter() - ended > ended - begun
        self._penalty = min(2 * self._penalty or 1, MOST_ALONE) if late else 0
        self._alone = self._penalty
        return first, second

    def _is_free(self) -> bool:
        # While it has a part, parts of the caller's own share are not for it.
        if self._dismissed or self._busy:
            return False
        if self._alone > 0:
            self._alone -= 1
            return False
        if not self._started:
            self._started = True
            try:
                self._pool.submit(self._work)
            except RuntimeError:  # the pool is shut down, or Python ends
                self._dismissed = True
                return False
        return True

    def _work(self) -> None:
        while (part := self._parts.get()) is not None:
            if part.claim():
                part.run()


class _Part(Generic[There]):
    """A computation that the first thread to claim it does."""

    def __init__(self, compute: Callable[[], There]) -> None:
        self._compute = compute
        self._claimed = threading.Lock()
        self._outcome: SimpleQueue[tuple[There | None, BaseException | None]] = SimpleQueue()

    def claim(self) -> bool:
        """Whether the calling thread is to do it."""
        return self._claimed.acquire(blocking=False)

    def run(self) -> None:
        try:
            self._outcome.put((self._compute(), None))
        except BaseException as error:  # of a stranger's part; it is raised where the result is needed
            self._outcome.put((None, error))

    def result(self) -> There:
        """Wait for the other thread."""
        found, error = self._outcome.get()
        if error is not None:
            raise error
        return found  # type: ignore[return-value]  # a None is There's own

    def drop(self) -> None:
        """Nobody needs the result any more; if the other thread is at it, wait until it has ended."""
        if not self.claim():
            self._outcome.get()


@contextmanager
def helping(spare: SpareThread) -> Iterator[None]:
    """In this block, `both` of the calling thread uses the spare thread; it is dismissed at the end."""
    _OF_THREAD.spare = spare
    try:
        yield
    finally:
        _OF_THREAD.spare = None
        spare.dismiss()


def both(here: Callable[[], Here], there: Callable[[], There]) -> tuple[Here, There]:
    """The results of two independent functions, computed at once if a thread is idle (`helping`), else in turn."""
    spare: SpareThread | None = getattr(_OF_THREAD, "spare", None)
    return (here(), there()) if spare is None else spare.both(here, there)


def has_spare() -> bool:
    """Whether `both` may use another thread."""
    return getattr(_OF_THREAD, "spare", None) is not None
