"""The protocol of a search strategy: from next-token distributions to hypotheses."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from s2s.nn.cell import State
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Stepper


class SearchStrategy(ABC):
    """Searches for the best outputs of a model; it sees only a `Stepper`, never a model.

    The options of a strategy are those of its constructor. It stores nothing about a sentence, neither between calls
    nor on `self` during one, as `search` is called from several threads at once. The result for a sentence depends on
    that sentence alone; ties are broken by lower beam, then lower id, unless the strategy samples.
    """

    draws: bool = False
    """Whether the strategy samples at random, seeded by `Stepper.fingerprints` and a seed of its own."""

    tokens_are_final: bool = False
    """Whether each token that the stepper is given is part of the result, if there is one hypothesis per sentence: the
    token can then be shown before the search ends. Not so in a beam search, even with a beam of one: it goes on after
    an end has been found, and may return the shorter hypothesis."""

    @property
    def reads_weights(self) -> bool:
        """Whether it needs the attention weights of each step, which a stepper provides only on request."""
        return False

    @abstractmethod
    def search(
        self,
        stepper: Stepper,
        state: State,
        *,
        bos: int,
        eos: int,
        limits: Tensor,
        minimums: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Search all sentences of a batch at once.

        Args:
            stepper: provides the distributions of the next token.
            state: state before the first token, leaves [sentences, ...].
            bos: id that stands before the first token.
            eos: id that ends a sentence.
            limits: maximum number of tokens of a hypothesis, without eos, [sentences] of int64, on the model's device.
            minimums: minimum number of tokens of a finished hypothesis, without eos, [sentences] of int64.

        Returns:
            The hypotheses of each sentence, best first, finished ones before unfinished ones; at least one.
        """
