"""The coverage loss: a penalty for attending repeatedly to the same source positions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def coverage_loss(weights: Tensor, mask: Tensor) -> Tensor:
    """Sum over target and source of ``min(a_i^t, c_i^t)``, c the sum of the weights before t (See et al. 2017, eq. 12).

    Args:
        weights: attention weights, zero at padding of the source, [batch, target, source].
        mask: True at real target positions, [batch, target].
    """
    weights = weights.masked_fill(~mask.unsqueeze(-1), 0.0)
    covered = F.pad(weights, (0, 0, 1, 0))[:, :-1].cumsum(1)
    return torch.minimum(weights, covered).sum()
