"""Cancellation of running searches."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from s2s.inference.workers import GivenUp
from s2s.nn.cell import State
from s2s.search.stepper import Best, Step, Stepper


class Interruptible(Stepper):
    """Wraps a stepper until the search is cancelled: Ctrl-C must not wait for a long search in another thread.

    Args:
        stepper: the wrapped stepper.
        given_up: asked at each step whether the search was cancelled.
    """

    def __init__(self, stepper: Stepper, given_up: Callable[[], bool]) -> None:
        self.stepper = stepper
        self.source_lengths = stepper.source_lengths
        self._given_up = given_up

    @property
    def vocabulary_size(self) -> int | None:
        """See `Stepper.vocabulary_size`."""
        return self.stepper.vocabulary_size

    def __call__(self, tokens: Tensor, state: State) -> Step:
        """See `Stepper`.

        Raises:
            GivenUp: nobody waits.
        """
        self._check()
        return self.stepper(tokens, state)

    def best(self, tokens: Tensor, state: State, k: int) -> Best:
        """See `Stepper`.

        Raises:
            GivenUp: nobody waits.
        """
        self._check()
        return self.stepper.best(tokens, state, k)

    def fingerprints(self) -> Tensor:
        """See `Stepper`."""
        return self.stepper.fingerprints()

    def keep(self, sentences: Tensor) -> Interruptible:
        """See `Stepper`."""
        return Interruptible(self.stepper.keep(sentences), self._given_up)

    def _check(self) -> None:
        if self._given_up():
            raise GivenUp
