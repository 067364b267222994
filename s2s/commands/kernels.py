"""How many oneDNN kernels a command caches."""

import os

KEPT = 64
"""A search step uses about ten, and the next step mostly the same ones."""
_CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Read by oneDNN, per process, and by torch's layer above it, per thread. Unset, both are 1,024."""


def keep_few_kernels() -> None:
    """Cache 64 kernels where oneDNN and torch would cache 1,024 each; to be called before anything is computed.

    oneDNN makes a kernel of half a MiB for each number of rows that a matrix is multiplied with, and a search has any
    number of rows, since finished sentences leave it. So a long text filled both caches, 600 MiB for the process and
    as much for each thread that searches, with kernels that are hardly ever used again. A kernel is made in 0.2
    milliseconds: translating was not slower, and memory stays constant (benchmarks/translating.py).

    The libraries take the numbers from the environment, so this is for a process of our own. What the user has set
    stays.
    """
    for name in _CAPACITIES:
        os.environ.setdefault(name, str(KEPT))
