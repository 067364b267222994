"""Long short-term memory."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import (
    Noise,
    OnnxOperator,
    RecurrentCell,
    State,
    dropout_mask,
    last_output,
    orthogonal_blocks,
    tanh,
)

SATURATED = 1e4
"""A pre-activation whose sigmoid is exactly 1 (or, negated, 0) in every floating-point type; finite in float16."""

TILE = 32
"""The input is padded to a multiple of this width. In bfloat16 oneDNN took 4.4 times as long for 513 columns as for
512 or 544 (forward; 2.0 times with backward)."""


class LSTMState(NamedTuple):
    """Hidden state h and memory c, each [batch, hidden]."""

    hidden: Tensor
    memory: Tensor


class LSTM(RecurrentCell):
    """LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    ::

        input, forget, output = sigmoid(W x_t + U h_{t-1} + b)      (a block of W, U and b each)
        candidate = tanh(W x_t + U h_{t-1} + b)
        c_t = forget * c_{t-1} + input * candidate
        h_t = output * tanh(c_t)

    U starts orthogonal, gate by gate (Saxe et al. 2014), the forget gate's bias at 1 (Jozefowicz et al. 2015).

    Args:
        input_size: width of x.
        hidden_size: width of h and c.
        forget_bias: initial bias of the forget gate.
        recurrent_dropout: dropout on h inside the recurrence, one mask per sequence (Gal & Ghahramani 2016).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0, recurrent_dropout: float = 0.0
    ) -> None:
        super().__init__(input_size, hidden_size, projected_size=4 * hidden_size)
        self.recurrent_dropout = recurrent_dropout
        self.recurrent_weight = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)
        assert self.input_bias is not None
        self.input_bias.data[hidden_size : 2 * hidden_size] = (
            forget_bias  # blocks: input, forget, candidate, output
        )

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Hidden state and memory."""
        return (self.hidden_size, self.hidden_size)

    def initial_state(self, batch_size: int, *, like: Tensor) -> State:
        """Zeros."""
        return LSTMState(*super().initial_state(batch_size, like=like))

    def state_from(self, features: Tensor) -> State:
        """Hidden state and memory from their halves of [batch, 2 * hidden]."""
        return LSTMState(*super().state_from(features))

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W x_t + b."""
        hidden, memory = state
        recurrent = hidden if noise is None else hidden * noise[0]
        gates = x + F.linear(recurrent, self.recurrent_weight)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        memory = forget_gate.sigmoid() * memory + input_gate.sigmoid() * tanh(candidate)
        hidden = output_gate.sigmoid() * tanh(memory)
        return hidden, LSTMState(hidden, memory)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State] | None:
        """Torch's own kernel, which also runs over padding.

        An extra input column (plus zero columns, see `TILE`) marks padding and saturates two gates there (input 0,
        forget 1), so that the memory does not change; the final hidden state is read from the outputs.
        """
        if noise is not None or self.input_weight is None or self.input_bias is None:
            return None
        size, device = self.hidden_size, x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        more = TILE - self.input_size % TILE
        columns = x.new_zeros(4 * size, more)
        columns[:size, 0] = -SATURATED
        columns[size : 2 * size, 0] = SATURATED
        padding = F.pad((~mask).t().unsqueeze(-1).to(x.dtype), (0, more - 1))
        weights = [
            _beside(self.input_weight, columns, dtype),
            self.recurrent_weight.to(dtype),
            self.input_bias.to(dtype),
            self.input_bias.new_zeros(4 * size, dtype=dtype),
        ]
        before = [leaf.unsqueeze(0).to(dtype) for leaf in state]
        train = torch.is_grad_enabled()  # cuDNN gives gradients only for a run in training mode
        inputs = _beside(x.transpose(0, 1), padding, dtype)  # time first, the library's own layout
        outputs, _, memory = torch.lstm(inputs, before, weights, True, 1, 0.0, train, False, False)
        outputs = outputs.transpose(0, 1)
        hidden = last_output(outputs, mask.sum(1))
        return outputs, LSTMState(hidden.to(state[0].dtype), memory.squeeze(0).to(state[1].dtype))

    def onnx_operator(self) -> OnnxOperator | None:
        """The ONNX operator LSTM, whose gates are ordered differently: input, output, forget, candidate."""
        assert self.input_weight is not None and self.input_bias is not None
        return onnx_lstm(self.input_weight, self.recurrent_weight, self.input_bias)

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """One mask on h per sequence."""
        if not self.training or self.recurrent_dropout == 0:
            return None
        return (dropout_mask(like, (batch_size, self.hidden_size), self.recurrent_dropout),)


def onnx_lstm(
    input_weight: Tensor, recurrent_weight: Tensor, bias: Tensor, peepholes: Tensor | None = None
) -> OnnxOperator:
    """The ONNX operator LSTM for weights whose blocks are input, forget, candidate, output.

    Args:
        input_weight: [4 * hidden, input].
        recurrent_weight: [4 * hidden, hidden].
        bias: [4 * hidden].
        peepholes: weights of the input, forget and output gates, [3, hidden].
    """

    def reordered(weight: Tensor) -> Tensor:
        blocks = weight.chunk(4)
        return torch.cat([blocks[place] for place in (0, 3, 1, 2)])

    return OnnxOperator(
        "LSTM",
        reordered(input_weight),
        reordered(recurrent_weight),
        torch.cat([reordered(bias), torch.zeros_like(bias)]),
        None if peepholes is None else torch.cat([peepholes[0], peepholes[2], peepholes[1]]),
    )


def _beside(x: Tensor, columns: Tensor, dtype: torch.dtype) -> Tensor:
    """Concatenate `x` [..., width] and constant columns [..., more], cast to `dtype`."""
    wide: Tensor = _Beside.apply(x, columns, dtype)  # type: ignore[no-untyped-call]
    return wide


class _Beside(torch.autograd.Function):
    """Concatenation and cast in one pass, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, columns: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.width, ctx.dtype = x.size(-1), x.dtype
        wide = x.new_empty(*x.shape[:-1], ctx.width + columns.size(-1), dtype=dtype)
        wide[..., : ctx.width] = x
        wide[..., ctx.width :] = columns
        return wide

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        own = gradient.new_empty(*gradient.shape[:-1], ctx.width, dtype=ctx.dtype)
        return own.copy_(gradient[..., : ctx.width]), None, None
