"""Parts that change over training."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Scheduled(Protocol):
    """An `nn.Module` that changes over training: a temperature that falls, a penalty that grows.

    It is found by its method anywhere in the model; there is nothing to register. Its state belongs in a buffer
    (`register_buffer`), so that it is saved in checkpoints and bundles, and a resumed run continues exactly. It must
    behave the same on every rank: as a function of the step and of its buffers.
    """

    def at_step(self, step: int) -> None:
        """Called in training before each optimizer step, and before the first batch of it is read.

        Args:
            step: number of optimizer steps taken before, from 0; each number occurs once.
        """


@runtime_checkable
class BeginsLate(Scheduled, Protocol):
    """A scheduled part that has parameters from the beginning, but uses some of them only later.

    Until then nothing changes them. Training must know them, because distributed processes wait for each other's
    gradients of every parameter.
    """

    def unused_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters not used at the step last given to `at_step`."""
