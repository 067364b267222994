"""CPU threads of a command."""

from __future__ import annotations

from s2s.inference.cores import MOST_THREADS, check_threads

WITHIN = "CPU threads that share the work of each batch"
"""Of a command that has one batch at a time; its help adds the default."""


def at_once(doing: str) -> str:
    """The help of a command whose threads have a batch each.

    Args:
        doing: what each of them does: "search".
    """
    most = f"as many as there are cores, {MOST_THREADS} at most"
    return f"CPU threads that {doing} at once, a batch each (default: {most})"


def use_threads(threads: int | None) -> None:
    """For the whole process; None leaves torch its choice.

    Raises:
        ConfigError: see `check_threads`.
    """
    if threads is None:
        return
    check_threads("--threads", threads)
    import torch

    torch.set_num_threads(threads)
