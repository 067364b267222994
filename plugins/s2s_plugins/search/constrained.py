"""Lexically constrained beam search: outputs contain all requested phrases."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import top
from s2s.nn.cell import State, select_state
from s2s.search.defaults import ALPHA, CONSTRAINED_BEAM, NORMALIZATION
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy
from s2s_plugins.search.normalization import LengthNormalization, Normalization
from s2s_plugins.search.paths import Paths
from s2s_plugins.search.phrases import Phrases, Progress
from s2s_plugins.search.sizes import check_beam


class _Prefix(NamedTuple):
    total: float  # sum of its log-probabilities
    progress: Progress


class _Candidate(NamedTuple):
    """A live prefix extended by one token; the better one sorts first, ties go to the lower beam."""

    cost: float  # minus the sum of its log-probabilities
    beam: int
    token_cost: float  # minus the log-probability of the token
    token: int
    progress: Progress


class _End(NamedTuple):
    """A finished hypothesis: its prefix, and the log-probability of the end symbol."""

    score: float
    time: int
    beam: int
    log_prob: float


class _Sentence:
    """Search state of one sentence."""

    def __init__(self, phrases: Phrases, limit: int, minimum: int, last_divisor: float) -> None:
        self.phrases = phrases
        self.limit = limit
        self.minimum = minimum
        self.last_divisor = last_divisor
        self.live = [_Prefix(0.0, phrases.begin())]
        self.finished: list[_End] = []
        self.stopped: int | None = None  # the time at which it was done


class ConstrainedBeam(SearchStrategy):
    """Beam search whose finished outputs contain all given phrases: dynamic beam allocation (Post and Vilar 2018).

    Live prefixes are grouped into banks by how many phrase tokens they contain. At every step each prefix is extended
    by its best tokens, and by the next token of each phrase that it does not contain. The beam is divided equally among
    the banks, and the remainder goes to the highest one; places that a bank cannot fill go to the nearest banks that
    can. Only prefixes that contain all phrases may end: if the end is among the best `size` candidates of these, or at
    the limit. Scores, normalization and stopping rule are those of `Beam`; without phrases, so is the search.

    The highest bank that has candidates always gets a place, and a phrase's next token is always a candidate. So there
    is a finished hypothesis whenever the limit is at least the total number of phrase tokens, and none of these is
    impossible in its context. If none is found, the hypotheses are unfinished and list the missing phrases in `unmet`.

    Args:
        size: number of live prefixes per sentence.
        n_best: hypotheses to return for each sentence, at most `size`.
        normalization: how scores are normalized by length (see `Beam`).
        alpha: strength of the normalization; 0 is none.
    """

    def __init__(
        self,
        size: int = CONSTRAINED_BEAM,
        n_best: int = 1,
        normalization: Normalization = NORMALIZATION,
        alpha: float = ALPHA,
    ) -> None:
        check_beam(size, n_best)
        self.size = size
        self.n_best = n_best
        self.lengths = LengthNormalization(normalization, alpha)

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
        phrases: Sequence[Sequence[Sequence[int]]] | None = None,
    ) -> list[list[Hypothesis]]:
        """See `SearchStrategy.search`; at most `n_best` hypotheses for each sentence.

        Args:
            stepper: see `SearchStrategy.search`.
            state: see `SearchStrategy.search`.
            bos: see `SearchStrategy.search`.
            eos: see `SearchStrategy.search`.
            limits: see `SearchStrategy.search`.
            minimums: see `SearchStrategy.search`.
            phrases: for each sentence, the phrases, as token ids, that its outputs must contain.

        Raises:
            ConfigError: a phrase is impossible, or there are phrases for more or fewer sentences.
        """
        device = stepper.source_lengths.device
        phrases = [()] * len(limits) if phrases is None else phrases
        if len(phrases) != len(limits):
            raise ConfigError(
                f"phrases for {len(phrases)} sentences, but there are {len(limits)}; give a list for each"
            )
        least = [0] * len(limits) if minimums is None else minimums.tolist()
        sentences = [
            _Sentence(Phrases(own), limit, minimum, self.lengths.divisor(limit + 1))
            for own, limit, minimum in zip(phrases, limits.tolist(), least, strict=True)
        ]
        paths = Paths(stepper.source_lengths.tolist())
        rows = list(range(len(sentences)))  # the sentence that each row of the batch stands for
        tokens = torch.full((len(rows), 1), bos, dtype=torch.int64, device=device)
        for time in itertools.count() if rows else ():
            step = stepper(tokens, state)
            # A diverged model gives NaN: such tokens are impossible, so the search ends.
            log_probs = step.log_probs.float()
            log_probs = log_probs.masked_fill(log_probs.isnan(), -torch.inf)
            wanted = self._wanted([sentences[index] for index in rows], tokens.size(1), eos)
            best = top(log_probs, self.size + 1)
            wanted_log_probs = log_probs.gather(-1, torch.tensor(wanted, device=device))
            # The only synchronization of a step.
            values = torch.cat([best[0], wanted_log_probs], dim=-1).tolist()
            ids = best[1].tolist()
            grown: list[list[_Candidate]] = []
            for row, index in enumerate(rows):
                going = sentences[index].stopped is None
                known = (values[row], ids[row], wanted[row])
                grown.append(self._extend(sentences[index], *known, time, eos) if going else [])
            width = max(1, max(map(len, grown)))
            nothing = _Candidate(torch.inf, 0, torch.inf, eos, ())
            padded = [own + [nothing] * (width - len(own)) for own in grown]
            parents = torch.tensor([[one.beam for one in own] for own in padded], device=device)
            tokens_of_all = torch.tensor([[one.token for one in own] for own in padded], device=device)
            costs = torch.tensor([[one.token_cost for one in own] for own in padded])
            paths.grow(rows, parents, tokens_of_all, -costs, step.weights)
            for index, own in zip(rows, grown, strict=True):
                self._move(sentences[index], own, time)

            running = [row for row, index in enumerate(rows) if sentences[index].stopped is None]
            if not running:
                break
            beams, tokens = tokens.size(1), tokens_of_all
            kept = torch.arange(len(rows), device=device)
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if len(running) <= len(rows) * 7 // 8:
                kept = torch.tensor(running, device=device)
                stepper, rows = stepper.keep(kept), [rows[row] for row in running]
                tokens, parents = tokens[kept], parents[kept]
            state = select_state(step.state, (kept.unsqueeze(1) * beams + parents).flatten())
        return [self._collect(paths, index, sentence) for index, sentence in enumerate(sentences)]

    def _wanted(self, sentences: list[_Sentence], beams: int, eos: int) -> list[list[list[int]]]:
        # The tokens whose log-probabilities are needed, however low: [rows, beams, wanted], padded with the end symbol.
        wanted = []
        for sentence in sentences:
            live = sentence.live if sentence.stopped is None else []
            known = [sentence.phrases.next_tokens(prefix.progress) for prefix in live]
            wanted.append(known + [[] for _ in range(beams - len(known))])
        widest = max(1, max(len(own) for row in wanted for own in row))
        return [[own + [eos] * (widest - len(own)) for own in row] for row in wanted]

    def _extend(
        self,
        sentence: _Sentence,
        values: list[list[float]],
        ids: list[list[int]],
        wanted: list[list[int]],
        time: int,
        eos: int,
    ) -> list[_Candidate]:
        # The prefixes that stay live, best first; ended ones are added to `finished`.
        phrases = sentence.phrases
        candidates = set()
        for beam, prefix in enumerate(sentence.live):
            for log_prob, token in zip(values[beam], ids[beam] + wanted[beam], strict=True):
                ends = token == eos
                may_end = time >= sentence.minimum and phrases.held(prefix.progress) == phrases.size
                if log_prob > -torch.inf and (may_end or not ends):
                    progress = prefix.progress if ends else phrases.advance(prefix.progress, token)
                    cost = -(prefix.total + log_prob)
                    candidates.add(_Candidate(cost, beam, -log_prob, token, progress))
        ordered = sorted(candidates)
        banks = [phrases.held(one.progress) for one in ordered]
        complete = [one for one, bank in zip(ordered, banks, strict=True) if bank == phrases.size]
        if not phrases.size or time < sentence.limit:
            complete = complete[: self.size]
        divisor = self.lengths.divisor(time + 1)
        sentence.finished += [
            _End(-one.cost / divisor, time, one.beam, -one.token_cost) for one in complete if one.token == eos
        ]
        sentence.finished.sort(key=lambda end: -end.score)
        del sentence.finished[self.n_best :]

        others = [(one, bank) for one, bank in zip(ordered, banks, strict=True) if one.token != eos]
        filled = Counter(bank for _, bank in others)
        places = allocate(self.size, [filled[bank] for bank in range(phrases.size + 1)])
        living = []
        for one, bank in others:
            if places[bank]:
                places[bank] -= 1
                living.append(one)
        return living

    def _move(self, sentence: _Sentence, grown: list[_Candidate], time: int) -> None:
        # Advances to the next time, or stops with the live prefixes of this one.
        if sentence.stopped is not None:
            return
        highest = -grown[0].cost if grown else -torch.inf
        full = len(sentence.finished) == self.n_best
        # No live prefix can overtake: sums only fall, and divisors only grow.
        done = full and highest / sentence.last_divisor <= sentence.finished[-1].score
        if done or not grown or time >= sentence.limit:
            sentence.stopped = time
        else:
            sentence.live = [_Prefix(-one.cost, one.progress) for one in grown]

    def _collect(self, paths: Paths, index: int, sentence: _Sentence) -> list[Hypothesis]:
        time = sentence.stopped
        assert time is not None
        found = [paths.walk(index, end.time, end.beam, end.score, end.log_prob) for end in sentence.finished]
        if found and time < sentence.limit:
            # Every prefix was followed to its end: fewer than n_best outputs are possible.
            return found
        ended = {(end.time, end.beam) for end in sentence.finished}
        divisor = self.lengths.divisor(time)
        for beam, prefix in sorted(enumerate(sentence.live), key=lambda one: -one[1].total):
            if len(found) < self.n_best and (time, beam) not in ended:
                unmet = sentence.phrases.unmet(prefix.progress)
                found.append(paths.walk(index, time, beam, prefix.total / divisor, unmet=unmet))
        return found


def allocate(size: int, filled: Sequence[int]) -> list[int]:
    """Divides a beam among banks (Post and Vilar 2018).

    Args:
        size: number of places in the beam.
        filled: number of candidates in each bank, the bank with the fewest phrase tokens first.

    Returns:
        the places of each bank, never more than its candidates; in total `size`, or all candidates if they are fewer.
    """
    banks = len(filled)
    places = [size // banks] * banks
    places[-1] += size % banks
    for bank in reversed(range(banks)):
        spare = max(0, places[bank] - filled[bank])
        places[bank] -= spare
        for distance in range(1, banks):
            for neighbour in (bank + distance, bank - distance):
                if 0 <= neighbour < banks:
                    given = min(spare, max(0, filled[neighbour] - places[neighbour]))
                    places[neighbour] += given
                    spare -= given
    return places
