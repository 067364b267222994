"""Parts that change over training."""

from typing import Protocol, runtime_checkable


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
