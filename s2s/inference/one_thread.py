"""One thread of torch for a thread that searches."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

_LOCK = threading.Lock()


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
