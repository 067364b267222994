"""From tokens to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

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

    def begin_with(self, tokens: Sequence[str]) -> str | None:
        """Called once, before a new model is trained: here an embedding may take over what others have learnt.

        Args:
            tokens: of the vocabulary, in the order of their ids, as the tokenizer shows them.

        Returns:
            what a person should know of it.
        """
        return None

    def table(self) -> nn.Parameter | None:
        """The parameter [vocabulary, size] that an output layer may share; None where there is none."""
        return None
