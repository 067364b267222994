"""What a search strategy sees of a model: next-token distributions, for several beams of each sentence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from s2s.nn.cell import State, select_state
from s2s.padded import Padded
from s2s.text.tokenizer import BOS, PAD

if TYPE_CHECKING:
    from s2s.nn.seq2seq import Seq2Seq


class Step(NamedTuple):
    """One step of all beams.

    Attributes:
        log_probs: natural logarithms, [sentences, beams, vocabulary]; -inf where a token cannot follow.
        state: state after the step, leaves [sentences * beams, ...], sentence by sentence.
        weights: attention over the source, [sentences, beams, source], or None.
    """

    log_probs: Tensor
    state: State
    weights: Tensor | None


class Stepper(ABC):
    """Next-token distributions for a batch of sentences.

    Attributes:
        source_lengths: tokens of each source sentence, [sentences] of int64.
    """

    source_lengths: Tensor

    @abstractmethod
    def __call__(self, tokens: Tensor, state: State) -> Step:
        """Distributions of the token after `tokens`.

        Args:
            tokens: the last token of each beam, [sentences, beams] of int64.
            state: leaves [sentences * beams, ...], sentence by sentence.
        """

    @abstractmethod
    def keep(self, sentences: Tensor) -> Stepper:
        """A stepper for some of the sentences: finished ones leave the batch.

        Args:
            sentences: rows to keep, in their new order, [kept] of int64.
        """


class ModelStepper(Stepper):
    """Steps a `Seq2Seq`. What was memorized of the source is kept once per sentence, never once per beam.

    Padding and the begin of the sentence are never generated, whatever the model thinks of them.

    Args:
        model: in evaluation mode.
        source: ids of the source sentences, [sentences, source].
        memory: as returned by `model.encode(source)`.
        with_weights: whether steps carry attention weights (they are kept for every token, so they cost
            memory).
    """

    def __init__(self, model: Seq2Seq, source: Padded, memory: State, *, with_weights: bool = False) -> None:
        self.model = model
        self.source = source
        self.memory = memory
        self.with_weights = with_weights
        self.source_lengths = source.lengths

    def __call__(self, tokens: Tensor, state: State) -> Step:
        """See `Stepper`."""
        sentences, beams = tokens.shape
        log_probs, state, weights = self.model.decode_step(tokens.flatten(), self.memory, state, self.source)
        # The tensor is fresh: writing two columns costs nothing, copying the vocabulary would.
        log_probs[:, PAD] = -torch.inf
        log_probs[:, BOS] = -torch.inf
        kept = weights.view(sentences, beams, -1) if weights is not None and self.with_weights else None
        return Step(log_probs.view(sentences, beams, -1), state, kept)

    def keep(self, sentences: Tensor) -> ModelStepper:
        """See `Stepper`."""
        source, memory = select_state((self.source, self.memory), sentences)
        return ModelStepper(self.model, source, memory, with_weights=self.with_weights)
