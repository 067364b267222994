"""How many CPU cores there are to compute with."""

from __future__ import annotations

import math
import os
from pathlib import Path

from s2s.errors import ConfigError

MOST_THREADS = 8
"""As many are used unasked: between the products of a step Python runs, one thread at a time, so that many more would
bring little (docs/translating.md), and others want the cores of a large machine, too."""
MOST_ASKED = 1024
"""More cannot be asked for: no machine has more cores to itself, and each thread takes memory."""

_QUOTAS = (
    ("cpu.max",),  # cgroup v2: quota and period
    ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),  # cgroup v1
)


def threads_to_use(threads: int | None, library: int) -> int:
    """So many threads as are asked for; where none are, `default_threads`.

    Raises:
        ConfigError: see `check_threads`.
    """
    if threads is None:
        return default_threads(library)
    check_threads("threads", threads)
    return threads


def check_threads(name: str, threads: int) -> None:
    """Refuse a number of threads that cannot be.

    Args:
        name: of the option, for the error.
        threads: its value.

    Raises:
        ConfigError: fewer than one, or more than `MOST_ASKED`.
    """
    if not 1 <= threads <= MOST_ASKED:
        raise ConfigError(f"{name} is {threads}; it must be 1 or more, and at most {MOST_ASKED:,}")


def default_threads(library: int) -> int:
    """As many threads as there are cores to run them, `MOST_THREADS` at most.

    Args:
        library: see `available_cores`.
    """
    return min(available_cores(library), MOST_THREADS)


def available_cores(library: int) -> int:
    """The cores on which this process may run, and no more than its container may keep busy.

    Args:
        library: as many as the library would use that computes, which are the most: torch uses all cores, or what
            OMP_NUM_THREADS or `torch.set_num_threads` says. It knows nothing of a container's quota.
    """
    allowed = [library]
    if hasattr(os, "sched_getaffinity"):  # not on all systems
        allowed.append(len(os.sched_getaffinity(0)))
    if (quota := container_cores()) is not None:
        allowed.append(max(1, math.ceil(quota)))
    return min(allowed)


def container_cores(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The cores that a container's quota of CPU time is worth; None without a quota.

    Args:
        folder: where the kernel tells of control groups.
    """
    for names in _QUOTAS:
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max", which is no limit
            continue
    return None
