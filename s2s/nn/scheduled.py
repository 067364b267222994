"""Parts that change over training."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Scheduled(Protocol):
    """What any `nn.Module` may have that changes over training: a temperature that falls, a penalty that grows.

    It is found by its method, wherever in the model it stands; there is nothing to register. What it keeps from one
    step to the next belongs into a buffer (`register_buffer`), so that it is in the checkpoint and in the bundle, and a
    resumed run is the run. On every rank it must come to the same: a function of the step and of its buffers.
    """

    def at_step(self, step: int) -> None:
        """Called in training before each optimizer step, and before the first batch of it is read.

        Args:
            step: optimizer steps that were taken before, from 0; each number comes once.
        """


@runtime_checkable
class BeginsLate(Scheduled, Protocol):
    """A scheduled part that has parameters from the beginning, and uses some of them only later.

    Until then nothing changes them. Training must know of them: several processes wait for each other's gradients, of
    every parameter.
    """

    def unused_parameters(self) -> Iterable[nn.Parameter]:
        """Those that are not used at the step that `at_step` has told."""
