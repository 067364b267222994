"""CPU threads of a training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from s2s.cores import available_cores


@contextmanager
def no_more_threads_than_cores() -> Iterator[None]:
    """Within this context, torch uses no more threads than there are cores available.

    Threads that share a matrix product busy-wait for each other: in a container limited to 2 of 64 cores, 64 threads
    would spend its CPU quota on waiting.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(available_cores(before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
