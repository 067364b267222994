"""Scaled dot-product attention with several heads."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError
from s2s.nn import Attended, Attention, State, check_size


class HeadsMemory(NamedTuple):
    """Keys and values of all heads, [batch, heads, source, size], and the mask [batch, source]."""

    keys: Tensor
    values: Tensor
    mask: Tensor


class MultiHead(Attention):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2.2, eq. 1).

    ::

        head_i  = softmax(W_q_i query . W_k_i output / sqrt(size)) W_v_i output        size = attention_size / heads
        context = W_o [head_1; ...; head_h]

    The reported weights are the mean over the heads. `map_values` is not overridden: as each head has its own weights,
    mapped values would be `heads` times as wide, and cost more than the map itself.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        heads: number of heads, which must divide the width; by default its greatest common divisor with 8.
        attention_size: width of all heads together, and of the context; query_size if none is given.

    Raises:
        ConfigError: the heads do not divide the width.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        heads: int | None = None,
        attention_size: int | None = None,
    ) -> None:
        attention_size = query_size if attention_size is None else attention_size
        super().__init__(query_size, memory_size, context_size=check_size("attention_size", attention_size))
        self.heads = number_of_heads(heads, "attention_size", attention_size)
        self.query_layer = nn.Linear(query_size, attention_size, bias=False)
        self.key_layer = nn.Linear(memory_size, attention_size, bias=False)
        self.value_layer = nn.Linear(memory_size, attention_size, bias=False)
        self.context_layer = nn.Linear(attention_size, attention_size, bias=False)
        self.scale = 1.0 / math.sqrt(attention_size // self.heads)

    def memorize(self, outputs: Tensor, mask: Tensor) -> HeadsMemory:
        """Keys ``W_k output / sqrt(size)`` and values ``W_v output``, head by head."""
        keys = self._by_head(self.key_layer(outputs) * self.scale)
        return HeadsMemory(keys, self._by_head(self.value_layer(outputs)), mask)

    def attend(self, query: Tensor, memory: HeadsMemory, state: State) -> Attended:
        """All heads at once."""
        queries = self._by_head(self.query_layer(query if query.dim() == 3 else query.unsqueeze(1)))
        scores = (queries @ memory.keys.transpose(-1, -2)).masked_fill(
            ~memory.mask[:, None, None, :], float("-inf")
        )
        # in bfloat16 the weights would sum to one only within 4e-3
        weights = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        heads = weights.to(memory.values.dtype) @ memory.values
        context: Tensor = self.context_layer(heads.transpose(1, 2).flatten(2))
        weights = weights.mean(1)
        if query.dim() == 2:
            context, weights = context.squeeze(1), weights.squeeze(1)
        return Attended(context, weights, state)

    def _by_head(self, x: Tensor) -> Tensor:
        # [batch, time, all heads] to [batch, heads, time, size]
        by_head: Tensor = x.unflatten(-1, (self.heads, -1))
        return by_head.transpose(1, 2)


def number_of_heads(heads: int | None, option: str, size: int) -> int:
    """The number of heads for a width, which it must divide.

    Args:
        heads: the requested number; None: 8 (Vaswani et al. 2017), or the greatest divisor of 8 that divides the width.
        option: the width's name, for the error.
        size: the width.

    Raises:
        ConfigError: the width is not a multiple of the heads.
    """
    if heads is None:
        return math.gcd(size, 8)
    if size % check_size("heads", heads):
        raise ConfigError(
            f"{option} {size} cannot be shared out among {heads} heads; choose a multiple of {heads}"
        )
    return heads
