"""Attention over an encoded source: memorized once per sentence, queried at every target position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from s2s.nn.cell import State, leaves, map_state
from s2s.nn.kernels import prefers_sigmoid
from s2s.nn.twins import holds


class Attended(NamedTuple):
    """The result of attention.

    Attributes:
        context: [batch, context] or [batch, time, context], like the query.
        weights: [batch, source] or [batch, time, source]; zero at padding, each row sums to one.
        state: the attention's own next state.
    """

    context: Tensor
    weights: Tensor
    state: State


class Attention(nn.Module, ABC):
    """Attends to one sentence's encoder outputs.

    Args:
        query_size: width of the query, the decoder state.
        memory_size: width of the encoder outputs.
        context_size: width of the context; None: `memory_size`.
    """

    sequential: bool = False
    """True: each result depends on the previous one (coverage), so attention runs step by step."""

    def __init__(self, query_size: int, memory_size: int, *, context_size: int | None = None) -> None:
        super().__init__()
        self.query_size = query_size
        self.memory_size = memory_size
        self.context_size = memory_size if context_size is None else context_size

    @abstractmethod
    def memorize(self, outputs: Tensor, mask: Tensor) -> Any:
        """Compute everything that depends on the source alone.

        Args:
            outputs: encoder outputs, zero at padding, [batch, source, memory].
            mask: True at real positions, [batch, source].

        Returns:
            A State-like structure of tensors [batch, ...].
        """

    def initial_state(self, memory: Any) -> State:
        """The attention's state before the first step; empty by default."""
        return ()

    def map_values(self, memory: Any, linear: Callable[[Tensor], Tensor]) -> Any | None:
        """A memory that yields contexts already mapped by `linear`; None if unsupported (the default).

        Attention can support this if its context is a weighted sum of memory vectors: the map is then applied once per
        source position, not once per target position.

        Args:
            memory: as returned by `memorize`.
            linear: a linear map (without bias) from [..., context] to [..., size].
        """
        return None

    @abstractmethod
    def attend(self, query: Tensor, memory: Any, state: State) -> Attended:
        """Compute the context and the weights of a query.

        Args:
            query: decoder state, [batch, hidden]; or of all time steps, [batch, time, hidden], if not `sequential`.
            memory: as returned by `memorize`.
            state: as returned by `initial_state` or the previous call.
        """

    def attend_beams(self, query: Tensor, memory: Any, state: State) -> Attended:
        """Attend for several beams of each sentence; may be overridden to avoid repeating the memory for each beam.

        Args:
            query: decoder states, [sentences * beams, hidden], sentence-major.
            memory: of `sentences` sentences.
            state: leaves [sentences * beams, ...].
        """
        sentences = leaves(memory)[0].size(0)
        beams = query.size(0) // sentences
        if self.sequential:
            # Not repeat_interleave: torch.onnx would write the example's number of beams into the graph.
            repeated = map_state(
                lambda leaf: leaf.unsqueeze(1).expand(-1, beams, *leaf.shape[1:]).flatten(0, 1), memory
            )
            return self.attend(query, repeated, state)
        context, weights, state = self.attend(query.view(sentences, beams, -1), memory, state)
        return Attended(context.flatten(0, 1), weights.flatten(0, 1), state)


def attend_rows(attention: Attention, query: Tensor, memory: Any, state: State) -> Attended:
    """Attend with several query rows per sentence, as for beams, and one memory per sentence.

    Args:
        attention: any attention.
        query: [sentences * beams, hidden], sentence-major.
        memory: of `sentences` sentences.
        state: leaves [sentences * beams, ...].
    """
    if query.size(0) == leaves(memory)[0].size(0):
        return attention.attend(query, memory, state)
    if holds(attention, "attend_beams", "attend"):
        return attention.attend_beams(query, memory, state)
    return Attention.attend_beams(attention, query, memory, state)


