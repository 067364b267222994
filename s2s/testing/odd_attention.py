"""An attention that must be stepped, as coverage requires of decoders."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from s2s.nn import Attended, Attention


class CoverageMemory(NamedTuple):
    """Encoder outputs, and their mask as an addend for the scores."""

    outputs: Tensor  # [batch, source, memory]
    penalty: Tensor  # [batch, source]


class Coverage(Attention):
    """Positions attended to before score lower (after Tu et al. 2016); the state is the sum of weights per position.

    Its context is not as wide as the memory.
    """

    sequential = True

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size, context_size=memory_size + 1)
        self.query_layer = nn.Linear(query_size, memory_size)
        self.context_layer = nn.Linear(memory_size, memory_size + 1)

    def memorize(self, outputs: Tensor, mask: Tensor) -> Any:
        return CoverageMemory(outputs, torch.zeros_like(mask, dtype=outputs.dtype).masked_fill(~mask, -1e30))

    def initial_state(self, memory: Any) -> Any:
        return (torch.zeros_like(memory.penalty),)

    def attend(self, query: Tensor, memory: Any, state: Any) -> Attended:
        assert query.dim() == 2, "a sequential attention must be asked step by step"
        (covered,) = state
        scores = (
            torch.einsum("bm,bsm->bs", self.query_layer(query), memory.outputs) - covered + memory.penalty
        )
        weights = scores.softmax(-1)
        context = self.context_layer(torch.einsum("bs,bsm->bm", weights, memory.outputs))
        return Attended(context, weights, (covered + weights,))
