"""The result of translating a line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Translation:
    """An output and its details.

    Attributes:
        text: one line.
        score: what the search ranks by.
        tokens: the pieces of the output, in readable form.
        log_probs: natural logarithm of the probability of each piece and, if `finished`, of the end token.
        finished: False if the token limit cut it off.
        source_tokens: the pieces of the input.
        weights: attention weights, [tokens, source tokens]; None unless requested.
        unmet: the `prefix` and the `phrases` that it lacks: because it was cut at its limit, because the model has no
            tokens for them, or because the source has none.
        truncated: True if only the first `max_source_tokens` pieces of the input were read.
        alternatives: the other outputs that were found, best first; `n_best` outputs including this one.
        sentences: if the line was split into sentences, their translations; these have the attention weights.
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
        """For each token, the index of the source token with the most attention; None without attention weights."""
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
