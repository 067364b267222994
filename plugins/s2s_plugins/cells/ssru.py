"""Simpler simple recurrent unit."""

import torch
from torch import Tensor, nn

from s2s.nn import Noise, RecurrentCell, State, linear_recurrence


class SSRU(RecurrentCell):
    """Simpler simple recurrent unit (Kim et al. 2019): SRU without reset gate and highway, designed for decoders.

    ::

        forget = sigmoid(W_f x_t + b_f)
        c_t = forget * c_{t-1} + (1 - forget) * (W x_t)
        h_t = relu(c_t)

    Args:
        input_size: width of x.
        hidden_size: width of c and h.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)
        self.input_bias = None  # only the gate has a bias
        self.forget_bias = nn.Parameter(torch.zeros(hidden_size))

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W x_t and W_f x_t."""
        (c,) = state
        forget, candidate = self._gates(x)
        c = forget * c + (1 - forget) * candidate
        return c.relu(), (c,)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """All gates at once, then c_t as a linear recurrence."""
        forget, candidate = self._gates(self.project(x))
        memory, last = linear_recurrence(forget, (1 - forget) * candidate, mask, state[0])
        return memory.relu(), (last,)

    def _gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        candidate, x_forget = x.chunk(2, dim=-1)
        return (x_forget + self.forget_bias).sigmoid(), candidate
