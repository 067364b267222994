"""The bridge from the encoder's state to the decoder's first state."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Bridge(nn.Module, ABC):
    """Maps the features of the encoder's state to those of the decoder's first state.

    Args:
        encoder_features: width of the encoder's features.
        decoder_features: width of the decoder's features.
    """

    def __init__(self, encoder_features: int, decoder_features: int) -> None:
        super().__init__()
        self.encoder_features = encoder_features
        self.decoder_features = decoder_features

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Map [batch, encoder_features] to [batch, decoder_features]."""
