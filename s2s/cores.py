"""The number of CPU cores available for computation."""

from __future__ import annotations

import math
import os
from pathlib import Path

from s2s.errors import ConfigError

MOST_THREADS = 8
"""Most threads used by default: between the matrix products of a step, Python runs on one thread, so many more would
gain little (docs/translating.md), and a large machine is shared with others."""
MOST_ASKED = 1024
"""Most threads that can be requested: no machine has more cores, and each thread takes memory."""

_QUOTAS = (
    ("cpu.max",),  # cgroup v2: quota and period
    ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),  # cgroup v1
)


def threads_to_use(threads: int | None, library: int) -> int:
    """The requested number of threads; None: `default_threads`.

    Raises:
        ConfigError: see `check_threads`.
    """
    if threads is None:
        return default_threads(library)
    check_threads("threads", threads)
    return threads


def check_threads(name: str, threads: int) -> None:
    """Raise if a number of threads is out of range.

    Args:
        name: of the option, for the error.
        threads: its value.

    Raises:
        ConfigError: fewer than one, or more than `MOST_ASKED`.
    """
    if not 1 <= threads <= MOST_ASKED:
        raise ConfigError(f"{name} is {threads}; it must be 1 or more, and at most {MOST_ASKED:,}")


def default_threads(library: int) -> int:
    """As many threads as there are available cores, `MOST_THREADS` at most.

    Args:
        library: see `available_cores`.
    """
    return min(available_cores(library), MOST_THREADS)


def available_cores(library: int) -> int:
    """The number of cores on which this process may run, limited by the CPU quota of its container.

    Args:
        library: the number of threads that the compute library would use, an upper bound: torch uses all cores, or
            what OMP_NUM_THREADS or `torch.set_num_threads` says. It ignores a container's quota.
    """
    allowed = [library]
    if hasattr(os, "sched_getaffinity"):  # not on all systems
        allowed.append(len(os.sched_getaffinity(0)))
    if (quota := container_cores()) is not None:
        allowed.append(max(1, math.ceil(quota)))
    return min(allowed)


def container_cores(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    """A container's quota of CPU time as a number of cores; None without a quota.

    Args:
        folder: where the kernel's control groups (cgroups) are mounted.
    """
    for names in _QUOTAS:
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max", which is no limit
            continue
    return None
