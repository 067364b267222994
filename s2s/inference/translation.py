"""What a translator says of a line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Translation:
    """An output and what is known of it.

    Attributes:
        text: one line.
        score: what the search ranks by.
        tokens: the pieces it was made of, as a person should see them.
        log_probs: natural logarithm of the probability of each piece and, if `finished`, of the end.
        finished: False if the limit of tokens cut it off.
        source_tokens: the pieces of the input.
        weights: attention, [tokens, source tokens]; None unless it was asked for.
        unmet: the `phrases` that it does not hold, where the limit came first.
        truncated: True if only the first `max_source_tokens` pieces of the input were read.
        alternatives: the other outputs that were found, best first; as many as `n_best` asks for, this one
            counted.
        sentences: of a line that was split into several, the translation of each; attention weights are theirs.
    """

    text: str
    score: float
    tokens: list[str]
    log_probs: list[float]
    finished: bool
    source_tokens: list[str]
    weights: Tensor | None = None
    alternatives: list[Translation] = field(default_factory=list)
    truncated: bool = False
    unmet: list[str] = field(default_factory=list)
    sentences: list[Translation] = field(default_factory=list)

    @property
    def alignment(self) -> list[int] | None:
        """For each token the place of the source token that it looked at most; None where nothing tells."""
        if not self.sentences:
            return None if self.weights is None else self.weights.argmax(dim=1).tolist()
        places: list[int] = []
        begin = 0
        for one in self.sentences:
            own = [] if not one.tokens else one.alignment
            if own is None:
                return None
            places += [begin + place for place in own]
            begin += len(one.source_tokens)
        return places
