"""A trained model prepared for many decoding steps: everything that never changes is precomputed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s.nn.cell import State, leaves
from s2s.nn.decoder import Decoded
from s2s.nn.packed import gains_by_packing, pack_matrices
from s2s.nn.shortlist import Shortlisted
from s2s.nn.twins import holds
from s2s.nn.writer import Writer
from s2s.padded import Padded

FOLDED_ELEMENTS = 2**26
"""Largest table of folded tokens: 256 MiB in float32, 32,000 tokens with the gates of an LSTM of 512 units; for the
encoder 16,000, if it reads in both directions."""


def encode_for_search(model: Writer, source: Padded, folded: State = None) -> tuple[Any, State]:
    """`Writer.encode` for decoding steps only: the memory is folded if the head does not read the context.

    Args:
        model: the model.
        source: the sentences.
        folded: `Writer.fold_source` of the vocabulary, which replaces a part of the work; None: nothing does.
    """
    memory, state = model.encode(source) if folded is None else model.encode_folded(source, folded)
    if model.head.reads_context or not holds(model.head, "reads_context", "log_probs"):
        return memory, state
    return model.decoder.fold_memory(memory), state


class Prepared:
    """A faster version of a model for searches, with the same methods as the model.

    The weights are shared with the model, and must not change any more. Where a class overrides the reference of a
    faster implementation, the reference is used (`holds`).

    Where weights can be packed, matrices are in memory twice after their first product: unpacked and packed. A model of
    13.8 million parameters, 53 MiB, takes 53 MiB more, or 26 if it is narrow and torch multiplies bfloat16 here; with
    AVX2 as much again once there are products of a single row (`PackedMatrix`); elsewhere again the large ones. Folded
    tables (`fold`) come on top: 63 MiB for the decoder and 125 for the encoder. The unpacked weights must stay: they
    are the model's own, which is also used for scoring, alignment and conversion, and embeddings and selected rows
    (`Shortlisted`) are read from them. A model that cannot be copied (`pack_matrices`) is used as it is.

    Args:
        model: in evaluation mode.
        narrow: factors of products are rounded to bfloat16, everything else is in float32. Without it the results are
            the model's own, except for the order in which the terms of a product are summed.
    """

    def __init__(self, model: Writer, *, narrow: bool = False) -> None:
        self._device = next(model.parameters()).device
        dtype = torch.bfloat16 if narrow else torch.float32
        self.model = pack_matrices(model, dtype) if gains_by_packing(self._device, dtype) else model
        self._packed = self.model is not model
        self._mixed = narrow and not self._packed
        self.vectors: Tensor | None = None
        self.folded: Tensor | None = None
        self.folded_source: State = None

    @property
    def vocabulary_size(self) -> int:
        """See `Writer.vocabulary_size`."""
        return self.model.vocabulary_size

    @torch.inference_mode()
    def fold(self) -> None:
        """Precompute what depends on a token alone, for the whole vocabulary: parts of a step, and of the encoder.

        It pays off once more tokens are read than the vocabulary has.
        """
        with self._precision():
            self._fold_target()
            if self._packed:  # otherwise cells may have faster ways than by steps
                self._fold_source()

    def _fold_target(self) -> None:
        decoder = self.model.decoder
        if not (holds(decoder, "step_folded", "step") and holds(decoder, "fold_tokens", "step")):
            return
        tokens = torch.arange(self.model.target_embedding.vocabulary_size, device=self._device)
        one = decoder.fold_tokens(self.model.target_embedding(tokens[:1]))
        if one is not None and one.numel() * len(tokens) <= FOLDED_ELEMENTS:
            self.vectors = self.model.target_embedding(tokens)
            self.folded = decoder.fold_tokens(self.vectors)

    def _fold_source(self) -> None:
        model = self.model
        if not (holds(model, "encode_folded", "encode") and holds(model, "fold_source", "encode")):
            return
        tokens = torch.arange(model.source_vocabulary_size, device=self._device)
        one = sum(leaf.numel() for leaf in leaves(model.fold_source(tokens[:1])))
        if 0 < one * len(tokens) <= FOLDED_ELEMENTS:
            self.folded_source = model.fold_source(tokens)

    def encode(self, source: Padded) -> tuple[Any, State]:
        """See `Writer.encode`."""
        with self._precision():
            return encode_for_search(self.model, source, self.folded_source)

    def decode_step(
        self, tokens: Tensor, memory: Any, state: State, source: Padded, head: Shortlisted | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """See `Writer.decode_step`."""
        with self._precision():
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
        """See `Writer.decode_best`."""
        with self._precision():
            decoded, state = self._read(tokens, memory, state)
            return *self.model.best(decoded, source, k, never, head), state, decoded.weights

    def _precision(self) -> AbstractContextManager[Any]:
        # Where weights are not packed, as on an accelerator, autocast computes products in bfloat16.
        return torch.autocast(self._device.type, torch.bfloat16) if self._mixed else nullcontext()

    def _read(self, tokens: Tensor, memory: Any, state: State) -> tuple[Decoded, State]:
        decoder = self.model.decoder
        if self.folded is None or self.vectors is None:
            return decoder.step(self.model.read(tokens), memory, state)
        tokens = self.model.known(tokens)
        vectors = F.embedding(tokens, self.vectors)
        return decoder.step_folded(F.embedding(tokens, self.folded), vectors, memory, state)
