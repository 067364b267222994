"""Log-probabilities of given texts under a language model: each independently, or as a stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

from s2s.errors import ConfigError
from s2s.inference.scoring import Scored, gold_log_probs
from s2s.inference.windows import encodable
from s2s.nn.cell import State
from s2s.nn.language_model import LanguageModel, no_source
from s2s.padded import Padded
from s2s.text.batch import pad
from s2s.text.tokenizer import BOS, EOS, Tokenizer

AT_ONCE = 2**14
"""Tokens of a text that are read at once; a longer one is read in parts, and only the state is kept between them."""


def score_texts(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], *, batch_tokens: int
) -> list[Scored]:
    """The probability of each text; it depends on nothing else in the list.

    Args:
        model: in evaluation mode.
        tokenizer: its own.
        texts: an empty one has the probability of ending at once.
        batch_tokens: maximum tokens per batch, including padding.

    Raises:
        ConfigError: an invalid `batch_tokens`.
    """
    if batch_tokens < 1:
        raise ConfigError(f"batch_tokens is {batch_tokens}; it must be 1 or more")
    pieces = tokenizer.encode_batch([encodable(text) for text in texts])
    # Longest first, so that a too large batch_tokens fails at once.
    order = sorted(range(len(pieces)), key=lambda index: -len(pieces[index]))
    found: dict[int, Scored] = {}
    while order:
        rows = max(1, batch_tokens // (len(pieces[order[0]]) + 1))
        batch, order = order[:rows], order[rows:]
        scored, _ = _scored(model, tokenizer, [pieces[index] for index in batch], None)
        found.update(zip(batch, scored, strict=True))
    return [found[index] for index in range(len(pieces))]


class StreamScorer:
    """The probability of each text as the continuation of those before it, across any number of calls.

    Args:
        model: in evaluation mode.
        tokenizer: its own.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._state: State = None

    def __call__(self, texts: Iterable[str]) -> list[Scored]:
        """Score the next texts."""
        found = []
        for text in texts:
            pieces = [self.tokenizer.encode(encodable(text))]
            (scored,), self._state = _scored(self.model, self.tokenizer, pieces, self._state)
            found.append(scored)
        return found


@torch.inference_mode()
def _scored(
    model: LanguageModel, tokenizer: Tokenizer, pieces: Sequence[Sequence[int]], state: State
) -> tuple[list[Scored], State]:
    place = next(model.parameters()).device
    if len(pieces) == 1 and len(pieces[0]) > AT_ONCE:
        return _scored_in_parts(model, tokenizer, pieces[0], state)
    golds = [[*row, EOS] for row in pieces]
    inputs, gold = pad([[BOS, *row] for row in pieces]).to(place), pad(golds).to(place)
    decoded, state = model(inputs, state)
    rows = gold_log_probs(model, decoded, Padded(gold.ids, gold.lengths), no_source(gold.lengths))
    values = [row[: len(said)] for row, said in zip(rows.double().tolist(), golds, strict=True)]
    return [
        Scored(math.fsum(row), tokenizer.tokens(said), row) for said, row in zip(golds, values, strict=True)
    ], state


def _scored_in_parts(
    model: LanguageModel, tokenizer: Tokenizer, pieces: Sequence[int], state: State
) -> tuple[list[Scored], State]:
    place = next(model.parameters()).device
    read, said = [BOS, *pieces], [*pieces, EOS]
    log_probs: list[float] = []
    for start in range(0, len(said), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        gold = pad([said[part]]).to(place)
        decoded, state = model(pad([read[part]]).to(place), state)
        rows = gold_log_probs(model, decoded, gold, no_source(gold.lengths))
        log_probs += rows[0].double().tolist()
    return [Scored(math.fsum(log_probs), tokenizer.tokens(said), log_probs)], state
