"""The three global scores of Luong et al. 2015, eq. 8."""

import math

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn import AdditiveScore, ScoredAttention


class LuongDot(ScoredAttention):
    """Dot attention (Luong et al. 2015, eq. 8, dot): ``score = query . output``.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs; must equal query_size.

    Raises:
        ConfigError: the widths differ.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ConfigError(
                f"LuongDot needs a query as wide as the encoder outputs, but they are {query_size} and {memory_size}; "
                "choose LuongGeneral or other sizes"
            )

    def keys(self, outputs: Tensor) -> Tensor:
        """The outputs themselves."""
        return outputs

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """``query . key``."""
        return query @ keys.transpose(1, 2)


class LuongGeneral(ScoredAttention):
    """Bilinear attention (Luong et al. 2015, eq. 8, general): ``score = query . W_a output``.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key_layer = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, outputs: Tensor) -> Tensor:
        """``W_a output``."""
        keys: Tensor = self.key_layer(outputs)
        return keys

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """``query . key``."""
        return query @ keys.transpose(1, 2)


class LuongConcat(AdditiveScore, ScoredAttention):
    """Concat attention (Luong et al. 2015, eq. 8, concat): ``score = v . tanh(W_a [query; output])``.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.layer = nn.Linear(query_size + memory_size, query_size, bias=False)
        self.vector = nn.Parameter(torch.empty(query_size).uniform_(-1, 1) / math.sqrt(query_size))

    def keys(self, outputs: Tensor) -> Tensor:
        """The part of ``W_a [query; output]`` that depends on the outputs."""
        return nn.functional.linear(outputs, self.layer.weight[:, self.query_size :])

    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """Add the part that depends on the query, then ``v . tanh``."""
        queries = nn.functional.linear(query, self.layer.weight[:, : self.query_size])
        return self.additive(queries, keys, self.vector)
