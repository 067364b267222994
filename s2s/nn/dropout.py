"""Dropout on sequences, by position or once per sequence."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn.cell import dropout_mask


class SequenceDropout(nn.Module):
    """Dropout on [batch, time, features].

    Args:
        rate: probability that a value is zeroed.
        variational: one mask for all positions of a sequence (Gal & Ghahramani 2016).
    """

    def __init__(self, rate: float, *, variational: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.variational = variational

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Drop from `x`; `mask`, one of `draw`, replaces the drawing."""
        if mask is not None:
            return x * (mask.unsqueeze(1) if x.dim() == 3 else mask)
        if not self.training or self.rate == 0:
            return x
        if self.variational and x.dim() == 3:
            return x * dropout_mask(x, (x.size(0), 1, x.size(2)), self.rate)
        return F.dropout(x, self.rate)

    def draw(self, batch_size: int, features: int, *, like: Tensor) -> Tensor | None:
        """A mask [batch, features] for a whole sequence that is stepped; None where none is needed."""
        if not (self.training and self.variational and self.rate > 0):
            return None
        return dropout_mask(like, (batch_size, features), self.rate)
