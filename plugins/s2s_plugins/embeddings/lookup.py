"""Embedding by table."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Embedding, SequenceDropout, check_rate


class LookupEmbedding(Embedding):
    """A table with one vector per token.

    Args:
        vocabulary_size: number of tokens.
        size: width of a vector.
        dropout: dropout on the vectors.
        variational: one dropout mask per sentence instead of one per token (Gal & Ghahramani 2016).
        token_dropout: probability that a whole token is zeroed in training.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        size: int = 512,
        dropout: float = 0.0,
        variational: bool = False,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__(vocabulary_size, size=size)
        self.weight = nn.Parameter(torch.empty(vocabulary_size, size).normal_(std=0.1))
        self.dropout = SequenceDropout(dropout, variational=variational)
        self.token_dropout = check_rate(token_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """[...] to [..., size]."""
        vectors: Tensor = self.dropout(F.embedding(tokens, self.weight))
        if self.training and self.token_dropout > 0:
            kept = torch.rand(tokens.shape, device=tokens.device) >= self.token_dropout
            vectors = vectors * kept.unsqueeze(-1)
        return vectors

    def table(self) -> nn.Parameter | None:
        """The table."""
        return self.weight
