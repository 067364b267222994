"""Scheduled sampling: the decreasing share of gold tokens that the decoder reads during training."""

import math
from typing import Literal

from torch import nn

from s2s.errors import ConfigError


class ScheduledSampling(nn.Module):
    """The probability epsilon_i that a token is the gold one, at optimizer step i (Bengio et al. 2015, section 2.4).

    ::

        linear            epsilon_i = k - c i               k = 1,        c = 1 / (2 half_steps)
        exponential       epsilon_i = k^i                   k = 2^(-1 / half_steps)
        inverse_sigmoid   epsilon_i = k / (k + exp(i / k))  k ln k = half_steps

    All of them pass 1/2 at step `half_steps`, and none falls below `floor`.

    Args:
        decay: the curve.
        half_steps: steps after which half of the tokens are the model's own.
        floor: the least share of gold tokens.

    Attributes:
        epsilon: of the step that training is at.
    """

    def __init__(
        self, decay: Literal["linear", "exponential", "inverse_sigmoid"], *, half_steps: int, floor: float
    ) -> None:
        super().__init__()
        if half_steps < 1:
            raise ConfigError(f"model.sampling_half_steps {half_steps} is impossible; it must be at least 1")
        if not 0 <= floor <= 1:
            raise ConfigError(f"model.sampling_floor {floor} is impossible; it must be between 0 and 1")
        self.decay = decay
        self.half_steps = half_steps
        self.floor = floor
        self.epsilon = 1.0

    def at_step(self, step: int) -> None:
        """Set the probability of this step; it depends on the step only, so there is no state to save."""
        self.epsilon = max(self.floor, self._curve(step))

    def _curve(self, step: int) -> float:
        if self.decay == "linear":
            return 1.0 - step / (2 * self.half_steps)
        if self.decay == "exponential":
            return float(2.0 ** (-step / self.half_steps))
        k = _solve(self.half_steps)
        return 0.5 * (1.0 + math.tanh(0.5 * (math.log(k) - step / k)))  # exp(i / k) would overflow


def _solve(product: float) -> float:
    """The k > 1 whose k ln k is `product`, by Newton's method."""
    k = product + 1.0  # on the right of the root, from where it falls towards it: k ln k is convex
    for _ in range(50):
        k = (k + product) / (math.log(k) + 1.0)
    return k
