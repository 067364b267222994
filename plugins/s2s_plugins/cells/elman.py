"""The simple recurrent network."""

from typing import Literal

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


class Elman(RecurrentCell):
    """Elman network (Elman 1990): ``h_t = f(W x_t + U h_{t-1} + b)``.

    U starts as an orthogonal matrix (Saxe et al. 2014), or with relu as the identity (Le et al. 2015).

    Args:
        input_size: width of x.
        hidden_size: width of h.
        activation: f, tanh or relu.
        recurrent_dropout: dropout on h inside the recurrence, one mask per sequence (Gal & Ghahramani 2016).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Literal["tanh", "relu"] = "tanh",
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, projected_size=hidden_size)
        self.activation = activation
        self.recurrent_dropout = recurrent_dropout
        self.recurrent_weight = nn.Parameter(torch.empty(hidden_size, hidden_size))
        if activation == "relu":
            nn.init.eye_(self.recurrent_weight)
        else:
            orthogonal_blocks(self.recurrent_weight, hidden_size)

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """``h = f(x + U h)``; x is W x_t + b."""
        (h,) = state
        recurrent = h if noise is None else h * noise[0]
        total = x + F.linear(recurrent, self.recurrent_weight)
        h = tanh(total) if self.activation == "tanh" else total.relu()
        return h, (h,)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State] | None:
        """Torch's own kernel; the final state is read from the outputs, which right padding does not affect."""
        if noise is not None or self.input_weight is None or self.input_bias is None:
            return None
        run = torch.rnn_tanh if self.activation == "tanh" else torch.rnn_relu
        weights = [
            self.input_weight,
            self.recurrent_weight,
            self.input_bias,
            torch.zeros_like(self.input_bias),
        ]
        before = state[0].unsqueeze(0).to(x.dtype)
        train = torch.is_grad_enabled()  # cuDNN gives gradients only for a run in training mode
        outputs, _ = run(x, before, weights, True, 1, 0.0, train, False, True)
        return outputs, (last_output(outputs, mask.sum(1)).to(state[0].dtype),)

    def onnx_operator(self) -> OnnxOperator | None:
        """The ONNX operator RNN."""
        assert self.input_weight is not None and self.input_bias is not None
        bias = torch.cat([self.input_bias, torch.zeros_like(self.input_bias)])
        activation = {"tanh": "Tanh", "relu": "Relu"}[self.activation]
        return OnnxOperator(
            "RNN", self.input_weight, self.recurrent_weight, bias, attributes={"activations": [activation]}
        )

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """One mask on h per sequence."""
        if not self.training or self.recurrent_dropout == 0:
            return None
        return (dropout_mask(like, (batch_size, self.hidden_size), self.recurrent_dropout),)
