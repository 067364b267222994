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
    """Several attentions side by side, each in its own projection (Vaswani et al. 2017, section 3.2.2, eq. 1).

    ::

        head_i  = softmax(W_q_i query . W_k_i output / sqrt(size)) W_v_i output        size = attention_size / heads
        context = W_o [head_1; ...; head_h]

    The weights that it reports are the mean over the heads. `map_values` is left alone: as each head has weights of its
    own, mapped values would be `heads` times as wide, and cost more than the map.

    Args:
        query_size: width of the query.
        memory_size: width of the encoder outputs.
        heads: number of heads.
        attention_size: width of all heads together, and of the context; query_size if none is given, rounded up to a
            multiple of `heads`.

    Raises:
        ConfigError: `attention_size` is no multiple of `heads`.
    """

    def __init__(
        self, query_size: int, memory_size: int, *, heads: int = 8, attention_size: int | None = None
    ) -> None:
        check_size("heads", heads)
        if attention_size is None:
            attention_size = heads * math.ceil(query_size / heads)
        if check_size("attention_size", attention_size) % heads:
            raise ConfigError(
                f"attention_size {attention_size} cannot be shared out among {heads} heads; "
                f"choose a multiple of {heads}"
            )
        super().__init__(query_size, memory_size, context_size=attention_size)
        self.heads = heads
        self.query_layer = nn.Linear(query_size, attention_size, bias=False)
        self.key_layer = nn.Linear(memory_size, attention_size, bias=False)
        self.value_layer = nn.Linear(memory_size, attention_size, bias=False)
        self.context_layer = nn.Linear(attention_size, attention_size, bias=False)
        self.scale = 1.0 / math.sqrt(attention_size // heads)

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
        # bfloat16 would sum to one within 4e-3 only
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
