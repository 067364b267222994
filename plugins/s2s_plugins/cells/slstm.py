"""LSTM with exponential gates."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn import Noise, RecurrentCell, State, orthogonal_blocks, tanh

NOTHING = -1e4
"""Stands for the logarithm of a normalizer of 0; finite, so that it can be carried, added and multiplied by 0."""


class SLSTM(RecurrentCell):
    """sLSTM, the LSTM of xLSTM with scalar memory (Beck et al. 2024, eq. 8-17).

    ::

        z_t = tanh(W_z x_t + R_z h_{t-1} + b_z)
        i_t = exp(W_i x_t + R_i h_{t-1} + b_i)
        f_t = sigmoid(W_f x_t + R_f h_{t-1} + b_f),  or exp
        o_t = sigmoid(W_o x_t + R_o h_{t-1} + b_o)
        c_t = f_t * c_{t-1} + i_t * z_t                        cell state
        n_t = f_t * n_{t-1} + i_t                              normalizer state
        h_t = o_t * c_t / n_t

    c_t and n_t grow exponentially, and only their quotient is used. So the state holds h_t, c_t / n_t and log n_t::

        log n_t = logaddexp(log f_t + log n_{t-1}, log i_t)
        keep = f_t n_{t-1} / n_t = sigmoid(log f_t + log n_{t-1} - log i_t)
        c_t / n_t = keep * c_{t-1} / n_{t-1} + (1 - keep) * z_t

    This gives the paper's values without its stabilizer state m_t = max(log f_t + m_{t-1}, log i_t), which logaddexp
    handles internally; and any values are a valid state, including those that a bridge produces. c_0 = n_0 = 0.

    The heads are independent: R is block-diagonal (section 2.2). R starts orthogonal, block by block.

    Args:
        input_size: width of x.
        hidden_size: width of h, c and n.
        heads: number of blocks of R; must divide hidden_size.
        forget_gate: activation function of f_t.
        forget_bias: initial b_f.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        forget_gate: Literal["sigmoid", "exponential"] = "sigmoid",
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(input_size, hidden_size, projected_size=4 * hidden_size)
        if heads < 1 or hidden_size % heads:
            raise ConfigError(
                f"heads {heads} do not divide hidden_size {hidden_size}; take one of its divisors"
            )
        self.heads = heads
        self.forget_gate = forget_gate
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size // heads))
        orthogonal_blocks(self.recurrent_weight, hidden_size // heads)
        assert self.input_bias is not None
        self.input_bias.data.view(heads, 4, -1)[:, 2] = forget_bias  # head by head: z, i, f, o

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h, c / n and log n."""
        return (self.hidden_size, self.hidden_size, self.hidden_size)

    def initial_state(self, batch_size: int, *, like: Tensor) -> State:
        """Zeros; the normalizer is 0, so its logarithm is `NOTHING`."""
        hidden, content, log_normalizer = super().initial_state(batch_size, like=like)
        return hidden, content, torch.full_like(log_normalizer, NOTHING)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W x_t + b."""
        hidden, content, log_normalizer = state
        rows = 4 * self.hidden_size // self.heads
        recurrent = [
            F.linear(part, self.recurrent_weight[head * rows : (head + 1) * rows])
            for head, part in enumerate(hidden.chunk(self.heads, dim=-1))
        ]
        sums = (x + torch.cat(recurrent, dim=-1)).view(-1, self.heads, 4, rows // 4)
        candidate, log_input, forget, output = (gate.flatten(1) for gate in sums.unbind(-2))
        log_forget = F.logsigmoid(forget) if self.forget_gate == "sigmoid" else forget
        log_kept = log_forget + log_normalizer
        keep = (log_kept - log_input).sigmoid()
        content = keep * content + (1 - keep) * tanh(candidate)
        hidden = output.sigmoid() * content
        return hidden, (hidden, content, torch.logaddexp(log_kept, log_input))
