"""Scaled dot-product attention with one head."""

import math

from torch import Tensor, nn

from s2s.nn import ScoredAttention, check_size


class ScaledDot(ScoredAttention):
    """Scaled dot product (Vaswani et al. 2017, eq. 1, one head): ``score = W_q query . W_k output / sqrt(size)``.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention_size: width of projected query and keys; query_size if none is given.
    """

    def __init__(self, query_size: int, memory_size: int, *, attention_size: int | None = None) -> None:
        super().__init__(query_size, memory_size)
        size = query_size if attention_size is None else check_size("attention_size", attention_size)
        self.query_layer = nn.Linear(query_size, size, bias=False)
        self.key_layer = nn.Linear(memory_size, size, bias=False)
        self.scale = 1.0 / math.sqrt(size)

    def keys(self, outputs: Tensor) -> Tensor:
        """``W_k output / sqrt(size)``."""
        keys: Tensor = self.key_layer(outputs) * self.scale
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """``W_q query . key``."""
        scores: Tensor = self.query_layer(query) @ keys.transpose(1, 2)
        return scores
