"""CPU threads of a command."""

from __future__ import annotations

from s2s.errors import ConfigError


def use_threads(threads: int | None) -> None:
    """For the whole process; None leaves torch its choice.

    Raises:
        ConfigError: fewer than one.
    """
    if threads is None:
        return
    if threads < 1:
        raise ConfigError(f"--threads is {threads}; it must be 1 or more")
    import torch

    torch.set_num_threads(threads)
