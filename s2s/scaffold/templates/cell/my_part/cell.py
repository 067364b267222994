"""A recurrent cell with one gate."""

import torch
from s2s.nn import Noise, RecurrentCell, State, orthogonal_blocks
from torch import Tensor, nn
from torch.nn import functional as F


class MyPart(RecurrentCell):
    """Update-gate network (UGRNN, Collins et al. 2017).

    ::

        candidate = tanh(W x_t + U h_{t-1} + b)
        update = sigmoid(W_g x_t + U_g h_{t-1} + b_g)
        h_t = update * h_{t-1} + (1 - update) * candidate

    Args:
        input_size: width of x.
        hidden_size: width of h.
        update_bias: initial b_g; above 0, the state is mostly kept at first.
    """

    # Every option needs a type, a default and a line above: configurations are made of them.
    def __init__(self, input_size: int, hidden_size: int, *, update_bias: float = 1.0) -> None:
        # s2s owns W, W_g, b and b_g: W x_t + b is computed for all time steps at once.
        super().__init__(input_size, hidden_size, projected_size=2 * hidden_size)
        assert self.input_bias is not None
        self.input_bias.data[hidden_size:] = update_bias
        self.recurrent_weight = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)

    # A cell with more in its state (an LSTM's memory) declares it in `state_sizes`.
    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W x_t + b, [batch, 2 * hidden]."""
        (h,) = state
        candidate, update = (x + F.linear(h, self.recurrent_weight)).chunk(2, dim=-1)
        candidate, update = candidate.tanh(), update.sigmoid()
        h = update * h + (1 - update) * candidate
        return h, (h,)
