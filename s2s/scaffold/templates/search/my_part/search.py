"""A search that does not repeat itself."""

import torch
from s2s.errors import ConfigError
from s2s.nn import State
from s2s.search.hypotheses import Hypothesis
from s2s.search.stepper import Stepper
from s2s.search.strategy import SearchStrategy
from torch import Tensor


class MyPart(SearchStrategy):
    """Greedy search that repeats no trigram.

    Tokens that would repeat a trigram of the output are excluded (Paulus et al. 2018).

    Args:
        size: how many tokens may not come in the same order twice; 3: trigrams.
    """

    # A requirement violated on purpose: the kit expects this check to fail, and reports it if it passes.
    expected_failures = {"certain": "however sure the model is, no trigram comes twice"}

    def __init__(self, *, size: int = 3) -> None:
        if size < 1:
            raise ConfigError(f"size {size} is impossible; it must be 1 or more")
        self.size = size

    # It sees a Stepper, never a model: last tokens and state in, log-probabilities and next
    # state out. Keep nothing of a sentence on `self`: several threads search at once.
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
        """One hypothesis for each sentence, scored by the sum of its log-probabilities."""
        most = limits.tolist()
        fewest = [0] * len(most) if minimums is None else minimums.tolist()
        outputs: list[list[int]] = [[] for _ in most]
        log_probs: list[list[float]] = [[] for _ in most]  # one more than tokens, if the end came
        attended: list[Tensor] = []  # [sentences, source], one for each step
        running = set(range(len(most)))
        last = torch.full((len(most), 1), bos, device=stepper.source_lengths.device)
        while running:
            step = stepper(last, state)  # log_probs: [sentences, beams, vocabulary], one beam here
            state, scores = step.state, step.log_probs.squeeze(1)
            scores = scores.masked_fill(scores.isnan(), -torch.inf)
            for row in running:
                early = [eos] if len(outputs[row]) < fewest[row] else []
                scores[row, self.repeating(outputs[row]) + early] = -torch.inf
            best, chosen = scores.max(dim=-1)
            last = chosen.unsqueeze(1)
            if step.weights is not None:
                attended.append(step.weights.squeeze(1))
            for row in sorted(running):
                token, score = int(chosen[row]), float(best[row])
                full = token != eos and len(outputs[row]) == most[row]
                cut = full or score == -torch.inf  # at its limit, or nothing can follow
                if not cut:
                    log_probs[row].append(score)
                if cut or token == eos:
                    running.remove(row)
                else:
                    outputs[row].append(token)
        weights = torch.stack(attended, dim=1).float().cpu() if attended else None
        lengths = stepper.source_lengths.tolist()
        found = []
        for row, tokens in enumerate(outputs):
            score, finished = sum(log_probs[row]), len(log_probs[row]) > len(tokens)
            looked = None if weights is None else weights[row, : len(tokens), : lengths[row]]
            found.append([Hypothesis(tokens, score, log_probs[row], finished, looked)])
        return found

    def repeating(self, tokens: list[int]) -> list[int]:
        """Tokens that would complete a sequence that the output already has."""
        before = tokens[len(tokens) - self.size + 1 :]
        ends = range(self.size - 1, len(tokens))
        return [tokens[i] for i in ends if tokens[i - self.size + 1 : i] == before]
