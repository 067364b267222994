"""A head restricted, for each sentence of a batch, to the tokens on that sentence's own shortlist.

Scores are computed for the union of the lists of a group of sentences at once; for each sentence, tokens that are only
on other lists are then masked before the softmax. So its probabilities are those of a softmax over its own list,
whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s.nn.decoder import Decoded
from s2s.nn.head import Head
from s2s.nn.top import top_log_probs
from s2s.nn.twins import holds
from s2s.padded import Padded

SENTENCES = 64
"""Sentences that share rows of the output layer: fewer need fewer rows, more make products more efficient."""


class _Group(NamedTuple):
    """A group of consecutive sentences.

    Attributes:
        scores: computes the scores of these tokens, [rows, tokens].
        tokens: on the list of any of these sentences, ascending, [tokens].
        barred: -inf for tokens that are not on a sentence's own list, else 0, [sentences, tokens].
        sentences: number of sentences that the tokens were collected for; some may have left.
    """

    scores: Callable[[Decoded], Tensor]
    tokens: Tensor
    barred: Tensor
    sentences: int

    def own_scores(self, decoded: Decoded) -> Tensor:
        """Scores masked by each sentence's own list, [rows, tokens] of float32 at least."""
        scores = self.scores(decoded)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        scores.view(len(self.barred), -1, len(self.tokens)).add_(self.barred.unsqueeze(1))
        return scores


class Shortlisted:
    """Acts as a head restricted to shortlists, for one batch of sentences.

    Args:
        head: of the model.
        candidates: tokens of each sentence's list, in any order, repetitions allowed, [sentences, candidates] of int64.
        always: tokens of every list, [tokens] of int64; must include those that a search never chooses.

    Raises:
        ConfigError: the head does not support shortlists.
    """

    def __init__(
        self, head: Head, candidates: Tensor, always: Tensor, *, _groups: list[_Group] | None = None
    ) -> None:
        if not holds(head, "among", "log_probs"):
            Head.among(head, always)  # raises ConfigError
        self._head = head
        self._candidates = candidates
        self._always = always
        self._groups = _groups or [self._group(some) for some in candidates.split(SENTENCES)]

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        """See `Head.log_probs`: [rows, vocabulary], -inf for tokens that are not on the list."""
        parts = []
        for group, rows in self._rows(decoded):
            own = group.own_scores(rows).log_softmax(dim=-1)
            everything = own.new_full((len(own), self._head.vocabulary_size), -torch.inf)
            parts.append(everything.index_copy_(1, group.tokens, own))
        return torch.cat(parts)

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        """See `Head.best`."""
        k = min(k, self._head.vocabulary_size)
        parts = []
        for group, rows in self._rows(decoded):
            scores, unchosen = group.own_scores(rows), torch.searchsorted(group.tokens, never)
            values, places = top_log_probs(scores, k, unchosen)
            missing = (0, k - values.size(1))  # a list may be shorter than k
            parts.append((F.pad(values, missing, value=-torch.inf), F.pad(group.tokens[places], missing)))
        return torch.cat([values for values, _ in parts]), torch.cat([tokens for _, tokens in parts])

    def keep(self, sentences: Tensor) -> Shortlisted:
        """The same for some of the sentences, see `Stepper.keep`."""
        kept = sentences.tolist()
        groups: list[_Group] = []
        first = 0
        for group in self._groups:
            size = len(group.barred)
            inside = [row - first for row in kept if first <= row < first + size]
            if inside:
                groups.append(group._replace(barred=group.barred[inside]))
            first += size
        # Selecting rows of the output layer costs as much as several products with them, so it is not done every time.
        # A quarter was measured to be better than a half.
        worth_it = 4 * len(kept) <= sum(group.sentences for group in groups)
        again = worth_it or kept != sorted(kept)
        return Shortlisted(
            self._head, self._candidates[sentences], self._always, _groups=None if again else groups
        )

    def _group(self, candidates: Tensor) -> _Group:
        own = torch.zeros(
            len(candidates), self._head.vocabulary_size, dtype=torch.bool, device=candidates.device
        )
        own.scatter_(1, candidates, True)
        own[:, self._always] = True
        tokens = own.any(dim=0).nonzero().squeeze(1)
        barred = torch.zeros(len(candidates), len(tokens), device=candidates.device)
        barred.masked_fill_(~own[:, tokens], -torch.inf)
        return _Group(self._head.among(tokens), tokens, barred, len(candidates))

    def _rows(self, decoded: Decoded) -> list[tuple[_Group, Decoded]]:
        beams = len(decoded.hidden) // len(self._candidates)
        sizes = [len(group.barred) * beams for group in self._groups]
        parts = [[None] * len(sizes) if part is None else part.split(sizes) for part in decoded]
        return [(group, Decoded(*rows)) for group, *rows in zip(self._groups, *parts, strict=True)]
