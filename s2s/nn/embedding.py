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
        """Embed token ids, [...] to [..., size]."""

    def several(self, *tokens: Tensor) -> list[Tensor]:
        """Embed several tensors, such as both sides of a model that share a table; same result as one by one."""
        return [self(some) for some in tokens]

    def begin_with(self, tokens: Sequence[str]) -> str | None:
        """Called once, before a new model is trained, so that an embedding can load pretrained vectors.

        Args:
            tokens: of the vocabulary, in the order of their ids, as the tokenizer shows them.

        Returns:
            A message for the user, or None.
        """
        return None

    def table(self) -> nn.Parameter | None:
        """The parameter [vocabulary, size] that an output layer may share; None where there is none."""
        return None
