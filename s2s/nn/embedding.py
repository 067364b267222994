"""From tokens to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from s2s.nn.sizes import check_size


class Embedding(nn.Module, ABC):
    """Turns tokens into vectors.

    Args:
        vocabulary_size: number of tokens.
        size: width of a vector.
    """

    def __init__(self, vocabulary_size: int, *, size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.size = check_size("size", size)

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """[...] of token ids to [..., size]."""

    def several(self, *tokens: Tensor) -> list[Tensor]:
        """Embed more than one thing, such as both sides of a model that share a table. The same as one by one."""
        return [self(some) for some in tokens]

    def table(self) -> nn.Parameter | None:
        """The parameter [vocabulary, size] that an output layer may share; None where there is none."""
        return None
