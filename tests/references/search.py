"""Search by hand: a model small enough to list all that it can say, and a beam search written for reading."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from s2s.search.stepper import Step, Stepper

PAD, BOS, EOS = 0, 2, 3


class TableStepper(Stepper):
    """A trigram table of each sentence: log P(token | token before the last, last token).

    The token before the last is the state, so a beam whose state went astray scores differently. Sentences
    leave with their tables; `calls` counts the rows that were computed.

    Args:
        tables: log-probabilities, [sentences, vocabulary, vocabulary, vocabulary].
    """

    def __init__(
        self, tables: Tensor, calls: list[tuple[int, int]] | None = None, weights: Tensor | None = None
    ) -> None:
        self.tables = tables
        self.calls = [] if calls is None else calls
        self.weights = weights
        self.source_lengths = torch.full((len(tables),), 4)

    def initial_state(self) -> tuple[Tensor]:
        return (torch.full((len(self.tables), 1), BOS),)

    def __call__(self, tokens: Tensor, state: tuple[Tensor]) -> Step:
        sentences, beams = tokens.shape
        assert sentences == len(self.tables), "the batch and the memory of the sentences have parted"
        self.calls.append((sentences, beams))
        before = state[0].view(sentences, beams)
        rows = torch.arange(sentences).unsqueeze(1)
        log_probs = self.tables[rows, before, tokens]
        weights = None
        if self.weights is not None:
            # Attention that tells which pair of tokens it followed.
            weights = torch.stack(
                [before, tokens, before * 0 + 1, tokens * 0 + 2, tokens * 0], dim=-1
            ).float()
        return Step(log_probs, (tokens.reshape(-1, 1),), weights)

    def fingerprints(self) -> Tensor:
        return torch.tensor([zlib.crc32(table.numpy().tobytes()) for table in self.tables])

    def keep(self, sentences: Tensor) -> TableStepper:
        return TableStepper(self.tables[sentences], self.calls, self.weights)


def random_tables(sentences: int, vocabulary: int, seed: int, sharpness: float = 1.0) -> Tensor:
    """Tables of random distributions over all tokens but padding and the begin of the sentence."""
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(sentences, vocabulary, vocabulary, vocabulary, generator=generator)
    logits[..., [PAD, BOS]] = -torch.inf
    return logits.log_softmax(dim=-1)


def divisor(normalization: str, alpha: float, length: int) -> float:
    """What a sum of log-probabilities of `length` symbols (the end counted) is divided by."""
    return {"wu": ((5 + length) / 6) ** alpha, "length": max(length, 1) ** alpha, "none": 1.0}[normalization]


@dataclass
class Found:
    tokens: list[int]
    log_probs: list[float]
    score: float
    finished: bool


def _chain(table: Tensor, tokens: list[int]) -> list[float]:
    path = [BOS, BOS, *tokens]
    return [table[a, b, c].item() for a, b, c in zip(path, path[1:], path[2:], strict=False)]


class AttentiveStepper(TableStepper):
    """A trigram table with attention for each pair of tokens.

    Args:
        tables: see `TableStepper`.
        attention: [sentences, vocabulary, vocabulary, source].
        source_lengths: [sentences].
    """

    def __init__(self, tables: Tensor, attention: Tensor, source_lengths: Tensor) -> None:
        super().__init__(tables)
        self.attention = attention
        self.source_lengths = source_lengths

    def __call__(self, tokens: Tensor, state: tuple[Tensor]) -> Step:
        rows = torch.arange(len(tokens)).unsqueeze(1)
        weights = self.attention[rows, state[0].view(tokens.shape), tokens]
        return super().__call__(tokens, state)._replace(weights=weights)

    def keep(self, sentences: Tensor) -> AttentiveStepper:
        return AttentiveStepper(
            self.tables[sentences], self.attention[sentences], self.source_lengths[sentences]
        )


def uncovered(
    attention: Tensor, source_length: int, beta: float, least: float
) -> Callable[[list[int]], float]:
    """The coverage penalty of symbols (Wu et al. 2016, eq. 15); a source token counts `least` at least."""

    def penalty(symbols: list[int]) -> float:
        path = [BOS, BOS, *symbols]
        pairs = list(zip(path, path[1:], strict=False))[: len(symbols)]
        looked = [
            sum(attention[before, last, place].item() for before, last in pairs)
            for place in range(source_length)
        ]
        return beta * sum(math.log(min(max(amount, least), 1.0)) for amount in looked)

    return penalty


def no_penalty(symbols: list[int]) -> float:
    return 0.0


def exhaustive(
    table: Tensor,
    limit: int,
    minimum: int,
    normalization: str,
    alpha: float,
    penalty: Callable[[list[int]], float] = no_penalty,
) -> list[Found]:
    """Every finished output of a sentence that is possible at all, best first."""
    found = []
    words = [token for token in range(table.size(0)) if token != EOS]
    for length in range(minimum, limit + 1):
        for tokens in itertools.product(words, repeat=length):
            log_probs = _chain(table, [*tokens, EOS])
            score = sum(log_probs) / divisor(normalization, alpha, length + 1) + penalty([*tokens, EOS])
            if score > -math.inf:
                found.append(Found(list(tokens), log_probs, score, True))
    return sorted(found, key=lambda item: -item.score)


def plain_beam(
    table: Tensor,
    *,
    size: int,
    n_best: int,
    limit: int,
    minimum: int,
    normalization: str,
    alpha: float,
    penalty: Callable[[list[int]], float] = no_penalty,
) -> list[Found]:
    """Beam search of one sentence, one candidate at a time, that never stops before the limit."""
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[Found] = []
    for time in range(limit + 1):
        candidates = []
        for beam, (total, tokens) in enumerate(live):
            before, last = ([BOS, BOS] + tokens)[-2:]
            for token in range(table.size(0)):
                log_prob = table[before, last, token].item()
                if log_prob > -math.inf and not (token == EOS and time < minimum):
                    candidates.append((-(total + log_prob), beam, -log_prob, token))
        candidates.sort()
        for negative, beam, _, token in candidates[:size]:
            if token == EOS:
                tokens = live[beam][1]
                score = -negative / divisor(normalization, alpha, time + 1) + penalty([*tokens, EOS])
                finished.append(Found(tokens, _chain(table, [*tokens, EOS]), score, True))
        others = [candidate for candidate in candidates if candidate[3] != EOS][:size]
        if time == limit or not others:
            break
        live = [(-negative, [*live[beam][1], token]) for negative, beam, _, token in others]
    finished.sort(key=lambda item: -item.score)
    result = finished[:n_best]
    if time == limit or not result:
        known = [item.tokens for item in result]
        cut = [
            Found(
                tokens,
                _chain(table, tokens),
                total / divisor(normalization, alpha, time) + penalty(tokens),
                False,
            )
            for total, tokens in live
            if tokens not in known
        ]
        result += sorted(cut, key=lambda item: -item.score)[: n_best - len(result)]
    return result


def plain_diverse_beam(
    table: Tensor,
    *,
    size: int,
    groups: int,
    strength: float,
    n_best: int,
    limit: int,
    minimum: int,
    normalization: str,
    alpha: float,
) -> list[Found]:
    """Diverse beam search of one sentence, one candidate at a time, that never stops before the limit."""
    width, share = size // groups, -(-n_best // groups)
    live: list[list[tuple[float, list[int]]]] = [[(0.0, [])] for _ in range(groups)]
    finished: list[list[Found]] = [[] for _ in range(groups)]
    for time in range(limit + 1):
        said: list[int] = []
        following = []
        for group in range(groups):
            candidates = []
            for beam, (total, tokens) in enumerate(live[group]):
                before, last = ([BOS, BOS] + tokens)[-2:]
                for token in range(table.size(0)):
                    log_prob = table[before, last, token].item()
                    if log_prob > -math.inf and not (token == EOS and time < minimum):
                        rank = total + log_prob - strength * said.count(token)
                        candidates.append((-rank, beam, -log_prob, token))
            candidates.sort()
            for _, beam, negative, token in candidates[:width]:
                if token == EOS:
                    total, tokens = live[group][beam]
                    score = (total - negative) / divisor(normalization, alpha, time + 1)
                    finished[group].append(Found(tokens, _chain(table, [*tokens, EOS]), score, True))
            others = [candidate for candidate in candidates if candidate[3] != EOS][:width]
            said += [token for *_, token in others]
            following.append(
                [
                    (live[group][beam][0] - negative, [*live[group][beam][1], token])
                    for _, beam, negative, token in others
                ]
            )
        if time == limit or not any(following):
            break
        live = following
    finished = [sorted(own, key=lambda item: -item.score)[:share] for own in finished]
    result = [item for own in finished for item in own]
    if time == limit or not result:
        for own, prefixes in zip(finished, live, strict=True):
            known = [item.tokens for item in result]
            cut = [
                Found(tokens, _chain(table, tokens), total / divisor(normalization, alpha, time), False)
                for total, tokens in prefixes
                if tokens not in known
            ]
            result += sorted(cut, key=lambda item: -item.score)[: share - len(own)]
    distinct = [item for i, item in enumerate(result) if item.tokens not in [o.tokens for o in result[:i]]]
    return sorted(distinct, key=lambda item: (not item.finished, -item.score))[:n_best]


def breaks(
    tokens: list[int],
    *,
    no_repeat_ngram: int | None = None,
    banned: Sequence[Sequence[int]] = (),
    forced: Sequence[int] = (),
) -> bool:
    """Whether an output holds what it may not, or does not begin as it must.

    What ends within the forced prefix is free of the other constraints.
    """
    if tokens[: len(forced)] != list(forced):
        return True
    for end in range(len(forced) + 1, len(tokens) + 1):
        size = no_repeat_ngram
        if size is not None and end >= size:
            ngram = tokens[end - size : end]
            if any(tokens[i : i + size] == ngram for i in range(end - size)):
                return True
        for sequence in banned:
            if len(sequence) <= end and tokens[end - len(sequence) : end] == list(sequence):
                return True
    return False


def for_all(sentences: int, *, banned: Sequence[Sequence[int]] = (), **constraints: Any) -> dict[str, Any]:
    """What `constrain` is told to ban the same from every sentence."""
    return {**constraints, "banned": [banned] * sentences}
