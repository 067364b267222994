"""A trained model made ready to be stepped very often: what never changes is worked out beforehand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s.nn.cell import State
from s2s.nn.decoder import Decoded
from s2s.nn.packed import pack_matrices
from s2s.nn.seq2seq import Seq2Seq
from s2s.nn.shortlist import Shortlisted
from s2s.padded import Padded

FOLDED_ELEMENTS = 2**26
"""Largest table of folded tokens: 256 MiB in float32, 32,000 tokens with the gates of an LSTM of 512 units."""


class Prepared:
    """Searches with a model faster than the model itself, and with the same results; it has the model's own methods.

    The weights are shared with the model, and must not change any more.

    Args:
        model: in evaluation mode.
        narrow: products are taken in bfloat16, all else in float32. Without it, everything as the model does.
    """

    def __init__(self, model: Seq2Seq, *, narrow: bool = False) -> None:
        self.model = pack_matrices(model) if narrow else model
        self.vectors: Tensor | None = None
        self.folded: Tensor | None = None

    @torch.inference_mode()
    def fold(self) -> None:
        """Work out all that a step makes of its token alone, for every token there is.

        It pays as soon as more tokens are read than the vocabulary has.
        """
        device = next(self.model.parameters()).device
        tokens = torch.arange(self.model.target_embedding.vocabulary_size, device=device)
        one = self.model.decoder.fold_tokens(self.model.target_embedding(tokens[:1]))
        if one is not None and one.numel() * len(tokens) <= FOLDED_ELEMENTS:
            self.vectors = self.model.target_embedding(tokens)
            self.folded = self.model.decoder.fold_tokens(self.vectors)

    def encode(self, source: Padded) -> tuple[Any, State]:
        """See `Seq2Seq.encode`."""
        memory, state = self.model.encode(source)
        return memory if self.model.head.reads_context else self.model.decoder.fold_memory(memory), state

    def decode_step(
        self, tokens: Tensor, memory: Any, state: State, source: Padded, head: Shortlisted | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """See `Seq2Seq.decode_step`."""
        decoded, state = self._read(tokens, memory, state)
        return (head or self.model.head).log_probs(decoded, source), state, decoded.weights

    def decode_best(
        self,
        tokens: Tensor,
        memory: Any,
        state: State,
        source: Padded,
        k: int,
        never: Tensor,
        head: Shortlisted | None = None,
    ) -> tuple[Tensor, Tensor, State, Tensor | None]:
        """See `Seq2Seq.decode_best`."""
        decoded, state = self._read(tokens, memory, state)
        return *(head or self.model.head).best(decoded, source, k, never), state, decoded.weights

    def _read(self, tokens: Tensor, memory: Any, state: State) -> tuple[Decoded, State]:
        decoder = self.model.decoder
        if self.folded is None or self.vectors is None:
            return decoder.step(self.model.target_embedding(tokens), memory, state)
        vectors = F.embedding(tokens, self.vectors)
        return decoder.step_folded(F.embedding(tokens, self.folded), vectors, memory, state)
