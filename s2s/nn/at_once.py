"""Two computations of an inference at once, where a thread is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from s2s.spare import both, has_spare

Here = TypeVar("Here")
There = TypeVar("There")


def in_turn(here: Callable[[], Here], there: Callable[[], There]) -> tuple[Here, There]:
    """The results of two functions, called one after the other."""
    return here(), there()


def at_once(here: Callable[[], Here], there: Callable[[], There]) -> tuple[Here, There]:
    """The results of two independent functions of tensors, which are the same whether they run at once or in turn.

    They run at once if the calling thread has a spare one (`s2s.spare`) and computes in inference mode, so that no
    graph is recorded. It takes about 0.05 ms, so each should take at least 0.3, without much Python.
    """
    if not (has_spare() and torch.is_inference_mode_enabled()) or torch.is_autocast_enabled("cpu"):
        return in_turn(here, there)
    return both(here, torch.inference_mode()(there))  # the mode is that of a thread
