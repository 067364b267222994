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
from s2s.search.stepper import Best, Stepper
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


class _Extensions(NamedTuple):
    """Extensions of the live prefixes of each row by one token, best first, [rows, some]."""

    totals: Tensor  # sums of log-probabilities, of float64
    tokens: Tensor
    log_probs: Tensor  # of the token alone
    parents: Tensor  # the beam of the prefix
    ends: Tensor  # whether the token is the end

    def gather(self, places: Tensor) -> _Extensions:
        return _Extensions(*(values.gather(1, places) for values in self))

    def select(self, rows: Tensor) -> _Extensions:
        return _Extensions(*(values[rows] for values in self))


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
        live = torch.zeros(len(sentences), 1, dtype=torch.float64, device=device)  # sums of log-probabilities
        tokens = torch.full((len(sentences), 1), bos, dtype=torch.int64, device=device)
        finished = _Finished.none(len(sentences), self.n_best, device)
        # Attention of each prefix to each source token, summed over its symbols, [rows, beams, source].
        covered: Tensor | None = None
        paths = Paths(source_lengths)
        outcomes: list[_Outcome] = []
        for time in itertools.count() if sentences else ():
            # One more than the beam: if the end is among them, `size` others remain.
            step = stepper.best(tokens, state, self.size + 1)
            before = covered
            if self.beta > 0:
                looked = check_weights(step.weights, self.beta)
                before = torch.zeros_like(looked) if before is None else before
                covered = before + looked
            too_short = bounds.minimums > time if time < longest_minimum else None
            candidates = self._extend(live, step, eos, too_short)
            scores = self._scores(candidates.totals, time + 1, covered, stepper, candidates.parents)
            finished = finished.merge(self._ended(candidates, scores, time))
            others = candidates.ends.to(torch.uint8).sort(dim=1, stable=True).indices[:, : self.size]
            following = candidates.gather(others)
            following = following._replace(totals=following.totals.masked_fill(following.ends, -torch.inf))
            paths.grow(sentences, following.parents, following.tokens, following.log_probs, step.weights)

            leaves = self._leaves(following.totals[:, 0], finished, bounds, time)
            rows = torch.arange(len(sentences), device=device)
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if max(leaves) >= 2 or 8 * sum(leaves) >= len(leaves):
                leaving, rows = (
                    torch.tensor([row for row, leave in enumerate(leaves) if bool(leave) == wanted])
                    .long()
                    .to(device)
                    for wanted in (True, False)
                )
                outcomes.append(
                    _Outcome(
                        [sentences[row] for row, leave in enumerate(leaves) if leave],
                        time,
                        finished.select(leaving),
                        self._scores(live, time, before, stepper)[leaving],
                    )
                )
                sentences = [sentences[row] for row, leave in enumerate(leaves) if not leave]
                if not sentences:
                    break
                stepper, bounds, finished = stepper.keep(rows), bounds.select(rows), finished.select(rows)
                following = following.select(rows)
            origins = (rows.unsqueeze(1) * live.size(1) + following.parents).flatten()
            live, tokens, state = following.totals, following.tokens, select_state(step.state, origins)
            if covered is not None:
                covered = covered.flatten(0, 1)[origins].unflatten(0, live.shape)
        return self._collect(paths, outcomes, last_times)

    def _extend(self, live: Tensor, step: Best, eos: int, too_short: Tensor | None) -> _Extensions:
        """The best ``2 * size`` extensions of each row; at most `size` of them are ends.

        The sort is stable and candidates are ordered by beam, so ties go to the lower beam.

        Args:
            live: sums of log-probabilities of the live prefixes, [rows, beams].
            step: their possible tokens, [rows, beams, size + 1].
            eos: the end.
            too_short: rows that must not end yet; None: no row.
        """
        # A diverged model gives NaN: such tokens are impossible, so the search ends.
        log_probs = step.log_probs.masked_fill(step.log_probs.isnan(), -torch.inf)
        ends = step.tokens == eos
        if too_short is not None:
            log_probs = log_probs.masked_fill(ends & too_short.view(-1, 1, 1), -torch.inf)
        totals, places = (live.unsqueeze(-1) + log_probs).flatten(1).sort(dim=1, descending=True, stable=True)
        totals, places = totals[:, : 2 * self.size], places[:, : 2 * self.size]
        tokens, log_probs, ends = (
            values.flatten(1).gather(1, places) for values in (step.tokens, log_probs, ends)
        )
        return _Extensions(totals, tokens, log_probs, places // step.tokens.size(-1), ends)

    def _scores(
        self,
        totals: Tensor,
        symbols: int,
        covered: Tensor | None,
        stepper: Stepper,
        parents: Tensor | None = None,
    ) -> Tensor:
        """Scores of hypotheses of so many symbols; `parents` are their beams in `covered`, None: all in order."""
        scores = totals / self.lengths.divisor(symbols)
        if covered is None:
            return scores
        penalties = self.beta * coverage_penalty(covered, stepper.source_lengths)
        return scores + (penalties if parents is None else penalties.gather(1, parents))

    def _ended(self, candidates: _Extensions, scores: Tensor, time: int) -> _Finished:
        """Those of the best `size` candidates that end."""
        ended = _Finished(
            scores.masked_fill(~candidates.ends, -torch.inf),
            candidates.parents + time * self.size,
            candidates.log_probs,
        )
        return _Finished(*(values[:, : self.size] for values in ended))

    def _leaves(self, best: Tensor, finished: _Finished, bounds: _Bounds, time: int) -> list[int]:
        """For each row 0 if it goes on, 1 if it is done, 2 or more if it must leave now.

        It is done if no live prefix can overtake, the best of which has the sum `best`, [rows]; it may then stay, since
        nothing that is found later changes its result. It must leave if it may not or cannot be extended, or its live
        prefixes of this time would be lost.
        """
        done = best / bounds.last_divisors <= finished.scores[:, -1]
        must_leave = (bounds.limits <= time) | (best == -torch.inf)
        leaves: list[int] = (done.long() + 2 * must_leave.long()).tolist()  # a step's only synchronization
        return leaves

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
