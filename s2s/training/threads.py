"""CPU threads of a training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from s2s.cores import available_cores


@contextmanager
def no_more_threads_than_cores() -> Iterator[None]:
    """Within, torch uses no more threads than there are cores to run them.

    Threads that share a product wait for each other, busily: where a container may keep 2 of 64 cores busy, 64 threads
    spend its quota on waiting.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(available_cores(before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
