"""Additive attention."""

import math

import torch
from torch import Tensor, nn

from s2s.nn import AdditiveScore, ScoredAttention, check_size


class Bahdanau(AdditiveScore, ScoredAttention):
    """Additive attention (Bahdanau et al. 2015, appendix A.1.2): ``score = v . tanh(W_a query + U_a output + b)``.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        attention_size: width of the hidden layer; query_size if none is given.
    """

    def __init__(self, query_size: int, memory_size: int, *, attention_size: int | None = None) -> None:
        super().__init__(query_size, memory_size)
        size = query_size if attention_size is None else check_size("attention_size", attention_size)
        self.query_layer = nn.Linear(query_size, size, bias=False)
        self.key_layer = nn.Linear(memory_size, size)
        self.vector = nn.Parameter(torch.empty(size).uniform_(-1, 1) / math.sqrt(size))

    def keys(self, outputs: Tensor) -> Tensor:
        """``U_a output + b``."""
        keys: Tensor = self.key_layer(outputs)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """``v . tanh(W_a query + key)``."""
        return self.additive(self.query_layer(query), keys, self.vector)
