"""LSTM whose gates also read the memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Noise, OnnxOperator, RecurrentCell, State, orthogonal_blocks, tanh
from s2s_plugins.cells.lstm import onnx_lstm


class PeepholeLSTM(RecurrentCell):
    """LSTM with peephole connections (Gers & Schmidhuber 2000), in the form of Graves 2013, eq. 7-11.

    ::

        input  = sigmoid(W_xi x_t + W_hi h_{t-1} + w_ci * c_{t-1} + b_i)
        forget = sigmoid(W_xf x_t + W_hf h_{t-1} + w_cf * c_{t-1} + b_f)
        c_t = forget * c_{t-1} + input * tanh(W_xc x_t + W_hc h_{t-1} + b_c)
        output = sigmoid(W_xo x_t + W_ho h_{t-1} + w_co * c_t + b_o)
        h_t = output * tanh(c_t)

    The peepholes w_c are diagonal, and start at 0, so that training starts from an LSTM. W_h starts orthogonal, gate by
    gate.

    Args:
        input_size: width of x.
        hidden_size: width of h and c.
        forget_bias: initial bias of the forget gate (Jozefowicz et al. 2015).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, projected_size=4 * hidden_size)
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)
        self.peephole_weight = nn.Parameter(torch.zeros(3, hidden_size))  # input, forget, output
        assert self.input_bias is not None
        self.input_bias.data[hidden_size : 2 * hidden_size] = (
            forget_bias  # blocks: input, forget, candidate, output
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Hidden state h and memory c."""
        return (self.hidden_size, self.hidden_size)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W_x x_t + b."""
        hidden, memory = state
        gates = x + F.linear(hidden, self.recurrent_weight)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        to_input, to_forget, to_output = self.peephole_weight
        input_gate = (input_gate + to_input * memory).sigmoid()
        forget_gate = (forget_gate + to_forget * memory).sigmoid()
        memory = forget_gate * memory + input_gate * tanh(candidate)
        hidden = (output_gate + to_output * memory).sigmoid() * tanh(memory)
        return hidden, (hidden, memory)

    def onnx_operator(self) -> OnnxOperator | None:
        """The ONNX operator LSTM, with peepholes."""
        assert self.input_weight is not None and self.input_bias is not None
        return onnx_lstm(self.input_weight, self.recurrent_weight, self.input_bias, self.peephole_weight)
