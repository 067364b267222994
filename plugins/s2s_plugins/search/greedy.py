"""Greedy search: the most probable token at every step."""

import itertools

import torch
from torch import Tensor

from s2s.nn.cell import State, select_state
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy


class Greedy(SearchStrategy):
    """Takes the most probable token at every step; ties go to the lowest id.

    Scores are sums of log-probabilities.
    """

    tokens_are_final = True

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
        """See `SearchStrategy.search`; one hypothesis for each sentence."""
        device = stepper.source_lengths.device
        source_lengths = stepper.source_lengths.tolist()
        ends = limits.tolist()  # the time at which only the end token is allowed
        minimums = torch.zeros_like(limits) if minimums is None else minimums
        longest_minimum = int(minimums.max()) if len(minimums) else 0
        minimums = minimums.to(device)
        rows = list(range(len(ends)))  # the sentence that each row of the batch stands for
        running = set(rows)
        finished: set[int] = set()
        ids: list[list[int]] = [[] for _ in rows]
        log_probs: list[list[float]] = [[] for _ in rows]  # of `ids`, and of the end token
        weights: list[list[Tensor]] | None = None
        last = torch.full((len(rows), 1), bos, dtype=torch.int64, device=device)
        for time in itertools.count() if rows else ():
            short = time < longest_minimum
            step = stepper.best(last, state, 2 if short else 1)
            state, best, last = step.state, step.log_probs.squeeze(1), step.tokens.squeeze(1)
            if short:
                # Where the end is not allowed yet, the second best token replaces it.
                best = best.masked_fill((last == eos) & (minimums > time).unsqueeze(1), -torch.inf)
                best, second = best.max(dim=1, keepdim=True)
                last = last.gather(1, second)
            if step.weights is not None and weights is None:
                weights = [[] for _ in ids]
            # The only synchronization of a step.
            told = zip(rows, last.flatten().tolist(), best.flatten().tolist(), strict=True)
            for row, (sentence, token, log_prob) in enumerate(told):
                if sentence not in running:
                    continue
                # A diverged model gives NaN: such tokens are impossible, so the search ends.
                if not log_prob > -torch.inf or (time >= ends[sentence] and token != eos):
                    running.remove(sentence)
                    continue
                log_probs[sentence].append(log_prob)
                if token == eos:
                    running.remove(sentence)
                    finished.add(sentence)
                    continue
                ids[sentence].append(token)
                if weights is not None:
                    weights[sentence].append(step.weights[row, 0])  # type: ignore[index]
            if not running:
                break
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if len(running) <= len(rows) * 7 // 8:
                kept = torch.tensor(
                    [row for row, sentence in enumerate(rows) if sentence in running], device=device
                )
                rows = [sentence for sentence in rows if sentence in running]
                stepper, state = stepper.keep(kept), select_state(state, kept)
                last, minimums = last[kept], minimums[kept]
        return [
            [
                Hypothesis(
                    ids[sentence],
                    sum(log_probs[sentence]),
                    log_probs[sentence],
                    sentence in finished,
                    None if weights is None else _stack(weights[sentence], source_lengths[sentence]),
                )
            ]
            for sentence in range(len(ids))
        ]


def _stack(rows: list[Tensor], source_length: int) -> Tensor:
    # [target, source] on the CPU; an empty target has no row to stack.
    return torch.stack(rows)[:, :source_length].float().cpu() if rows else torch.zeros(0, source_length)
