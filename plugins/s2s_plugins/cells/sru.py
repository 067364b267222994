"""Simple recurrent unit."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Noise, RecurrentCell, State, last_output


class SRU(RecurrentCell):
    """Simple recurrent unit (Lei et al. 2018, eq. 1-4, the highway scaled as in section 3.2).

    ::

        forget = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)
        c_t = forget * c_{t-1} + (1 - forget) * (W x_t)
        reset = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)
        h_t = reset * c_t + (1 - reset) * alpha * x_t,    alpha = sqrt(1 + 2 exp(initial b_r))

    No matrix multiplies the state: matrix products are computed for all time steps at once, and the loop over time is
    elementwise. If input and hidden size differ, W_s x_t replaces alpha * x_t; W_s starts alpha times as large.

    W starts uniform with variance 1 / input_size (section 3.2); W_f, W_r and v_f, v_r start with half that variance,
    because each gate is a sum of two terms.

    Args:
        input_size: width of x.
        hidden_size: width of c and h.
        highway_bias: initial b_r; below 0, more of x_t is passed through the highway.
    """

    def __init__(self, input_size: int, hidden_size: int, *, highway_bias: float = 0.0) -> None:
        blocks = 3 if input_size == hidden_size else 4  # candidate, forget, reset, highway
        super().__init__(input_size, hidden_size, projected_size=blocks * hidden_size)
        self.input_bias = None  # only the gates have biases
        self.highway_scale = math.sqrt(1 + 2 * math.exp(highway_bias))
        assert self.input_weight is not None
        bound = (3 / input_size) ** 0.5  # the variance of a uniform distribution is bound^2 / 3
        nn.init.uniform_(self.input_weight, -bound, bound)
        self.input_weight.data[hidden_size : 3 * hidden_size] *= 0.5**0.5
        self.input_weight.data[3 * hidden_size :] *= self.highway_scale
        self.gate_weight = nn.Parameter(torch.empty(2, hidden_size).uniform_(-(1.5**0.5), 1.5**0.5))
        self.gate_bias = nn.Parameter(torch.zeros(2, hidden_size))
        self.gate_bias.data[1] = highway_bias  # rows: forget, reset

    def project(self, x: Tensor) -> Tensor:
        """W x_t, W_f x_t, W_r x_t and the highway's term, [..., 4 * hidden]."""
        return self.project_part(x, 0)

    def project_part(self, x: Tensor, start: int) -> Tensor:
        """The contributions of some columns of x_t to each of them."""
        assert self.input_weight is not None
        stop = start + x.size(-1)
        products = F.linear(x, self.input_weight[:, start:stop])
        if self.input_size != self.hidden_size:
            return products
        highway = self.highway_scale * F.pad(x, (start, self.input_size - stop))
        return torch.cat([products, highway], dim=-1)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is the output of `project`."""
        (c,) = state
        candidate, x_forget, x_reset, highway = x.chunk(4, dim=-1)
        forget = (x_forget + self.gate_weight[0] * c + self.gate_bias[0]).sigmoid()
        reset = (x_reset + self.gate_weight[1] * c + self.gate_bias[1]).sigmoid()
        c = forget * c + (1 - forget) * candidate
        return reset * c + (1 - reset) * highway, (c,)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Only c_t is computed in a loop; each row's last real one is kept, which right padding does not affect."""
        (c,) = state
        candidate, x_forget, x_reset, highway = self.project(x).chunk(4, dim=-1)
        forget_weight, x_forget = self.gate_weight[0], x_forget + self.gate_bias[0]
        states = [c]
        for new, to_forget in zip(candidate.unbind(1), x_forget.unbind(1), strict=True):
            forget = (to_forget + forget_weight * c).sigmoid()
            c = new + forget * (c - new)
            states.append(c)
        before, after = torch.stack(states[:-1], dim=1), torch.stack(states[1:], dim=1)
        reset = (x_reset + self.gate_weight[1] * before + self.gate_bias[1]).sigmoid()
        return highway + reset * (after - highway), (last_output(after, mask.sum(1)),)
