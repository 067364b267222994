"""Attention within a window around a predicted position."""

import math

import torch
from torch import Tensor, nn

from s2s.nn import ScoredMemory, check_size
from s2s_plugins.attention.luong import LuongGeneral


class LocalP(LuongGeneral):
    """Local attention with predictive alignment, local-p (Luong et al. 2015, section 3.2, eq. 9-10), general score.

    ::

        p = S sigmoid(v_p . tanh(W_p query))                                        the predicted position, eq. 9
        weight_s = softmax(score_s) exp(-(s - p)^2 / (2 sigma^2)) / their sum       sigma = window / 2, eq. 10
                   for positions s = 1 ... S with |s - p| <= window; zero elsewhere

    The paper does not divide by the sum: its weights sum to a value between exp(-2) and 1. Here they are a distribution
    as in every attention, which copying heads, alignments and coverage penalties rely on. The weights are thus the
    softmax of ``score_s - (s - p)^2 / (2 sigma^2)`` within the window.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        window: D, number of positions attended to on each side of p.
    """

    def __init__(self, query_size: int, memory_size: int, *, window: int = 10) -> None:
        super().__init__(query_size, memory_size)
        # With D >= 1 and positions counted from 1, no window is ever empty, as 0 <= p <= S.
        self.window = check_size("window", window)
        self.position_layer = nn.Linear(query_size, query_size, bias=False)
        self.position_vector = nn.Parameter(torch.empty(query_size).uniform_(-1, 1) / math.sqrt(query_size))

    def positions(self, queries: Tensor, lengths: Tensor) -> Tensor:
        """The predicted positions p, counted from 1, [batch, time].

        Args:
            queries: [batch, time, hidden].
            lengths: number of real source positions, [batch].
        """
        hidden = torch.tanh(self.position_layer(queries))
        share = torch.sigmoid((hidden @ self.position_vector.to(hidden.dtype)).to(self.position_vector.dtype))
        return lengths.unsqueeze(1) * share

    def masked_scores(self, queries: Tensor, memory: ScoredMemory) -> Tensor:
        """The logarithm of eq. 10 up to a constant; -inf outside the window."""
        place = torch.arange(1, memory.mask.size(1) + 1, device=queries.device)
        distance = (place - self.positions(queries, memory.mask.sum(1)).unsqueeze(-1)) / self.window
        scores = super().masked_scores(queries, memory) - 2.0 * distance.square()
        return scores.masked_fill(distance.abs() > 1.0, float("-inf"))
