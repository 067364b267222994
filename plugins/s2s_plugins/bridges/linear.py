"""An affine bridge."""

from typing import Literal

import torch
from torch import Tensor, nn

from s2s.nn import Bridge


class LinearBridge(Bridge):
    """``decoder features = f(W encoder features + b)``: every part of the one state feeds every part of the other.

    Args:
        encoder_features: width of the encoder's features.
        decoder_features: width of the decoder's features.
        activation: f; tanh is Bahdanau et al. 2015, appendix A.2.2.
    """

    def __init__(
        self, encoder_features: int, decoder_features: int, *, activation: Literal["none", "tanh"] = "tanh"
    ) -> None:
        super().__init__(encoder_features, decoder_features)
        self.layer = nn.Linear(encoder_features, decoder_features)
        self.activation = activation
        nn.init.xavier_uniform_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """[batch, encoder_features] to [batch, decoder_features]."""
        mapped: Tensor = self.layer(features)
        return torch.tanh(mapped) if self.activation == "tanh" else mapped
