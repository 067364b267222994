"""Beam search with length normalization and optimal stopping."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.cell import State, select_state
from s2s.search.defaults import ALPHA, BEAM, BETA, NORMALIZATION
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import MOST_PENALTY
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy
from s2s_plugins.search.coverage import check_weights, coverage_penalty
from s2s_plugins.search.normalization import LengthNormalization, Normalization
from s2s_plugins.search.paths import Paths
from s2s_plugins.search.sizes import check_beam


class _Bounds(NamedTuple):
    """How long the outputs of each row may be."""

    limits: Tensor  # most tokens, [rows]
    minimums: Tensor  # fewest tokens, [rows]
    last_divisors: Tensor  # of a score at the limit, [rows]

    def select(self, rows: Tensor) -> _Bounds:
        return _Bounds(*(bound[rows] for bound in self))


class _Finished(NamedTuple):
    """The best finished hypotheses of each row, best first."""

    scores: Tensor  # -inf where there is none, [rows, n_best]
    nodes: Tensor  # their prefixes, each as time * size + beam, [rows, n_best]
    end_log_probs: Tensor  # of the end symbol after each prefix, [rows, n_best]

    @staticmethod
    def none(rows: int, n_best: int, device: torch.device) -> _Finished:
        return _Finished(
            torch.full((rows, n_best), -torch.inf, dtype=torch.float64, device=device),
            torch.full((rows, n_best), -1, dtype=torch.int64, device=device),
            torch.zeros(rows, n_best, device=device),
        )

    def merge(self, others: _Finished) -> _Finished:
        # Ties go to the hypotheses that were found first.
        n_best = self.scores.size(1)
        order = (
            torch.cat([self.scores, others.scores], dim=1).sort(dim=1, descending=True, stable=True).indices
        )
        both = zip(self, others, strict=True)
        return _Finished(*(torch.cat(pair, dim=1).gather(1, order[:, :n_best]) for pair in both))

    def select(self, rows: Tensor) -> _Finished:
        return _Finished(*(values[rows] for values in self))


class _Outcome(NamedTuple):
    """Results of the sentences that leave the search at the same time."""

    sentences: list[int]
    time: int
    finished: _Finished
    live_scores: Tensor  # of the prefixes that are live at this time, [rows, beams]


class Beam(SearchStrategy):
    """Beam search.

    At every step the extensions of the `size` live prefixes are ranked by their sum of log-probabilities.
    Among the best `size` of them, those that end the sentence are finished; the best `size` of the others stay
    live. A sentence is done when no live prefix can still overtake its `n_best`-th finished hypothesis (optimal
    stopping; Huang et al. 2017): sums only fall and divisors only grow, so sum / divisor(limit + 1) is an upper
    bound on the score of any continuation of a prefix. If the limit comes first, the places that are not taken by
    finished hypotheses are filled with live prefixes, marked as unfinished.

    The score of a hypothesis Y is log P(Y) divided by a normalizer, where |Y| counts its tokens and the end symbol:
    ``wu``: (5 + |Y|)^alpha / 6^alpha (Wu et al. 2016, eq. 14); ``length``: |Y|^alpha; ``none``: 1.

    The coverage penalty (Wu et al. 2016, eq. 14 and 15) is added to the score: beta times the sum over source tokens of
    log(min(c, 1)), where c is the total attention weight of that token over all symbols of Y, including the end. It
    ranks finished hypotheses and those cut off at the limit; live prefixes are ranked without it. It is never positive,
    so the bound above still holds: the search stops later, and stopping is still optimal.

    Args:
        size: number of live prefixes per sentence.
        n_best: hypotheses to return for each sentence, at most `size`.
        normalization: how scores are normalized by length.
        alpha: strength of the normalization; 0 is none.
        beta: strength of the coverage penalty; 0 is none. It needs a model with attention.
    """

    def __init__(
        self,
        size: int = BEAM,
        n_best: int = 1,
        normalization: Normalization = NORMALIZATION,
        alpha: float = ALPHA,
        beta: float = BETA,
    ) -> None:
        check_beam(size, n_best)
        if not 0 <= beta <= MOST_PENALTY:
            raise ConfigError(
                f"beta {beta} is impossible; it must be 0 or more, and at most {MOST_PENALTY:,}"
            )
        self.size = size
        self.n_best = n_best
        self.lengths = LengthNormalization(normalization, alpha)
        self.beta = beta

    @property
    def reads_weights(self) -> bool:
        """See `SearchStrategy.reads_weights`: for the coverage penalty."""
        return self.beta > 0

    @torch.inference_mode()
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
        """See `SearchStrategy.search`; at most `n_best` hypotheses for each sentence.

        Raises:
            ConfigError: there is a coverage penalty, but the stepper gives no attention weights.
        """
        device = stepper.source_lengths.device
        source_lengths, last_times = stepper.source_lengths.tolist(), limits.tolist()
        limits = limits.to(device)
        minimums = torch.zeros_like(limits) if minimums is None else minimums.to(device)
        longest_minimum = int(minimums.max()) if len(minimums) else 0
        bounds = _Bounds(limits, minimums, self.lengths.divisors(limits + 1))
        sentences = list(range(len(limits)))  # the sentence that each row of the batch stands for
        live = torch.zeros(len(sentences), 1, dtype=torch.float64, device=device)
        tokens = torch.full((len(sentences), 1), bos, dtype=torch.int64, device=device)
        finished = _Finished.none(len(sentences), self.n_best, device)
        # Attention of each prefix to each source token, summed over its symbols, [rows, beams, source].
        covered: Tensor | None = None
        paths = Paths(source_lengths)
        outcomes: list[_Outcome] = []
        for time in itertools.count() if sentences else ():
            # One more than the beam: if the end is among them, `size` others remain.
            step = stepper.best(tokens, state, self.size + 1)
            # A diverged model gives NaN: such tokens are impossible, so the search ends.
            log_probs = step.log_probs.masked_fill(step.log_probs.isnan(), -torch.inf)
            ends = step.tokens == eos
            if time < longest_minimum:
                too_short = (bounds.minimums > time).view(-1, 1, 1)
                log_probs = log_probs.masked_fill(ends & too_short, -torch.inf)
            beams, width = ends.shape[1:]
            before = covered
            if self.beta > 0:
                looked = check_weights(step.weights, self.beta)
                before = torch.zeros_like(looked) if before is None else before
                covered = before + looked

            # All candidates, sorted. The sort is stable and candidates are ordered by beam, so ties go to the
            # lower beam; of the best 2 * size at most `size` are ends.
            totals, places = (
                (live.unsqueeze(-1) + log_probs).flatten(1).sort(dim=1, descending=True, stable=True)
            )
            totals, places = totals[:, : 2 * self.size], places[:, : 2 * self.size]
            ends = ends.flatten(1).gather(1, places)
            own_log_probs = log_probs.flatten(1).gather(1, places)
            parents = places // width

            scores = totals / self.lengths.divisor(time + 1)
            if covered is not None:
                penalties = self.beta * coverage_penalty(covered, stepper.source_lengths)
                scores = scores + penalties.gather(1, parents)
            ended = _Finished(
                scores.masked_fill(~ends, -torch.inf), parents + time * self.size, own_log_probs
            )
            finished = finished.merge(_Finished(*(values[:, : self.size] for values in ended)))

            others = ends.to(torch.uint8).sort(dim=1, stable=True).indices[:, : self.size]
            next_live = totals.masked_fill(ends, -torch.inf).gather(1, others)
            parents, places = parents.gather(1, others), places.gather(1, others)
            tokens = step.tokens.flatten(1).gather(1, places)
            paths.grow(sentences, parents, tokens, own_log_probs.gather(1, others), step.weights)

            # Done: no live prefix can overtake. A sentence must leave at once if it may not or cannot be
            # extended, or its live prefixes of this time would be lost; otherwise it may stay, since nothing
            # found later changes its result.
            done = next_live[:, 0] / bounds.last_divisors <= finished.scores[:, -1]
            must_leave = (bounds.limits <= time) | (next_live[:, 0] == -torch.inf)
            leaves = (done.long() + 2 * must_leave.long()).tolist()  # the only synchronization of a step
            rows = torch.arange(len(sentences), device=device)
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if max(leaves) >= 2 or 8 * sum(leaves) >= len(leaves):
                leaving = torch.tensor(
                    [row for row, leave in enumerate(leaves) if leave], device=device
                ).long()
                rows = torch.tensor(
                    [row for row, leave in enumerate(leaves) if not leave], device=device
                ).long()
                live_scores = live / self.lengths.divisor(time)
                if before is not None:
                    live_scores = live_scores + self.beta * coverage_penalty(before, stepper.source_lengths)
                outcomes.append(
                    _Outcome(
                        [sentences[row] for row, leave in enumerate(leaves) if leave],
                        time,
                        finished.select(leaving),
                        live_scores[leaving],
                    )
                )
                sentences = [sentences[row] for row, leave in enumerate(leaves) if not leave]
                if not sentences:
                    break
                stepper, bounds, finished = stepper.keep(rows), bounds.select(rows), finished.select(rows)
                next_live, parents, tokens = next_live[rows], parents[rows], tokens[rows]
            live = next_live
            origins = (rows.unsqueeze(1) * beams + parents).flatten()
            state = select_state(step.state, origins)
            if covered is not None:
                covered = covered.flatten(0, 1)[origins].unflatten(0, parents.shape)
        return self._collect(paths, outcomes, last_times)

    def _collect(
        self, paths: Paths, outcomes: list[_Outcome], last_times: list[int]
    ) -> list[list[Hypothesis]]:
        results: list[list[Hypothesis]] = [[] for _ in last_times]
        for outcome in outcomes:
            found = zip(
                outcome.sentences,
                *(values.tolist() for values in outcome.finished),
                outcome.live_scores.tolist(),
                strict=True,
            )
            for sentence, scores, nodes, ends, prefixes in found:
                ended = [
                    (node, score, end)
                    for node, score, end in zip(nodes, scores, ends, strict=True)
                    if score > -torch.inf
                ]
                best = [
                    paths.walk(sentence, node // self.size, node % self.size, score, end)
                    for node, score, end in ended
                ]
                known = {node for node, _, _ in ended}
                if best and outcome.time < last_times[sentence]:
                    # every prefix was followed to its end: fewer than n_best outputs are possible
                    prefixes = []
                for beam, score in sorted(enumerate(prefixes), key=lambda one: -one[1]):
                    node = outcome.time * self.size + beam
                    if len(best) < self.n_best and score > -torch.inf and node not in known:
                        best.append(paths.walk(sentence, outcome.time, beam, score))
                results[sentence] = best
        return results
