"""Where a model computes, and how many batches at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from s2s.cores import threads_to_use
from s2s.errors import ConfigError


@contextmanager
def usable_device(device: str) -> Iterator[torch.device]:
    """A context in which models may be moved to a device.

    Args:
        device: such as "cpu" or "cuda".

    Raises:
        ConfigError: there is no such device, it cannot be used here, or has no room for the models.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).tolist()  # "meta" has shapes, but no numbers
    except (RuntimeError, AssertionError) as error:
        raise _unusable(device, error) from error
    try:
        yield found
    except torch.OutOfMemoryError as error:
        raise _unusable(device, error) from error


def _unusable(device: str, error: Exception) -> ConfigError:
    return ConfigError(f"device {device!r} cannot be used here ({error}); cpu always can")


def threads_on(device: torch.device, threads: int | None) -> int:
    """Number of threads, one batch each: on a CPU `threads`, or as many as torch would use; elsewhere one.

    Raises:
        ConfigError: fewer than one.
    """
    wanted = threads_to_use(threads, torch.get_num_threads())
    return wanted if device.type == "cpu" else 1
