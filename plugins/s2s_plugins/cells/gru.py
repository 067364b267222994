"""Gated recurrent unit, in both published variants."""

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


class GRU(RecurrentCell):
    """GRU (Cho et al. 2014, eq. 5-8), or its cuDNN variant (Chetlur et al. 2014).

    ::

        reset  = sigmoid(W_r x_t + U_r h_{t-1} + b_r)
        update = sigmoid(W_z x_t + U_z h_{t-1} + b_z)
        candidate = tanh(W x_t + U (reset * h_{t-1}) + b)            reset_before: Cho et al.
        candidate = tanh(W x_t + b + reset * (U h_{t-1} + b_u))      otherwise: cuDNN, faster
        h_t = update * h_{t-1} + (1 - update) * candidate

    The matrices U start orthogonal (Saxe et al. 2014).

    Args:
        input_size: width of x.
        hidden_size: width of h.
        reset_before: apply the reset gate before the recurrent product, as published, instead of after it.
        recurrent_dropout: dropout on h inside the recurrent products, one mask per sequence (Gal & Ghahramani 2016).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, reset_before: bool = False, recurrent_dropout: float = 0.0
    ) -> None:
        super().__init__(input_size, hidden_size, projected_size=3 * hidden_size)
        self.reset_before = reset_before
        self.recurrent_dropout = recurrent_dropout
        self.recurrent_weight = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        orthogonal_blocks(self.recurrent_weight, hidden_size)
        self.candidate_bias = None if reset_before else nn.Parameter(torch.zeros(hidden_size))

    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """The equations above; x is W x_t + b."""
        (h,) = state
        size = self.hidden_size
        recurrent = h if noise is None else h * noise[0]
        if self.candidate_bias is None:
            x_gates, x_candidate = x.split([2 * size, size], dim=-1)
            gates = (x_gates + F.linear(recurrent, self.recurrent_weight[: 2 * size])).sigmoid()
            reset, update = gates.chunk(2, dim=-1)
            candidate = tanh(x_candidate + F.linear(reset * recurrent, self.recurrent_weight[2 * size :]))
        else:
            product = F.linear(recurrent, self.recurrent_weight)
            gates = (x[..., : 2 * size] + product[..., : 2 * size]).sigmoid()
            reset, update = gates.chunk(2, dim=-1)
            candidate = tanh(x[..., 2 * size :] + reset * (product[..., 2 * size :] + self.candidate_bias))
        h = candidate + update * (h - candidate)
        return h, (h,)

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State] | None:
        """Torch's own kernel for the cuDNN variant; right padding does not affect the outputs before it."""
        if noise is not None or self.candidate_bias is None:
            return None
        if self.input_weight is None or self.input_bias is None:
            return None
        recurrent_bias = F.pad(self.candidate_bias, (2 * self.hidden_size, 0))
        weights = [self.input_weight, self.recurrent_weight, self.input_bias, recurrent_bias]
        train = torch.is_grad_enabled()  # cuDNN gives gradients only for a run in training mode
        before = state[0].unsqueeze(0).to(x.dtype)
        outputs, _ = torch.gru(x, before, weights, True, 1, 0.0, train, False, True)
        return outputs, (last_output(outputs, mask.sum(1)).to(state[0].dtype),)

    def onnx_operator(self) -> OnnxOperator | None:
        """The ONNX operator GRU, whose gates are ordered differently: update, reset, candidate."""
        assert self.input_weight is not None and self.input_bias is not None

        def reordered(weight: Tensor) -> Tensor:
            reset, update, candidate = weight.chunk(3)
            return torch.cat([update, reset, candidate])

        inner = self.input_bias.new_zeros(self.hidden_size) if self.reset_before else self.candidate_bias
        assert inner is not None
        return OnnxOperator(
            "GRU",
            reordered(self.input_weight),
            reordered(self.recurrent_weight),
            torch.cat([reordered(self.input_bias), F.pad(inner, (2 * self.hidden_size, 0))]),
            attributes={"linear_before_reset": int(not self.reset_before)},
        )

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """One mask on h per sequence."""
        if not self.training or self.recurrent_dropout == 0:
            return None
        return (dropout_mask(like, (batch_size, self.hidden_size), self.recurrent_dropout),)
