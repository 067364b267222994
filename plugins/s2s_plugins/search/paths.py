"""The tree of prefixes of a beam search, from which its hypotheses are backtracked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from s2s.search.hypotheses import Hypothesis


class _Step(NamedTuple):
    rows: dict[int, int]  # sentence -> row
    parents: Tensor  # [rows, next beams]
    tokens: Tensor  # [rows, next beams]
    log_probs: Tensor  # [rows, next beams]
    weights: Tensor | None  # [rows, beams, source]


class Paths:
    """Stores the steps of a search, and traces any hypothesis back to its first token.

    The node (time, beam) is a live prefix of `time` tokens.

    Args:
        source_lengths: number of tokens of each source.
    """

    def __init__(self, source_lengths: Sequence[int]) -> None:
        self._source_lengths = source_lengths
        self._steps: list[_Step] = []
        self._read: list[tuple[list[list[int]], list[list[int]], list[list[float]]]] = []

    def grow(
        self,
        sentences: Sequence[int],
        parents: Tensor,
        tokens: Tensor,
        log_probs: Tensor,
        weights: Tensor | None,
    ) -> None:
        """Add the nodes of the next time.

        Args:
            sentences: the sentence of each row.
            parents: beam of the prefix that each node extends, [rows, next beams].
            tokens: the token that each node adds, [rows, next beams].
            log_probs: log-probabilities of these tokens, [rows, next beams].
            weights: attention weights of the step that added them, [rows, beams, source].
        """
        rows = {sentence: row for row, sentence in enumerate(sentences)}
        self._steps.append(_Step(rows, parents, tokens, log_probs, weights))

    def walk(
        self,
        sentence: int,
        time: int,
        beam: int,
        score: float,
        end: float | None = None,
        unmet: tuple[tuple[int, ...], ...] = (),
    ) -> Hypothesis:
        """The hypothesis of a node.

        Args:
            sentence: the node's sentence.
            time: the node's time.
            beam: the node's beam.
            score: score of the hypothesis.
            end: log-probability of the end symbol after the prefix; None if it does not end.
            unmet: see `Hypothesis`.
        """
        # Only the tokens of the results are walked in Python, once, at the end.
        self._read += [
            (step.parents.tolist(), step.tokens.tolist(), step.log_probs.tolist())
            for step in self._steps[len(self._read) :]
        ]
        tokens: list[int] = []
        log_probs = [] if end is None else [end]
        attended: list[Tensor] = []
        for earlier in reversed(range(time)):
            parents, ids, values = self._read[earlier]
            step = self._steps[earlier]
            row = step.rows[sentence]
            tokens.append(ids[row][beam])
            log_probs.append(values[row][beam])
            beam = parents[row][beam]
            if step.weights is not None:
                attended.append(step.weights[row, beam])
        weights = None
        if self._steps[0].weights is not None:
            length = self._source_lengths[sentence]
            weights = (
                torch.stack(attended[::-1])[:, :length].float().cpu() if attended else torch.zeros(0, length)
            )
        return Hypothesis(tokens[::-1], score, log_probs[::-1], end is not None, weights, unmet)
