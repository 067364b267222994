"""How many kernels of oneDNN a command keeps."""

import os

KEPT = 64
"""A step of a search takes about ten, and the next step most often the same ones."""
_CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""What oneDNN reads for the whole process, and torch's layer above it for each thread. Unset, both are 1,024."""


def keep_few_kernels() -> None:
    """Keep 64 kernels where oneDNN and torch would keep 1,024 each; to be said before anything is computed.

    oneDNN makes a kernel for each number of rows that a matrix is multiplied with, of half a MiB, and a search comes to
    any number of rows: sentences that are finished leave. So a long text filled both caches, 600 MiB for the process
    and as much for each thread that searches, with what is hardly ever used again. A kernel is made in 0.2
    milliseconds: translating was not slower by it, and memory is level (benchmarks/translating.py).

    The libraries take the numbers from the environment, so this is for a process of our own. What a person has set
    stays.
    """
    for name in _CAPACITIES:
        os.environ.setdefault(name, str(KEPT))
