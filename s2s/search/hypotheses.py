"""The results of a search: scored token sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """One output sequence of a sentence.

    Attributes:
        tokens: ids, without bos and eos.
        score: the strategy's ranking score (natural logarithm, normalized by the strategy); higher is
            better.
        log_probs: log-probability of each token and, if `finished`, of eos.
        finished: False if the token limit cut it off, or if no token could follow.
        weights: attention of each token over the source, [target, source], on the CPU; None unless the
            stepper provided them.
        unmet: required phrases that are missing, as token ids; none if `finished`.
    """

    tokens: list[int]
    score: float
    log_probs: list[float]
    finished: bool
    weights: Tensor | None = None
    unmet: tuple[tuple[int, ...], ...] = ()
