"""Dropout on sequences, by position or once per sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError

_STEPS = 2**16
"""Probabilities are rounded to 1 / _STEPS, so that one 64-bit random number decides four values."""


def check_rate(rate: float) -> float:
    """Return the dropout probability if it is valid.

    Raises:
        ConfigError: it is not in [0, 1).
    """
    if not 0.0 <= rate < 1.0:
        raise ConfigError(f"a dropout probability of {rate} is impossible; it must be at least 0 and below 1")
    return rate


def dropout_mask(like: Tensor, shape: Sequence[int], rate: float) -> Tensor:
    """A mask to multiply by: 0 with probability `rate` (rounded to 1 / 65,536), else scaled so that the mean is 1.

    Draws 16 bits per value: torch's own sampling took ten times as long on a CPU, a tenth of a training step.

    Args:
        like: gives device and type.
        shape: of the mask.
        rate: probability that a value is zero, below 1.
    """
    dropped = min(round(check_rate(rate) * _STEPS), _STEPS - 1)  # keep some, so that the mean can be 1
    size = torch.Size(shape).numel()
    words = torch.empty((size + 3) // 4, dtype=torch.int64, device=like.device).random_(-(2**63), 2**63 - 1)
    kept = words.view(torch.int16)[:size].view(tuple(shape)) >= dropped - _STEPS // 2
    return kept.to(like.dtype).mul_(_STEPS / (_STEPS - dropped))


def drop(x: Tensor, rate: float) -> Tensor:
    """`x` with values zeroed independently with probability `rate`, the others scaled up (Srivastava et al. 2014)."""
    if x.device.type == "cpu":
        return x * dropout_mask(x, x.shape, rate)
    return F.dropout(x, rate)


class SequenceDropout(nn.Module):
    """Dropout on [batch, time, features].

    Args:
        rate: probability that a value is zeroed.
        variational: one mask for all positions of a sequence (Gal & Ghahramani 2016).
    """

    def __init__(self, rate: float, *, variational: bool = False) -> None:
        super().__init__()
        self.rate = check_rate(rate)
        self.variational = variational

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply dropout to `x`; a `mask` from `draw` is used instead of sampling one."""
        if mask is not None:
            return x * (mask.unsqueeze(1) if x.dim() == 3 else mask)
        if not self.training or self.rate == 0:
            return x
        if self.variational and x.dim() == 3:
            return x * dropout_mask(x, (x.size(0), 1, x.size(2)), self.rate)
        return drop(x, self.rate)

    def draw(self, batch_size: int, features: int, *, like: Tensor) -> Tensor | None:
        """Sample a mask [batch, features] for a sequence that is read step by step; None if none is needed."""
        if not (self.training and self.variational and self.rate > 0):
            return None
        return dropout_mask(like, (batch_size, features), self.rate)