class ScoredMemory(NamedTuple):
    """Keys [batch, source, key], values [batch, source, memory] and mask [batch, source] of a batch of sources."""

    keys: Tensor
    values: Tensor
    mask: Tensor


class ScoredAttention(Attention):
    """Attention by one score per source position; the context is the mean of the outputs weighted by their softmax.

    Override `normalize` for a distribution other than the softmax, and `masked_scores` to exclude or favour positions.
    """

    @abstractmethod
    def keys(self, outputs: Tensor) -> Tensor:
        """The part of the score that depends on the source alone: [batch, source, memory] to [batch, source, key]."""

    @abstractmethod
    def score(self, query: Tensor, keys: Tensor) -> Tensor:
        """Scores [batch, time, source] of queries [batch, time, hidden] against keys [batch, source, key]."""

    def memorize(self, outputs: Tensor, mask: Tensor) -> ScoredMemory:
        """Keys, values and mask."""
        return ScoredMemory(self.keys(outputs), outputs, mask)

    def map_values(self, memory: Any, linear: Callable[[Tensor], Tensor]) -> Any | None:
        """Map the values and keep the keys; None if a subclass overrides `memorize` or `attend` without this method."""
        if not holds(self, "map_values", "memorize", "attend"):
            return None
        return memory._replace(values=linear(memory.values))

    def masked_scores(self, queries: Tensor, memory: ScoredMemory) -> Tensor:
        """Scores [batch, time, source] of queries [batch, time, hidden]; -inf at positions not to attend to."""
        return self.score(queries, memory.keys).masked_fill(~memory.mask.unsqueeze(1), float("-inf"))

    def normalize(self, scores: Tensor) -> Tensor:
        """Normalize scores to weights that sum to one, both [batch, time, source]; zero for -inf; a softmax by default.

        Args:
            scores: in float32 at least, like the weights: in bfloat16 they would sum to one only within 4e-3.
        """
        return scores.softmax(dim=-1)

    def attend(self, query: Tensor, memory: ScoredMemory, state: State) -> Attended:
        """Weights over the real positions, and the weighted mean of their values."""
        queries = query if query.dim() == 3 else query.unsqueeze(1)
        scores = self.masked_scores(queries, memory)
        weights = self.normalize(scores.to(torch.promote_types(scores.dtype, torch.float32)))
        context = weights.to(memory.values.dtype) @ memory.values
        if query.dim() == 2:
            context, weights = context.squeeze(1), weights.squeeze(1)
        return Attended(context, weights, state)


class AdditiveScore:
    """``v . tanh(query + key)`` for all pairs, in bounded pieces (Bahdanau et al. 2015; Luong et al. 2015, concat)."""

    PAIR_ELEMENTS = 2**24
    """Largest [batch, time, source, size] held at once: 64 MiB in float32. If there are several pieces, each is
    recomputed in the backward pass."""

    def additive(self, queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        """Scores [batch, time, source].

        Args:
            queries: [batch, time, size].
            keys: [batch, source, size].
            vector: v, [size].
        """
        span = max(1, self.PAIR_ELEMENTS // keys.numel())
        if queries.size(1) <= span:
            return _additive_scores(queries, keys, vector)
        pieces = queries.split(span, 1)
        return torch.cat(
            [checkpoint(_additive_scores, piece, keys, vector, use_reentrant=False) for piece in pieces],
            dim=1,
        )


def _additive_scores(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    queries, keys, vector = queries.unsqueeze(2), keys.unsqueeze(1), vector.to(queries.dtype)
    if prefers_sigmoid(queries, keys, vector, numel=queries.size(1) * keys.numel()):
        # v . tanh(x) = 2 v . sigmoid(2x) - sum of v, so the product does what else would be a pass over all values.
        return torch.add(2 * queries, keys, alpha=2).sigmoid_() @ (2 * vector) - vector.sum()
    return (queries + keys).tanh() @ vector
