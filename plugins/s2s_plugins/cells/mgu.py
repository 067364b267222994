"""Minimal gated unit."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Noise, RecurrentCell, State, orthogonal_blocks, tanh


class MGU(RecurrentCell):
    """Minimal gated unit (Zhou et al. 2016): the GRU with one gate that both forgets and resets.

    ::

        forget = sigmoid(W_f [h_{t-1}, x_t] + b_f)
        candidate = tanh(W_h [forget * h_{t-1}, x_t] + b_h)
        h_t = (1 - forget) * h_{t-1} + forget * candidate

    The halves of W_f and W_h that multiply h start orthogonal (Saxe et al. 2014).

    Args:
        input_size: width of x.
        hidden_size: width of h.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)
        self.recurrent_weight = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is the products of x_t with its halves of W_f and W_h, plus the biases."""
        (h,) = state
        x_forget, x_candidate = x.chunk(2, dim=-1)
        forget = (x_forget + F.linear(h, self.recurrent_weight[: self.hidden_size])).sigmoid()
        candidate = tanh(x_candidate + F.linear(forget * h, self.recurrent_weight[self.hidden_size :]))
        h = h + forget * (candidate - h)
        return h, (h,)
