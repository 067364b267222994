"""LSTM with layer normalization."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Noise, RecurrentCell, State, orthogonal_blocks, tanh


class LayerNormLSTM(RecurrentCell):
    """LSTM with layer normalization (Ba et al. 2016, appendix, eq. 15-16 and 20-22).

    ::

        input, forget, candidate, output = LN(W_h h_{t-1}; alpha_1, beta_1) + LN(W_x x_t; alpha_2, beta_2) + b
        c_t = sigmoid(forget) * c_{t-1} + sigmoid(input) * tanh(candidate)
        h_t = sigmoid(output) * tanh(LN(c_t; alpha_3, beta_3))
        LN(z; alpha, beta) = alpha * (z - mean(z)) / sqrt(variance(z) + 1e-5) + beta

    The first two LN normalize all four gates together. Only the sum of beta_1, beta_2 and b matters, so it is one
    parameter here, b. Gains alpha start at 1, biases at 0 except the forget gate's; W_h starts orthogonal, gate by
    gate. The 1e-5, which is not in the paper, keeps LN(0) finite.

    Args:
        input_size: width of x.
        hidden_size: width of h and c.
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=4 * hidden_size)
        self.input_bias = None  # it would be inside the LN, which would partly cancel it
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)
        self.recurrent_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.input_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.memory_gain = nn.Parameter(torch.ones(hidden_size))
        self.memory_bias = nn.Parameter(torch.zeros(hidden_size))
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        self.bias.data[hidden_size : 2 * hidden_size] = (
            forget_bias  # blocks: input, forget, candidate, output
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Hidden state h and memory c."""
        return (self.hidden_size, self.hidden_size)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W_x x_t."""
        hidden, memory = state
        product = F.linear(hidden, self.recurrent_weight)
        gates = F.layer_norm(product, product.shape[-1:], self.recurrent_gain, self.bias)
        gates = gates + F.layer_norm(x, x.shape[-1:], self.input_gain)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        memory = forget_gate.sigmoid() * memory + input_gate.sigmoid() * tanh(candidate)
        normalized = F.layer_norm(memory, memory.shape[-1:], self.memory_gain, self.memory_bias)
        hidden = output_gate.sigmoid() * tanh(normalized)
        return hidden, (hidden, memory)
