"""Sampling: outputs drawn from the model's distribution, or from its most probable tokens only."""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from s2s.errors import ConfigError
from s2s.nn import top
from s2s.nn.cell import State, select_state
from s2s.search.defaults import SAMPLES, SEED, TEMPERATURE, TOP_P
from s2s.search.hypotheses import Hypothesis
from s2s.search.limits import MOST_AT_ONCE, TEMPERATURES
from s2s.search.randomness import mixed, uniform, words
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy

_LIKELY = 32
"""Number of most probable tokens among which a nucleus is searched for first."""


@dataclass
class _Sample:
    """What has been drawn of one output so far."""

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    looked: list[Tensor] = field(default_factory=list)  # attention weights of each token, [source]
    finished: bool = False


class Sampling(SearchStrategy):
    """Draws outputs token by token.

    The model's distribution p is turned into p^(1 / temperature), then restricted to the `top_k` most probable tokens
    (Fan et al. 2018), then to the smallest set of most probable tokens that has at least a share of `top_p` of the
    remaining probability (nucleus; Holtzman et al. 2020), and renormalized each time. Of equally probable tokens the
    lower id is kept first.

    Samples depend only on the seed and the sentence (`Stepper.fingerprints`): a sentence gives the same samples in
    every batch, order and thread, and each time that it occurs. That holds as far as its log-probabilities are the
    same: their last bits may depend on the batch, and a draw among thousands of very improbable tokens may then fall on
    a neighbour (`top_k` and `top_p` leave these out). Samples are drawn with replacement, and duplicates are kept, as
    Monte Carlo estimates need them. Scores are sums of the model's own log-probabilities, before temperature, top_k and
    top_p.

    The model computes a step once for all samples that have the same tokens so far.

    Args:
        samples: how many outputs to draw for each sentence.
        temperature: below 1 sharpens the distribution, above 1 flattens it.
        top_k: draw from this many most probable tokens; None: from all.
        top_p: draw from the most probable tokens that together have this share of the probability; 1: from all.
        seed: seed of the random numbers.
    """

    draws = True
    tokens_are_final = True

    def __init__(
        self,
        samples: int = SAMPLES,
        temperature: float = TEMPERATURE,
        top_k: int | None = None,
        top_p: float = TOP_P,
        seed: int = SEED,
    ) -> None:
        if not 1 <= samples <= MOST_AT_ONCE:
            raise ConfigError(
                f"samples {samples} is impossible; it must be 1 or more, and at most {MOST_AT_ONCE:,}"
            )
        coldest, hottest = TEMPERATURES
        if not coldest <= temperature <= hottest:
            raise ConfigError(
                f"temperature {temperature} is impossible; it must be above 0 (Greedy takes the likeliest token), from "
                f"{coldest} to {hottest:,}"
            )
        if top_k is not None and top_k < 1:
            raise ConfigError(f"top_k {top_k} is impossible; it must be 1 or more, or None for all tokens")
        if not 0 < top_p <= 1:
            raise ConfigError(f"top_p {top_p} is impossible; it must be above 0 and at most 1")
        if not -(2**63) <= seed < 2**63:
            raise ConfigError(f"seed {seed} is impossible; it must have 64 bits at most")
        self.samples = samples
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed

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
        """See `SearchStrategy.search`; `samples` hypotheses for each sentence."""
        device = stepper.source_lengths.device
        source_lengths, last_times = stepper.source_lengths.tolist(), limits.tolist()
        minimums = torch.zeros_like(limits) if minimums is None else minimums
        minimums = minimums.to(device)
        longest_minimum = int(minimums.max()) if len(minimums) else 0
        rows = list(range(len(last_times)))  # the sentence that each row of the batch stands for
        found = [[_Sample() for _ in range(self.samples)] for _ in rows]
        # The samples of each prefix of each row. Prefixes of a row differ, and their samples are still being drawn.
        groups = [[list(range(self.samples))] for _ in rows]
        last = torch.full((len(rows), 1), bos, dtype=torch.int64, device=device)
        streams = self._streams(stepper.fingerprints()) if rows else np.empty((0, 0), np.uint64)
        weights: Tensor | None = None
        for time in itertools.count() if rows else ():
            barred = (minimums > time).view(-1, 1, 1) if time < longest_minimum else None
            own_streams = streams[np.array(rows)[:, None, None], _rectangle(groups)]
            numbers = torch.from_numpy(uniform(mixed(own_streams, words(np.array([time]))))).to(device)
            tokens, log_probs, state, weights = self._draw(stepper, last, state, numbers, barred, eos)
            drawn = zip(
                tokens.tolist(), log_probs.tolist(), strict=True
            )  # the only synchronization of a step
            followed = [
                self._extend(
                    found[sentence],
                    groups[row],
                    *outcome,
                    None if weights is None else weights[row],
                    last=time >= last_times[sentence],
                    eos=eos,
                )
                for row, (sentence, outcome) in enumerate(zip(rows, drawn, strict=True))
            ]
            width, prefixes = max(map(len, followed)), last.size(1)
            if not width:
                break
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            kept = [row for row, following in enumerate(followed) if following]
            if len(kept) <= len(rows) * 7 // 8:
                index = torch.tensor(kept, device=device)
                stepper, minimums = stepper.keep(index), minimums[index]
                rows, followed = [rows[row] for row in kept], [followed[row] for row in kept]
            else:
                kept = list(range(len(rows)))
            groups = [list(following.values()) for following in followed]
            # Each row has as many prefixes as the one that has most; the others repeat one that nobody reads.
            ends = [[*following, *[(0, eos)] * (width - len(following))] for following in followed]
            origins, last = torch.tensor(ends, device=device).unbind(-1)
            origins = origins + prefixes * torch.tensor(kept, device=device).unsqueeze(1)
            state = select_state(state, origins.flatten())
        return [
            self._collect(samples, source_length, with_weights=weights is not None)
            for samples, source_length in zip(found, source_lengths, strict=True)
        ]

    @staticmethod
    def _extend(
        samples: list[_Sample],
        groups: list[list[int]],
        tokens: list[list[int]],
        log_probs: list[list[float]],
        weights: Tensor | None,
        *,
        last: bool,
        eos: int,
    ) -> dict[tuple[int, int], list[int]]:
        """Add what was drawn to the samples of a sentence.

        Args:
            samples: all of the sentence.
            groups: the samples of each prefix.
            tokens: what was drawn for these, [prefixes, at least as many as the prefix has samples].
            log_probs: like `tokens`; -inf where there is no token that can follow.
            weights: attention of each prefix, [prefixes, source].
            last: whether only the end can follow.
            eos: the token that ends a sample.

        Returns:
            The samples that go on, by prefix and token.
        """
        followed: dict[tuple[int, int], list[int]] = {}
        for prefix, members in enumerate(groups):
            for sample, token, log_prob in zip(members, tokens[prefix], log_probs[prefix], strict=False):
                one = samples[sample]
                if log_prob == -math.inf or (last and token != eos):
                    continue
                one.log_probs.append(log_prob)
                if token == eos:
                    one.finished = True
                    continue
                one.tokens.append(token)
                if weights is not None:
                    one.looked.append(weights[prefix])
                followed.setdefault((prefix, token), []).append(sample)
        return followed

    def _streams(self, fingerprints: Tensor) -> np.ndarray:
        # [sentences, samples]
        seeded = mixed(words(np.array([self.seed])), words(fingerprints.cpu().numpy()))
        return mixed(seeded[:, None], words(np.arange(self.samples)))

    def _draw(
        self,
        stepper: Stepper,
        last: Tensor,
        state: State,
        numbers: Tensor,
        barred: Tensor | None,
        eos: int,
    ) -> tuple[Tensor, Tensor, State, Tensor | None]:
        # Tokens and their log-probabilities, one for each of the numbers, [rows, prefixes, samples] each; `barred` is
        # where the end is not allowed yet.
        if self.top_k is None:
            step = stepper(last, state)
            log_probs, state, weights = step.log_probs, step.state, step.weights
            ids = torch.arange(log_probs.size(-1), device=last.device).expand(log_probs.shape)
        else:
            # One more where the end is not allowed.
            best = stepper.best(last, state, self.top_k + (barred is not None))
            log_probs, ids, state, weights = best.log_probs, best.tokens, best.state, best.weights
        # A diverged model gives NaN: such tokens are impossible.
        log_probs = log_probs.float().nan_to_num(nan=-torch.inf, neginf=-torch.inf)
        if barred is not None:
            log_probs = log_probs.masked_fill((ids == eos) & barred, -torch.inf)
        if self.top_k is not None and barred is not None:
            log_probs, order = log_probs.sort(dim=-1, descending=True, stable=True)
            log_probs, ids = log_probs[..., : self.top_k], ids.gather(-1, order[..., : self.top_k])
        # Shares are relative to that of the best token, which keeps their precision at any temperature. Finite, so that
        # all shares are 0 where all tokens are impossible.
        peak = log_probs.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(log_probs.dtype).min)
        if self.top_p == 1:
            return *self._pick(log_probs, ids, peak, None, numbers), state, weights
        total = self._shares(log_probs, peak).sum(dim=-1, keepdim=True, dtype=torch.float64)
        if self.top_k is not None:
            return *self._pick(log_probs, ids, peak, total, numbers), state, weights
        # Sorting the vocabulary is slow: most nuclei are small, so all of it is sorted only for the others.
        likely, ids = top(log_probs, _LIKELY)
        tokens, values = self._pick(likely, ids, peak, total, numbers)
        wide = self._shares(likely, peak).sum(dim=-1, dtype=torch.float64) < self.top_p * total.squeeze(-1)
        if wide.any():
            everything, ids = log_probs[wide].sort(dim=-1, descending=True, stable=True)
            tokens[wide], values[wide] = self._pick(everything, ids, peak[wide], total[wide], numbers[wide])
        return tokens, values, state, weights

    def _shares(self, log_probs: Tensor, peak: Tensor) -> Tensor:
        return (log_probs - peak).div_(self.temperature).exp_()

    def _pick(
        self, log_probs: Tensor, ids: Tensor, peak: Tensor, total: Tensor | None, numbers: Tensor
    ) -> tuple[Tensor, Tensor]:
        # Inverse transform sampling: the chosen tokens and their log-probabilities, one for each of the numbers
        # [..., samples]. With a nucleus, candidates [..., candidates] are best first, and `total` is the sum of the
        # shares of all that could be candidates.
        shares = self._shares(log_probs, peak)
        sums = shares.cumsum(dim=-1, dtype=torch.float64)
        if total is not None:
            shares = shares.masked_fill(sums - shares >= self.top_p * total, 0.0)
            sums = shares.cumsum(dim=-1, dtype=torch.float64)
        # The first token whose cumulative share exceeds the number: never one without a share.
        wanted = numbers * sums[..., -1:]
        place = torch.searchsorted(sums, wanted, right=True).clamp(max=sums.size(-1) - 1)
        return ids.gather(-1, place), log_probs.gather(-1, place)

    def _collect(self, samples: list[_Sample], source_length: int, *, with_weights: bool) -> list[Hypothesis]:
        found = []
        for one in samples:
            attended = None
            if with_weights:
                looked = torch.stack(one.looked) if one.looked else torch.zeros(0, source_length)
                attended = looked[:, :source_length].float().cpu()
            found.append(Hypothesis(one.tokens, sum(one.log_probs), one.log_probs, one.finished, attended))
        return sorted(found, key=lambda one: (not one.finished, -one.score))


def _rectangle(groups: list[list[list[int]]]) -> np.ndarray:
    """The members of all groups, filled up with 0, [rows, groups, members]."""
    width, depth = max(map(len, groups)), max(len(members) for row in groups for members in row)
    filled = np.zeros((len(groups), width, depth), np.int64)
    for row, own in enumerate(groups):
        for place, members in enumerate(own):
            filled[row, place, : len(members)] = members
    return filled
