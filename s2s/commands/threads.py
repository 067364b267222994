"""CPU threads of a command."""

from __future__ import annotations

from s2s.cores import MOST_THREADS, available_cores, check_threads

WITHIN = "CPU threads that share the work of each batch"
"""Help of a command that processes one batch at a time; the command adds the default."""


def at_once(doing: str) -> str:
    """The help of a command whose threads have a batch each.

    Args:
        doing: what each of them does: "search".
    """
    most = f"as many as there are cores, {MOST_THREADS} at most"
    return f"CPU threads that {doing} at once, a batch each (default: {most})"


def use_threads(threads: int | None) -> None:
    """Set them for the whole process; None: as many as torch would use, but no more than there are cores.

    Raises:
        ConfigError: see `check_threads`.
    """
    if threads is not None:
        check_threads("--threads", threads)
    import torch

    torch.set_num_threads(available_cores(torch.get_num_threads()) if threads is None else threads)
