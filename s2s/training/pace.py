"""Loss, gradient norm and speed of training since the last reading."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor


class Learnt(NamedTuple):
    """A batch, or a part of one, whose gradient is in the step.

    Attributes:
        batch: what was learnt from.
        number: see `Piece`.
        total: see `HeadLoss`; so are `nll` and `tokens`. None has a gradient.
    """

    batch: Any
    number: int
    total: Tensor
    nll: Tensor
    tokens: Tensor


class Measured(NamedTuple):
    """Means over the steps since the last reading, without those that were skipped.

    Attributes:
        loss: nats per token.
        tokens_per_second: target tokens.
        gradient_norm: of the gradient of the mean loss, before it is clipped.
        clipped_steps: share of the steps whose gradient was clipped by its norm.
    """

    loss: float
    tokens_per_second: float
    gradient_norm: float
    clipped_steps: float


class Pace:
    """Loss, gradient norm and speed of training since the last reading, without validation."""

    tokens: Tensor | int
    nll: Tensor | float
    norms: Tensor | float
    clipped: Tensor | int
    steps: int
    began: float

    def __init__(self) -> None:
        self.latest = Measured(*[math.nan] * 4)
        self.restart()

    def add(self, step: Sequence[Learnt], norm: Tensor) -> None:
        """Count one step. The sums stay where they are: reading them would make an accelerator wait.

        Args:
            step: its batches.
            norm: of its gradient.
        """
        for batch in step:
            self.tokens = self.tokens + batch.tokens
            self.nll = self.nll + batch.nll
        self.norms = self.norms + norm
        self.steps += 1

    def restart(self) -> None:
        """Start measuring again, for example after a validation."""
        self.tokens = self.clipped = self.steps = 0
        self.nll = self.norms = 0.0
        self.began = time.perf_counter()

    def read(self) -> Measured:
        """The means since the last reading."""
        tokens, seconds = int(self.tokens), time.perf_counter() - self.began
        if tokens:
            self.latest = Measured(
                float(self.nll) / tokens,
                tokens / max(seconds, 1e-9),
                float(self.norms) / self.steps,
                float(self.clipped) / self.steps,
            )
        self.restart()
        return self.latest

    def state_dict(self) -> dict[str, float]:
        """For the checkpoint: the sums of the next reading."""
        sums = {"nll": float(self.nll), "norms": float(self.norms)}
        counts = {"tokens": int(self.tokens), "clipped": int(self.clipped), "steps": self.steps}
        return {**sums, **counts, "seconds": time.perf_counter() - self.began}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """From the checkpoint."""
        self.nll, self.norms = state["nll"], state["norms"]
        self.tokens, self.clipped, self.steps = (int(state[name]) for name in ("tokens", "clipped", "steps"))
        self.began = time.perf_counter() - state["seconds"]
