"""Limits torch to one thread within a thread that searches."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

_LOCK = threading.Lock()

if hasattr(os, "register_at_fork"):
    # A process forked in the meantime would wait for it forever, and inherit the default of one thread.
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


def use_one_thread() -> None:
    """Let torch use one thread for computations of the calling thread, without affecting other threads.

    `torch.set_num_threads` sets the number for the calling thread, and the default of threads that have not used torch
    yet. A new thread reads that default before, and restores it afterwards.
    """
    with _LOCK, ThreadPoolExecutor(1, "newcomer") as newcomer:
        others = newcomer.submit(torch.get_num_threads).result()
        torch.get_num_threads()  # otherwise the calling thread may be new itself, and take the default later
        torch.set_num_threads(1)
        newcomer.submit(torch.set_num_threads, others).result()
