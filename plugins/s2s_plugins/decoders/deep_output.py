"""The deep output of a decoder: a layer between state and softmax that also reads token and context."""

from typing import Literal

import torch
from torch import Tensor, nn


class DeepOutput(nn.Module):
    """``f(U_o state + V_o token + C_o context + b)`` (after Pascanu et al. 2014).

    Args:
        state_size: width of the decoder's state.
        input_size: width of the embedded token.
        context_size: width of attention's context; 0: there is none.
        size: width of the output.
        activation: f; maxout takes the larger one of each pair of 2 * `size` sums (Goodfellow et al. 2013).
    """

    def __init__(
        self,
        state_size: int,
        input_size: int,
        context_size: int,
        size: int,
        *,
        activation: Literal["tanh", "maxout"],
    ) -> None:
        super().__init__()
        self.size = size
        self.activation = activation
        self.sums = 2 * size if activation == "maxout" else size
        self.state_layer = nn.Linear(state_size, self.sums)
        self.token_layer = nn.Linear(input_size, self.sums, bias=False)
        self.context_layer = nn.Linear(context_size, self.sums, bias=False) if context_size else None

    def forward(self, state: Tensor, tokens: Tensor, context: Tensor | None) -> Tensor:
        """The output, [..., size].

        Args:
            state: [..., state].
            tokens: output of `token_layer` for the embedded tokens, [..., sums].
            context: [..., context].
        """
        sums = self.state_layer(state) + tokens
        if self.context_layer is not None:
            sums = sums + self.context_layer(context)
        return torch.tanh(sums) if self.activation == "tanh" else sums.unflatten(-1, (-1, 2)).amax(-1)
