"""The protocol of a search strategy: from next-token distributions to hypotheses."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from s2s.nn.cell import State
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Stepper


class SearchStrategy(ABC):
    """Looks for the outputs that a model prefers. It sees only a `Stepper`, never a model.

    The options of a strategy are those of its constructor; it keeps nothing about a sentence between two
    calls, nor on `self` during one, for `search` is called from several threads at once. What it finds for a
    sentence depends on that sentence alone; among equal scores the lower beam, then the lower id, comes first, unless
    it draws.
    """

    draws: bool = False
    """Whether it draws at random what others choose: by `Stepper.fingerprints` and a seed of its own."""

    @property
    def reads_weights(self) -> bool:
        """Whether it needs the attention weights of each step, which a stepper gives only if it is told to."""
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
            stepper: gives the distributions of the next token.
            state: state before the first token, leaves [sentences, ...].
            bos: id that stands before the first token.
            eos: id that ends a sentence.
            limits: most tokens a hypothesis may have, the end not counted, [sentences] of int64.
            minimums: fewest tokens a finished hypothesis may have, the end not counted, [sentences] of int64.

        Returns:
            for each sentence its hypotheses, best first, finished ones before unfinished ones; at least one.
        """
