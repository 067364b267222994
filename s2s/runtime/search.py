"""Greedy and beam search in numpy: counterparts of the built-in ones of s2s, which need torch.

A test compares each with its counterpart, whose documentation describes the search and why nothing is lost.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from s2s.errors import ConfigError
from s2s.search.defaults import ALPHA, BEAM, NORMALIZATION
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import MOST_ALPHA, MOST_AT_ONCE

Array = NDArray[Any]
State = list[Array]


class Best(Protocol):
    """See `s2s.runtime.model.Best`."""

    @property
    def log_probs(self) -> Array: ...  # noqa: D102
    @property
    def tokens(self) -> Array: ...  # noqa: D102
    @property
    def state(self) -> State: ...  # noqa: D102


class Stepper(Protocol):
    """The interface of a search; see `s2s.runtime.model.Stepper`."""

    def best(self, tokens: Array, state: State, k: int) -> Best: ...  # noqa: D102
    def keep(self, sentences: Array) -> Stepper: ...  # noqa: D102


class Strategy(ABC):
    """Searches for the outputs that a model prefers."""

    @abstractmethod
    def search(
        self, stepper: Stepper, state: State, *, bos: int, eos: int, limits: Array, minimums: Array
    ) -> list[list[Hypothesis]]:
        """Search all sentences of a batch at once.

        Args:
            stepper: gives the most probable next tokens.
            state: before the first token, leaves [sentences, 1, ...].
            bos: id before the first token.
            eos: id that ends a sentence.
            limits: maximum tokens of a hypothesis, without the end token, [sentences].
            minimums: minimum tokens of a finished hypothesis, without the end token, [sentences].

        Returns:
            for each sentence its hypotheses, best first, finished ones before unfinished ones; at least one.
        """


class Greedy(Strategy):
    """The most probable token at every step; see `s2s_plugins.search.greedy`."""

    def search(
        self, stepper: Stepper, state: State, *, bos: int, eos: int, limits: Array, minimums: Array
    ) -> list[list[Hypothesis]]:
        """See `Strategy.search`; one hypothesis for each sentence."""
        tokens: list[list[int]] = [[] for _ in limits]
        log_probs: list[list[float]] = [[] for _ in limits]
        finished = [False] * len(limits)
        rows = np.arange(len(limits))  # the sentence that each row of the batch stands for
        last = np.full((len(rows), 1), bos, dtype=np.int64)
        for time in itertools.count() if len(rows) else ():
            best = stepper.best(last, state, 2)
            state, values, chosen = best.state, _known(best.log_probs[:, 0]), best.tokens[:, 0]
            # Where the end token is not allowed yet, the second best replaces it.
            values = np.where((chosen == eos) & (minimums > time)[:, np.newaxis], -np.inf, values)
            place = values.argmax(axis=1)[:, np.newaxis]
            values, last = (np.take_along_axis(part, place, axis=1) for part in (values, chosen))
            ends = last[:, 0] == eos
            cut = np.isneginf(values[:, 0]) | ((limits <= time) & ~ends)
            for row in np.flatnonzero(~cut):
                log_probs[rows[row]].append(float(values[row, 0]))
                if ends[row]:
                    finished[rows[row]] = True
                else:
                    tokens[rows[row]].append(int(last[row, 0]))
            going = np.flatnonzero(~cut & ~ends)
            if not len(going):
                break
            if len(going) < len(rows):
                stepper, state = stepper.keep(going), [leaf[going] for leaf in state]
                rows, last, limits, minimums = rows[going], last[going], limits[going], minimums[going]
        return [
            [Hypothesis(*one)] for one in zip(tokens, map(sum, log_probs), log_probs, finished, strict=True)
        ]


class _End(NamedTuple):
    """A finished hypothesis: its prefix is the node (time, beam)."""

    score: float
    time: int
    beam: int
    log_prob: float


class _Grown(NamedTuple):
    """The nodes of one time, for each row of the batch."""

    row_of: dict[int, int]  # sentence -> row
    parents: Array  # [rows, beams]
    tokens: Array  # [rows, beams]
    log_probs: Array  # [rows, beams]


@dataclass(frozen=True)
class Beam(Strategy):
    """Beam search without coverage penalty; see `s2s_plugins.search.beam`.

    Args:
        size: live prefixes of each sentence.
        n_best: hypotheses to return for each sentence, at most `size`.
        normalization: how scores of different lengths are made comparable.
        alpha: strength of the normalization; 0 is none.

    Raises:
        ConfigError: sizes that cannot be.
    """

    size: int = BEAM
    n_best: int = 1
    normalization: Literal["wu", "length", "none"] = NORMALIZATION
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MOST_AT_ONCE:
            raise ConfigError(
                f"beam size {self.size} is impossible; it must be 1 or more, and at most {MOST_AT_ONCE:,}"
            )
        if not 1 <= self.n_best <= self.size:
            raise ConfigError(
                f"n_best {self.n_best} is impossible with a beam of {self.size}; choose 1 to {self.size} or a larger "
                "beam"
            )
        if not 0 <= self.alpha <= MOST_ALPHA:
            raise ConfigError(
                f"alpha {self.alpha} is impossible; it must be 0 or more, and at most {MOST_ALPHA}"
            )
        self.divisor(1)

    def divisor(self, length: int) -> float:
        """The divisor of the log-probability of `length` tokens, including the end token."""
        if self.normalization == "wu":
            return float(((5 + length) / 6) ** self.alpha)
        if self.normalization == "length":
            return float(max(1, length) ** self.alpha)
        if self.normalization == "none":
            return 1.0
        raise ConfigError(f"unknown normalization {self.normalization!r}; known: wu, length, none")

    def search(
        self, stepper: Stepper, state: State, *, bos: int, eos: int, limits: Array, minimums: Array
    ) -> list[list[Hypothesis]]:
        """See `Strategy.search`; at most `n_best` hypotheses for each sentence."""
        found: list[list[Hypothesis]] = [[] for _ in limits]
        finished: list[list[_End]] = [[] for _ in limits]
        tree: list[_Grown] = []
        last_divisors = np.array([self.divisor(limit + 1) for limit in limits.tolist()])
        rows = np.arange(len(limits))  # the sentence that each row of the batch stands for
        live = np.zeros((len(rows), 1))
        tokens = np.full((len(rows), 1), bos, dtype=np.int64)
        for time in itertools.count() if len(rows) else ():
            # One more than the beam: if the end token is among them, `size` others remain.
            best = stepper.best(tokens, state, self.size + 1)
            log_probs, is_end = _known(best.log_probs), best.tokens == eos
            log_probs[is_end & (minimums > time)[:, np.newaxis, np.newaxis]] = -np.inf
            beams, width = log_probs.shape[1:]

            # All candidates in order; ties go to the lower beam, then to the better token.
            totals = (live[:, :, np.newaxis] + log_probs).reshape(len(rows), -1)
            order = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * self.size]
            totals, ends, own_log_probs, ids = (
                np.take_along_axis(part.reshape(len(rows), -1), order, axis=1)
                for part in (totals, is_end, log_probs, best.tokens)
            )
            parents = order // width

            divisor = self.divisor(time + 1)
            for row, place in np.argwhere((ends & ~np.isneginf(totals))[:, : self.size]):
                score, log_prob = totals[row, place] / divisor, own_log_probs[row, place]
                own = finished[rows[row]]
                own.append(_End(float(score), time, int(parents[row, place]), float(log_prob)))
                own.sort(key=lambda end: -end.score)  # stable: of equals the earlier one stays before
                del own[self.n_best :]

            others = np.argsort(ends, axis=1, kind="stable")[:, : self.size]
            next_live, parents, tokens, chosen = (
                np.take_along_axis(part, others, axis=1)
                for part in (np.where(ends, -np.inf, totals), parents, ids, own_log_probs)
            )
            tree.append(
                _Grown({int(sentence): row for row, sentence in enumerate(rows)}, parents, tokens, chosen)
            )

            # A sentence leaves where nothing alive can overtake, or nothing may or can be extended.
            worst = np.array([self._worst(finished[sentence]) for sentence in rows])
            done = next_live[:, 0] / last_divisors <= worst
            leaving = done | (limits <= time) | np.isneginf(next_live[:, 0])
            for row in np.flatnonzero(leaving):
                sentence = int(rows[row])
                prefixes = live[row] / self.divisor(time)
                followed = time < limits[row]  # every prefix was followed to its end
                found[sentence] = self._collect(tree, sentence, finished[sentence], time, prefixes, followed)
            kept = np.flatnonzero(~leaving)
            if not len(kept):
                break
            if len(kept) < len(rows):
                stepper, rows = stepper.keep(kept), rows[kept]
                limits, minimums, last_divisors = limits[kept], minimums[kept], last_divisors[kept]
            live, tokens, parents = next_live[kept], tokens[kept], parents[kept]
            state = [leaf[kept[:, np.newaxis], parents] for leaf in best.state]
        return found

    def _worst(self, ends: list[_End]) -> float:
        """The score that must be overtaken: of the last of the n best."""
        return ends[-1].score if len(ends) == self.n_best else -np.inf

    def _collect(
        self, tree: list[_Grown], sentence: int, ends: list[_End], time: int, prefixes: Array, followed: bool
    ) -> list[Hypothesis]:
        best = [_walk(tree, sentence, end.time, end.beam, end.score, end.log_prob) for end in ends]
        if best and followed:
            return best
        ended = {(end.time, end.beam) for end in ends}
        for beam in np.argsort(-prefixes, kind="stable").tolist():
            score = float(prefixes[beam])
            if len(best) < self.n_best and score > -np.inf and (time, beam) not in ended:
                best.append(_walk(tree, sentence, time, beam, score))
        return best


def _known(log_probs: Array) -> Array:
    # A model that has diverged returns NaN: nothing follows, and the search ends.
    return np.where(np.isnan(log_probs), -np.inf, log_probs)


def _walk(
    tree: list[_Grown], sentence: int, time: int, beam: int, score: float, end: float | None = None
) -> Hypothesis:
    """The hypothesis of a node: from its last token back to its first."""
    tokens: list[int] = []
    log_probs = [] if end is None else [end]
    for grown in reversed(tree[:time]):
        row = grown.row_of[sentence]
        tokens.append(int(grown.tokens[row, beam]))
        log_probs.append(float(grown.log_probs[row, beam]))
        beam = int(grown.parents[row, beam])
    return Hypothesis(tokens[::-1], score, log_probs[::-1], end is not None)
