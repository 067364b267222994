"""Independently recurrent neural network."""

from typing import Literal

import torch
from torch import Tensor, nn

from s2s.nn import Noise, RecurrentCell, State


class IndRNN(RecurrentCell):
    """Independently recurrent network (Li et al. 2018): ``h_t = f(W x_t + u * h_{t-1} + b)``.

    Each unit depends only on its own past, so the loop over time has no matrix product. Backpropagation through n steps
    scales a gradient by u^n (section 3.1): u starts uniform in [0, 1], where gradients cannot explode.

    Args:
        input_size: width of x.
        hidden_size: width of h.
        activation: f, relu or tanh.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, activation: Literal["relu", "tanh"] = "relu"
    ) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.activation = activation
        self.recurrent_weight = nn.Parameter(torch.rand(hidden_size))

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """``h = f(x + u * h)``; x is W x_t + b."""
        (h,) = state
        total = x + self.recurrent_weight * h
        h = total.relu() if self.activation == "relu" else total.tanh()
        return h, (h,)
