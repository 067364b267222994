"""A search strategy's view of a model: next-token distributions for several beams of each sentence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from s2s.nn.cell import State, select_state
from s2s.nn.top import top
from s2s.padded import Padded
from s2s.search.randomness import mixed, words
from s2s.text.tokenizer import BOS, PAD

if TYPE_CHECKING:
    from s2s.nn.prepared import Prepared
    from s2s.nn.shortlist import Shortlisted
    from s2s.nn.writer import Writer


class Step(NamedTuple):
    """One step of all beams.

    Attributes:
        log_probs: natural logarithms, [sentences, beams, vocabulary], wider if the model copies words that are not in
            the vocabulary; -inf where a token cannot follow.
        state: state after the step, leaves [sentences * beams, ...], sentence by sentence.
        weights: attention over the source, [sentences, beams, source], or None.
    """

    log_probs: Tensor
    state: State
    weights: Tensor | None


class Best(NamedTuple):
    """The most probable tokens of one step of all beams.

    Attributes:
        log_probs: best first, ties by lower token, [sentences, beams, k] of float32; -inf where no further token can
            follow.
        tokens: [sentences, beams, k] of int64.
        state: see `Step`.
        weights: see `Step`.
    """

    log_probs: Tensor
    tokens: Tensor
    state: State
    weights: Tensor | None


class Stepper(ABC):
    """Next-token distributions for a batch of sentences.

    Attributes:
        source_lengths: tokens of each source sentence, [sentences] of int64.
    """

    source_lengths: Tensor

    @property
    def vocabulary_size(self) -> int | None:
        """Ids from here on are words copied from a sentence; None: every id means the same in all sentences."""
        return None

    @abstractmethod
    def __call__(self, tokens: Tensor, state: State) -> Step:
        """Distributions of the token after `tokens`.

        Args:
            tokens: the last token of each beam, [sentences, beams] of int64.
            state: leaves [sentences * beams, ...], sentence by sentence.
        """

    def best(self, tokens: Tensor, state: State, k: int) -> Best:
        """The k most probable tokens after `tokens`, for strategies that need only these.

        Args:
            tokens: see `__call__`.
            state: see `__call__`.
            k: number of tokens; capped at the vocabulary size.
        """
        step = self(tokens, state)
        return Best(*top(step.log_probs, k), step.state, step.weights)

    def fingerprints(self) -> Tensor:
        """A number for each sentence that seeds its sampling, [sentences] of int64.

        It depends on the sentence's source alone, so its samples do too. Sentences with the same number get the same
        random numbers.
        """
        return self.source_lengths

    @abstractmethod
    def keep(self, sentences: Tensor) -> Stepper:
        """A stepper for some of the sentences, to drop finished ones from the batch.

        Args:
            sentences: rows to keep, in their new order, [kept] of int64.
        """


class ModelStepper(Stepper):
    """Steps a model; the memory of the source is kept once per sentence, not once per beam.

    Args:
        model: in evaluation mode.
        source: ids of the source sentences, [sentences, source].
        memory: as returned by `model.encode(source)`.
        with_weights: whether steps carry attention weights (they are kept for every token, so they cost
            memory).
        head: replaces the model's head for these sentences.
        never: tokens that are never generated.
    """

    def __init__(
        self,
        model: Writer | Prepared,
        source: Padded,
        memory: State,
        *,
        with_weights: bool = False,
        head: Shortlisted | None = None,
        never: Sequence[int] = (PAD, BOS),
    ) -> None:
        self.model = model
        self.source = source
        self.memory = memory
        self.with_weights = with_weights
        self.head = head
        self.source_lengths = source.lengths
        self.never = torch.tensor(never, device=source.lengths.device)
        self._never = never

    @property
    def vocabulary_size(self) -> int:
        """See `Stepper.vocabulary_size`."""
        return self.model.vocabulary_size

    def __call__(self, tokens: Tensor, state: State) -> Step:
        """See `Stepper`."""
        sentences, beams = tokens.shape
        log_probs, state, weights = self.model.decode_step(
            tokens.flatten(), self.memory, state, self.source, self.head
        )
        log_probs.index_fill_(1, self.never, -torch.inf)  # in place: the tensor is fresh
        return Step(log_probs.view(sentences, beams, -1), state, self._kept(weights, sentences))

    def best(self, tokens: Tensor, state: State, k: int) -> Best:
        """See `Stepper.best`; the model may avoid computing the whole distribution."""
        sentences, beams = tokens.shape
        log_probs, chosen, state, weights = self.model.decode_best(
            tokens.flatten(), self.memory, state, self.source, k, self.never, self.head
        )
        shape = (sentences, beams, -1)
        return Best(log_probs.view(shape), chosen.view(shape), state, self._kept(weights, sentences))

    def fingerprints(self) -> Tensor:
        """See `Stepper.fingerprints`: a hash of the source's tokens, in order."""
        ids, lengths = words(self.source.ids.cpu().numpy()), self.source.lengths.cpu().numpy()
        state = words(lengths)
        for place in range(ids.shape[1]):
            state = np.where(place < lengths, mixed(state, ids[:, place]), state)
        return torch.from_numpy(state.view(np.int64)).to(self.source_lengths.device)

    def _kept(self, weights: Tensor | None, sentences: int) -> Tensor | None:
        return None if weights is None or not self.with_weights else weights.unflatten(0, (sentences, -1))

    def keep(self, sentences: Tensor) -> ModelStepper:
        """See `Stepper`."""
        source, memory = select_state((self.source, self.memory), sentences)
        head = None if self.head is None else self.head.keep(sentences)
        return ModelStepper(
            self.model, source, memory, with_weights=self.with_weights, head=head, never=self._never
        )
