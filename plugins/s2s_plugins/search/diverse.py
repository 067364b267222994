"""Diverse beam search: several beams, each penalized for choosing the tokens of earlier ones."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn.cell import State, select_state
from s2s.search.defaults import ALPHA, DIVERSE_BEAM, GROUPS, NORMALIZATION, STRENGTH
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import MOST_PENALTY
from s2s.search.stepper import Best, Stepper
from s2s.search.strategy import SearchStrategy
from s2s_plugins.search.normalization import LengthNormalization, Normalization
from s2s_plugins.search.paths import Paths
from s2s_plugins.search.sizes import check_beam

_NOTHING = -1  # no token: stands for the next token of a prefix that cannot be extended


class _Finished(NamedTuple):
    """The best finished hypotheses of each group, best first, [rows, groups, share] each; scores are -inf where there
    is none.
    """

    scores: Tensor
    times: Tensor  # tokens of the prefix
    beams: Tensor  # of the prefix
    ends: Tensor  # log-probability of the end

    def select(self, rows: Tensor) -> "_Finished":
        """Some of the rows."""
        return _Finished(*(part[rows] for part in self))


class _Grown(NamedTuple):
    """The candidates of one group at a step, best first."""

    totals: Tensor  # of the candidates, [rows, candidates]
    log_probs: Tensor
    parents: Tensor  # counted over all groups
    tokens: Tensor
    ends: Tensor  # whether it ends the sentence


class DiverseBeam(SearchStrategy):
    """Diverse beam search (Vijayakumar et al. 2016), with Hamming diversity.

    The beam is split into groups of equal size. At every step the groups extend their prefixes one after another; a
    candidate is penalized by `strength` times the number of prefixes that earlier groups extended by the same token at
    this step. The penalty only affects which candidates a group keeps: the first group is a plain beam search, and
    log-probabilities and scores are the model's own.

    Otherwise each group is a separate beam (see `Beam`), and contributes its n_best / groups best hypotheses (rounded
    up); duplicates count once. The `n_best` best of these are returned, so if n_best equals the number of groups there
    is one from each. A sentence is done when no live prefix of any group can still overtake.

    Args:
        size: number of live prefixes per sentence, in all groups together.
        groups: number of groups; must divide `size`.
        strength: strength of the diversity penalty, in log-probability; 0 makes all groups alike.
        n_best: hypotheses to return for each sentence, at most `size`; fewer if groups find the same ones.
        normalization: how scores are normalized by length (see `Beam`).
        alpha: strength of the normalization; 0 is none.
    """

    def __init__(
        self,
        size: int = DIVERSE_BEAM,
        groups: int = GROUPS,
        strength: float = STRENGTH,
        n_best: int = 1,
        normalization: Normalization = NORMALIZATION,
        alpha: float = ALPHA,
    ) -> None:
        check_beam(size, n_best)
        if not 1 <= groups <= size or size % groups:
            fitting = [number for number in range(1, size + 1) if size % number == 0]
            raise ConfigError(
                f"groups {groups} do not divide a beam of {size}; choose one of {', '.join(map(str, fitting))}"
            )
        if not 0 <= strength <= MOST_PENALTY:
            raise ConfigError(
                f"strength {strength} is impossible; it must be 0 or more, and at most {MOST_PENALTY:,}"
            )
        self.size = size
        self.groups = groups
        self.strength = strength
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
    ) -> list[list[Hypothesis]]:
        """See `SearchStrategy.search`; at most `n_best` hypotheses for each sentence."""
        device = stepper.source_lengths.device
        last_times = limits.tolist()
        limits = limits.to(device)
        minimums = torch.zeros_like(limits) if minimums is None else minimums.to(device)
        last_divisors = self.lengths.divisors(limits + 1).view(-1, 1)
        sentences = list(range(len(limits)))  # the sentence that each row of the batch stands for
        paths = Paths(stepper.source_lengths.tolist())
        share = -(-self.n_best // self.groups)
        shape = (len(sentences), self.groups, share)
        finished = _Finished(
            torch.full(shape, -torch.inf, dtype=torch.float64, device=device),
            torch.zeros(shape, dtype=torch.int64, device=device),
            torch.zeros(shape, dtype=torch.int64, device=device),
            torch.zeros(shape, device=device),
        )
        live = torch.zeros(len(sentences), 1, dtype=torch.float64, device=device)
        tokens = torch.full((len(sentences), 1), bos, dtype=torch.int64, device=device)
        results: list[list[Hypothesis]] = [[] for _ in sentences]
        leavers: list[tuple[list[int], int, _Finished, Tensor]] = []
        for time in itertools.count() if sentences else ():
            # Whatever earlier groups choose, a group's best candidates are among this many: they choose at most `size`
            # minus its own share.
            step = stepper.best(tokens, state, self.size + 1)
            # A diverged model gives NaN: such tokens are impossible, so the search ends.
            log_probs = step.log_probs.masked_fill(step.log_probs.isnan(), -torch.inf)
            too_short = (step.tokens == eos) & (minimums > time).view(-1, 1, 1)
            step = step._replace(log_probs=log_probs.masked_fill(too_short, -torch.inf))
            beams = tokens.size(1)

            grown = self._grow(live, step, eos, time)
            finished = self._finish(finished, grown, time)
            width = self.size // self.groups
            kept = [_live(group, width) for group in grown]
            next_live = torch.cat([group.totals for group in kept], dim=1)
            parents = torch.cat([group.parents for group in kept], dim=1)
            tokens = torch.cat([group.tokens for group in kept], dim=1)
            own = torch.cat([group.log_probs for group in kept], dim=1)
            paths.grow(sentences, parents, tokens, own, step.weights)

            best = next_live.unflatten(1, (self.groups, -1)).amax(dim=-1)
            done = (best / last_divisors <= finished.scores[..., -1]).all(dim=1)
            # A sentence must leave at once if it may not or cannot be extended, or its live prefixes would be lost.
            must_leave = (limits <= time) | (best == -torch.inf).all(dim=1)
            leaves = (done.long() + 2 * must_leave.long()).tolist()  # the only synchronization of a step
            rows = torch.arange(len(sentences), device=device)
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if max(leaves) >= 2 or 8 * sum(leaves) >= len(leaves):
                leaving = torch.tensor([row for row, leave in enumerate(leaves) if leave], device=device)
                rows = torch.tensor(
                    [row for row, leave in enumerate(leaves) if not leave], device=device
                ).long()
                gone = [sentences[row] for row, leave in enumerate(leaves) if leave]
                scores = live[leaving] / self.lengths.divisor(time)
                leavers.append((gone, time, finished.select(leaving), scores))
                sentences = [sentences[row] for row, leave in enumerate(leaves) if not leave]
                if not sentences:
                    break
                stepper, finished = stepper.keep(rows), finished.select(rows)
                limits, minimums, last_divisors = limits[rows], minimums[rows], last_divisors[rows]
                next_live, parents, tokens = next_live[rows], parents[rows], tokens[rows]
            live = next_live
            state = select_state(step.state, (rows.unsqueeze(1) * beams + parents).flatten())
        for gone, time, found, scores in leavers:
            lists = zip(gone, *(part.tolist() for part in found), scores.tolist(), strict=True)
            for sentence, *parts, prefixes in lists:
                cut = time == last_times[sentence]
                results[sentence] = self._collect(paths, sentence, time, parts, prefixes, cut)
        return results

    def _grow(self, live: Tensor, step: Best, eos: int, time: int) -> list[_Grown]:
        # Group by group; at the first step all of them extend the single empty prefix.
        width = self.size // self.groups
        said: list[Tensor] = []  # tokens by which earlier groups extend their prefixes, [rows, width] each
        grown = []
        for group in range(self.groups):
            own = _beams(group, live.size(1) // self.groups if time else 0)
            ids, log_probs = step.tokens[:, own], step.log_probs[:, own]
            totals = live[:, own].unsqueeze(-1) + log_probs
            ranks = totals
            if said:
                taken = torch.cat(said, dim=1).view(len(ids), 1, 1, -1)
                ranks = totals - self.strength * (ids.unsqueeze(-1) == taken).sum(dim=-1)
            # The sort is stable and candidates are ordered by beam, so ties go to the lower beam, then to the likelier
            # token, then to the lower id. Of the best 2 * width at most `width` are ends.
            places = ranks.flatten(1).sort(dim=1, descending=True, stable=True).indices[:, : 2 * width]
            tokens = ids.flatten(1).gather(1, places)
            candidates = _Grown(
                totals.flatten(1).gather(1, places),
                log_probs.flatten(1).gather(1, places),
                places // ids.size(-1) + own.start,
                tokens,
                tokens == eos,
            )
            grown.append(candidates)
            kept = _live(candidates, width)
            said.append(kept.tokens.masked_fill(kept.totals == -torch.inf, _NOTHING))
        return grown

    def _finish(self, finished: _Finished, grown: list[_Grown], time: int) -> _Finished:
        # Ends among the best `width` candidates of a group; on ties the earlier one stays first.
        width = self.size // self.groups
        ends = torch.stack([group.ends[:, :width] for group in grown], dim=1)
        totals = torch.stack([group.totals[:, :width] for group in grown], dim=1)
        parents = torch.stack([group.parents[:, :width] for group in grown], dim=1)
        new = _Finished(
            (totals / self.lengths.divisor(time + 1)).masked_fill(~ends, -torch.inf),
            torch.full_like(parents, time),
            parents,
            torch.stack([group.log_probs[:, :width] for group in grown], dim=1),
        )
        both = _Finished(*(torch.cat(pair, dim=-1) for pair in zip(finished, new, strict=True)))
        order = both.scores.sort(dim=-1, descending=True, stable=True).indices
        order = order[..., : finished.scores.size(-1)]
        return _Finished(*(part.gather(-1, order) for part in both))

    def _collect(
        self,
        paths: Paths,
        sentence: int,
        time: int,
        finished: list[list[list[float]]],
        prefixes: list[float],
        cut: bool,
    ) -> list[Hypothesis]:
        share = len(finished[0][0])
        found: list[Hypothesis] = []
        missing = []
        for own in zip(*finished, strict=True):
            ended = [one for one in zip(*own, strict=True) if one[0] > -torch.inf]
            found += [
                paths.walk(sentence, int(length), int(beam), score, end) for score, length, beam, end in ended
            ]
            missing.append(share - len(ended))
        if cut or not found:
            # The limit came first, or nothing was found at all: fill the remaining places with live prefixes.
            for group, places in enumerate(missing):
                beams = range(len(prefixes))[_beams(group, len(prefixes) // self.groups if time else 0)]
                alive = [beam for beam in beams if prefixes[beam] > -torch.inf]
                alive.sort(key=lambda beam: -prefixes[beam])
                unended = [paths.walk(sentence, time, beam, prefixes[beam]) for beam in alive]
                known = [tuple(one.tokens) for one in found]
                found += [one for one in unended if tuple(one.tokens) not in known][:places]
        distinct: dict[tuple[int, ...], Hypothesis] = {}
        for one in found:
            distinct.setdefault(tuple(one.tokens), one)
        return sorted(distinct.values(), key=lambda one: (not one.finished, -one.score))[: self.n_best]


def _beams(group: int, width: int) -> slice:
    """The beams of a group; with a width of 0 the single beam that all groups begin with."""
    return slice(group * width, (group + 1) * width) if width else slice(0, 1)


def _live(grown: _Grown, width: int) -> _Grown:
    """The best `width` candidates that do not end the sentence; totals of -inf where there are fewer."""
    others = grown.ends.to(torch.uint8).sort(dim=1, stable=True).indices[:, :width]
    totals = grown.totals.masked_fill(grown.ends, -torch.inf)
    return _Grown(*(part.gather(1, others) for part in grown._replace(totals=totals)))
