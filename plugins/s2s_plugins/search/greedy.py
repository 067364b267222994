"""Greedy search: the most probable token at every step."""

import itertools

import torch
from torch import Tensor

from s2s.nn.cell import State, select_state
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy


class Greedy(SearchStrategy):
    """Takes the most probable token at every step; among equals the lowest id.

    Scores are sums of log-probabilities.
    """

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
        limits = limits.to(device)
        minimums = torch.zeros_like(limits) if minimums is None else minimums.to(device)
        longest_minimum = int(minimums.max()) if len(minimums) else 0
        rows = list(range(len(limits)))  # the sentence that each row of the batch stands for
        running = set(rows)
        lengths = [0] * len(rows)  # symbols of each sentence, the end counted
        steps: list[tuple[dict[int, int], Tensor, Tensor, Tensor | None]] = []
        last = torch.full((len(rows), 1), bos, dtype=torch.int64, device=device)
        for time in itertools.count() if rows else ():
            short = time < longest_minimum
            step = stepper.best(last, state, 2 if short else 1)
            state, best, last = step.state, step.log_probs.squeeze(1), step.tokens.squeeze(1)
            if short:
                # Where the end may not come yet, the second best takes its place.
                best = best.masked_fill((last == eos) & (minimums > time).unsqueeze(1), -torch.inf)
                best, second = best.max(dim=1, keepdim=True)
                last = last.gather(1, second)
            # A model that has diverged says NaN: nothing follows, and the search ends.
            best = best.masked_fill(best.isnan(), -torch.inf)
            steps.append(({sentence: row for row, sentence in enumerate(rows)}, last, best, step.weights))

            # The only synchronization of a step. 0: goes on; 1: ended by its end token; 2: cut off before
            # this token.
            cut = (best == -torch.inf) | ((limits <= time).unsqueeze(1) & (last != eos))
            outcome = torch.where(cut, 2, (last == eos).long()).squeeze(1).tolist()
            for row, sentence in enumerate(rows):
                if outcome[row] and sentence in running:
                    running.remove(sentence)
                    lengths[sentence] = time + 1 if outcome[row] == 1 else time
            if not running:
                break
            # A smaller batch is faster, but making it smaller copies the memory: wait until it is worth it.
            if len(running) <= len(rows) * 7 // 8:
                kept = torch.tensor(
                    [row for row, sentence in enumerate(rows) if sentence in running], device=device
                ).long()
                rows = [sentence for sentence in rows if sentence in running]
                stepper, state = stepper.keep(kept), select_state(state, kept)
                last, limits, minimums = last[kept], limits[kept], minimums[kept]
        tokens = [chosen.flatten().tolist() for _, chosen, _, _ in steps]
        scores = [chosen.flatten().tolist() for _, _, chosen, _ in steps]
        results = []
        for sentence, length in enumerate(lengths):
            path = [(time, steps[time][0][sentence]) for time in range(length)]
            ids = [tokens[time][row] for time, row in path]
            log_probs_of_ids = [scores[time][row] for time, row in path]
            finished = bool(ids) and ids[-1] == eos
            ids = ids[:-1] if finished else ids
            weights = None
            if steps and steps[0][3] is not None:
                chosen = [steps[time][3][row, 0] for time, row in path[: len(ids)]]  # type: ignore[index]
                weights = _stack(chosen, source_lengths[sentence])
            results.append([Hypothesis(ids, sum(log_probs_of_ids), log_probs_of_ids, finished, weights)])
        return results


def _stack(rows: list[Tensor], source_length: int) -> Tensor:
    # [target, source] on the CPU; an empty target has no row to stack.
    return torch.stack(rows)[:, :source_length].float().cpu() if rows else torch.zeros(0, source_length)
