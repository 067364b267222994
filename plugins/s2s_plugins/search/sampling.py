"""Sampling: outputs drawn from the model's distribution, or from its most probable tokens only."""

import itertools
from typing import NamedTuple

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


class _Drawn(NamedTuple):
    """The tokens drawn at one step."""

    rows: dict[int, int]  # sentence -> row
    tokens: Tensor  # [rows, samples]
    log_probs: Tensor  # [rows, samples]
    weights: Tensor | None  # [rows, samples, source]


class Sampling(SearchStrategy):
    """Draws outputs token by token.

    The model's distribution p is turned into p^(1 / temperature), then restricted to the `top_k` most probable tokens
    (Fan et al. 2018), then to the smallest set of most probable tokens that has at least a share of `top_p` of the
    remaining probability (nucleus; Holtzman et al. 2020), and renormalized each time. Of equally probable tokens the
    lower id is kept first.

    Samples depend only on the seed and the sentence (`Stepper.fingerprints`): a sentence gives the same samples in
    every batch, order and thread, and each time that it occurs. Samples are drawn with replacement, and duplicates are
    kept, as Monte Carlo estimates need them. Scores are sums of the model's own log-probabilities, before temperature,
    top_k and top_p.

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
        source_lengths = stepper.source_lengths.tolist()
        limits = limits.to(device)
        minimums = torch.zeros_like(limits) if minimums is None else minimums.to(device)
        longest_minimum = int(minimums.max()) if len(minimums) else 0
        rows = list(range(len(limits)))  # the sentence that each row of the batch stands for
        lengths = [
            [-1] * self.samples for _ in rows
        ]  # symbols of each sample, including the end; -1: not done
        drawn: list[_Drawn] = []
        last = torch.full((len(rows), self.samples), bos, dtype=torch.int64, device=device)
        if rows:
            streams = self._streams(stepper.fingerprints())
            repeated = torch.arange(len(rows), device=device).repeat_interleave(self.samples)
            state = select_state(state, repeated)
        for time in itertools.count() if rows else ():
            barred = (minimums > time).view(-1, 1, 1) if time < longest_minimum else None
            numbers = uniform(mixed(streams[rows], words(np.array([time]))))
            last, chosen, state, weights = self._draw(
                stepper, last, state, torch.from_numpy(numbers).to(device), barred, eos
            )
            drawn.append(_Drawn({sentence: row for row, sentence in enumerate(rows)}, last, chosen, weights))

            # The only synchronization of a step. 0: continues; 1: ended by its end; 2: cut off before this token.
            cut = (chosen == -torch.inf) | ((limits <= time).unsqueeze(1) & (last != eos))
            for sentence, outcomes in zip(
                rows, torch.where(cut, 2, (last == eos).long()).tolist(), strict=True
            ):
                own = lengths[sentence]
                for sample, outcome in enumerate(outcomes):
                    if outcome and own[sample] < 0:
                        own[sample] = time + 1 if outcome == 1 else time
            running = [sentence for sentence in rows if min(lengths[sentence]) < 0]
            if not running:
                break
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if len(running) <= len(rows) * 7 // 8:
                kept = torch.tensor([drawn[-1].rows[sentence] for sentence in running], device=device)
                samples = torch.arange(self.samples, device=device)
                stepper, rows = stepper.keep(kept), running
                state = select_state(state, (kept.unsqueeze(1) * self.samples + samples).flatten())
                last, limits, minimums = last[kept], limits[kept], minimums[kept]
        return self._collect(drawn, lengths, source_lengths, eos)

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
        # Tokens and their log-probabilities, [sentences, samples] each; `barred` is where the end is not allowed yet.
        if self.top_k is None:
            step = stepper(last, state)
            log_probs, state, weights = step.log_probs, step.state, step.weights
            ids = torch.arange(log_probs.size(-1), device=last.device).expand(log_probs.shape)
        else:
            # One more where the end is not allowed.
            best = stepper.best(last, state, self.top_k + (barred is not None))
            log_probs, ids, state, weights = best.log_probs, best.tokens, best.state, best.weights
        log_probs = log_probs.float()
        # A diverged model gives NaN: such tokens are impossible.
        log_probs = log_probs.masked_fill(log_probs.isnan(), -torch.inf)
        if barred is not None:
            log_probs = log_probs.masked_fill((ids == eos) & barred, -torch.inf)
        if self.top_k is not None and barred is not None:
            log_probs, order = log_probs.sort(dim=-1, descending=True, stable=True)
            log_probs, ids = log_probs[..., : self.top_k], ids.gather(-1, order[..., : self.top_k])
        peak = log_probs.amax(dim=-1, keepdim=True)  # values near it keep their precision at any temperature
        total = peak + self.temperature * ((log_probs - peak) / self.temperature).logsumexp(
            dim=-1, keepdim=True
        )
        if self.top_k is not None or self.top_p == 1:
            return *self._pick(log_probs, ids, total, numbers), state, weights
        # Sorting the vocabulary is slow: most nuclei are small, so all of it is sorted only for the others.
        likely, ids = top(log_probs, _LIKELY)
        tokens, values = self._pick(likely, ids, total, numbers)
        wide = ~(self._shares(likely, total).sum(dim=-1, dtype=torch.float64) >= self.top_p)
        if wide.any():
            everything, ids = log_probs[wide].sort(dim=-1, descending=True, stable=True)
            tokens[wide], values[wide] = self._pick(everything, ids, total[wide], numbers[wide])
        return tokens, values, state, weights

    def _shares(self, log_probs: Tensor, total: Tensor) -> Tensor:
        # Where all tokens are impossible, all shares are 0.
        return ((log_probs - total) / self.temperature).exp().nan_to_num(0.0)

    def _pick(self, log_probs: Tensor, ids: Tensor, total: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        # Inverse transform sampling: the chosen tokens and their log-probabilities. Candidates [..., candidates] are
        # best first if there is a nucleus; `total` is the log-probability at which a token's share would be 1.
        shares = self._shares(log_probs, total)
        sums = shares.cumsum(dim=-1, dtype=torch.float64)
        if self.top_p < 1:
            shares = shares.masked_fill(sums - shares >= self.top_p, 0.0)
            sums = shares.cumsum(dim=-1, dtype=torch.float64)
        # The first token whose cumulative share exceeds the number: never one without a share.
        wanted = numbers.unsqueeze(-1) * sums[..., -1:]
        place = torch.searchsorted(sums, wanted, right=True).clamp(max=sums.size(-1) - 1)
        return ids.gather(-1, place).squeeze(-1), log_probs.gather(-1, place).squeeze(-1)

    def _collect(
        self, drawn: list[_Drawn], lengths: list[list[int]], source_lengths: list[int], eos: int
    ) -> list[list[Hypothesis]]:
        tokens = [step.tokens.tolist() for step in drawn]
        log_probs = [step.log_probs.tolist() for step in drawn]
        results = []
        for sentence, ends in enumerate(lengths):
            found = []
            for sample, length in enumerate(ends):
                path = [(time, drawn[time].rows[sentence]) for time in range(length)]
                ids = [tokens[time][row][sample] for time, row in path]
                own = [log_probs[time][row][sample] for time, row in path]
                finished = bool(ids) and ids[-1] == eos
                ids = ids[:-1] if finished else ids
                attended = None
                if drawn[0].weights is not None:
                    looked = [drawn[time].weights[row, sample] for time, row in path[: len(ids)]]  # type: ignore[index]
                    width = source_lengths[sentence]
                    attended = (
                        torch.stack(looked)[:, :width].float().cpu() if looked else torch.zeros(0, width)
                    )
                found.append(Hypothesis(ids, sum(own), own, finished, attended))
            results.append(sorted(found, key=lambda one: (not one.finished, -one.score)))
        return results
