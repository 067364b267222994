"""From the outputs of an encoder, one for each position, to one vector for the text."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError

Pooling: TypeAlias = Literal["last", "mean", "max", "attention"]
"""last: the encoder's final state; the others read the outputs of all positions."""


def check_pooling(pooling: str) -> str:
    """Return the kind of pooling if it exists.

    Raises:
        ConfigError: it does not exist.
    """
    if pooling not in get_args(Pooling):
        raise ConfigError(f"unknown pooling {pooling!r}; choose one of {', '.join(get_args(Pooling))}")
    return pooling


def mean_over_time(outputs: Tensor, mask: Tensor) -> Tensor:
    """The mean over real positions.

    Args:
        outputs: [batch, time, size]; values in the padding are ignored.
        mask: True at real positions, at least one in each row, [batch, time].

    Returns:
        [batch, size].
    """
    real = mask.unsqueeze(-1)
    return outputs.masked_fill(~real, 0.0).sum(1) / real.sum(1)


def max_over_time(outputs: Tensor, mask: Tensor) -> Tensor:
    """The maximum over real positions, for each column separately; see `mean_over_time`."""
    return outputs.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)


class AttentionPooling(nn.Module):
    """The mean weighted by the learned importance of each position (Yang et al. 2016, eq. 5-7).

    u_t = tanh(W h_t + b);  alpha = softmax over t of u_t . context;  the text is the sum of alpha_t h_t.

    Args:
        size: width of the outputs, of u_t and of the context, which the paper calls u_w.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, size)
        self.context = nn.Parameter(torch.empty(size).normal_(std=size**-0.5))

    def weights(self, outputs: Tensor, mask: Tensor) -> Tensor:
        """alpha, [batch, time]: zero at padding, each row sums to one; see `mean_over_time`."""
        clean = outputs.masked_fill(~mask.unsqueeze(-1), 0.0)
        scores = torch.tanh(self.project(clean)) @ self.context
        return scores.masked_fill(~mask, -torch.inf).softmax(-1)

    def forward(self, outputs: Tensor, mask: Tensor) -> Tensor:
        """The weighted mean, [batch, size]; see `mean_over_time`."""
        weights = self.weights(outputs, mask).unsqueeze(1)
        # NaN in the padding stays NaN even with weight zero.
        clean = outputs.masked_fill(~mask.unsqueeze(-1), 0.0)
        return (weights.to(clean.dtype) @ clean).squeeze(1)
