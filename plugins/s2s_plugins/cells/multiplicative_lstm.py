"""LSTM whose state transition depends on the input."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Noise, RecurrentCell, State, orthogonal_blocks, tanh


class MultiplicativeLSTM(RecurrentCell):
    """Multiplicative LSTM, mLSTM (Krause et al. 2016, section 3).

    ::

        m_t = (W_mx x_t) * (W_mh h_{t-1})
        candidate = W_hx x_t + W_hm m_t + b_h
        input  = sigmoid(W_ix x_t + W_im m_t + b_i)
        output = sigmoid(W_ox x_t + W_om m_t + b_o)
        forget = sigmoid(W_fx x_t + W_fm m_t + b_f)
        c_t = forget * c_{t-1} + input * tanh(candidate)
        h_t = output * tanh(c_t)

    Through m_t, the input decides how the hidden state affects the gates. The paper has no biases; those of the gates
    are the usual addition. The matrices that multiply h and m start orthogonal, block by block.

    Args:
        input_size: width of x.
        hidden_size: width of h, m and c.
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=5 * hidden_size)
        self.input_bias = None  # W_mx x_t has no bias; the gates' biases are added with W m_t
        self.intermediate_weight = nn.Parameter(torch.empty(hidden_size, hidden_size))
        orthogonal_blocks(self.intermediate_weight, hidden_size)
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        self.bias.data[hidden_size : 2 * hidden_size] = (
            forget_bias  # blocks: input, forget, candidate, output
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Hidden state h and memory c."""
        return (self.hidden_size, self.hidden_size)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is the W_x x_t of the gates, followed by W_mx x_t."""
        hidden, memory = state
        x_gates, x_intermediate = x.split([4 * self.hidden_size, self.hidden_size], dim=-1)
        intermediate = x_intermediate * F.linear(hidden, self.intermediate_weight)
        gates = x_gates + F.linear(intermediate, self.recurrent_weight, self.bias)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        memory = forget_gate.sigmoid() * memory + input_gate.sigmoid() * tanh(candidate)
        hidden = output_gate.sigmoid() * tanh(memory)
        return hidden, (hidden, memory)
