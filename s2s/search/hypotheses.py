"""What a search hands back: scored token sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """One output sequence of a sentence.

    Attributes:
        tokens: ids, without the begin and the end of the sentence.
        score: what the strategy ranks by (natural logarithm, normalized as the strategy says); higher is
            better.
        log_probs: log-probability of each token and, if `finished`, of the end of the sentence.
        finished: False if the limit of tokens cut it off, or if nothing could follow it.
        weights: attention of each token over the source, [target, source], on the CPU; None unless the
            stepper gave them.
        unmet: phrases that were asked for and that it does not hold, by their tokens; a finished one holds all.
    """

    tokens: list[int]
    score: float
    log_probs: list[float]
    finished: bool
    weights: Tensor | None = None
    unmet: tuple[tuple[int, ...], ...] = ()
