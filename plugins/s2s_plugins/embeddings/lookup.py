"""Embedding by table lookup."""

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
        return self._drop(F.embedding(tokens, self.weight))

    def several(self, *tokens: Tensor) -> list[Tensor]:
        """One lookup for all, so that the gradient, as large as the table, is computed once and not for each."""
        flat = F.embedding(torch.cat([some.flatten() for some in tokens]), self.weight)
        parts = flat.split([some.numel() for some in tokens])
        return [self._drop(part.view(*some.shape, -1)) for part, some in zip(parts, tokens, strict=True)]

    def _drop(self, vectors: Tensor) -> Tensor:
        vectors = self.dropout(vectors)
        if self.training and self.token_dropout > 0:
            kept = torch.rand(vectors.shape[:-1], device=vectors.device) >= self.token_dropout
            vectors = vectors * kept.unsqueeze(-1)
        return vectors

    def table(self) -> nn.Parameter | None:
        """The table."""
        return self.weight
