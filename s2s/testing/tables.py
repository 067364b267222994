"""A model small enough to know all its outputs: a distribution for each prefix of each sentence.

It also checks its calls: every row of the state records its sentence and its tokens.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from s2s.search.stepper import Step, Stepper
from s2s.testing.kit import Nonconforming
from s2s.text.tokenizer import BOS, EOS, PAD, UNK

VOCABULARY = 7
WORDS = (UNK, 4, 5, 6)
"""The tokens of prefixes."""

LONGEST = 6
"""Tokens of the longest output."""

PREFIXES = sum(len(WORDS) ** length for length in range(LONGEST + 1))


def prefix_number(tokens: Sequence[int]) -> int:
    """The row of a table for a prefix; prefixes are ordered by length: no token, one token, two, ..."""
    number = 0
    for token in tokens:
        number = len(WORDS) * number + WORDS.index(token) + 1
    return number


def random_tables(sentences: int, *, seed: int, sharpness: float = 1.5) -> Tensor:
    """Random distributions over all tokens except padding and the start of the sentence.

    Args:
        sentences: how many.
        seed: of the numbers.
        sharpness: standard deviation of the logits.

    Returns:
        Log-probabilities [sentences, PREFIXES, VOCABULARY].
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    logits = sharpness * torch.randn(sentences, PREFIXES, VOCABULARY, generator=generator, device="cpu")
    logits[..., [PAD, BOS]] = -torch.inf
    return logits.log_softmax(dim=-1).to(torch.get_default_device())


def certain_tables(paths: Sequence[Sequence[int]], *, seed: int) -> Tensor:
    """Tables that each strongly prefer one output: its tokens, then the end (probability 1 - 1e-6 at least)."""
    tables = random_tables(len(paths), seed=seed, sharpness=0.5)
    for table, path in zip(tables, paths, strict=True):
        for length, token in enumerate([*path, EOS]):
            table[prefix_number(path[:length]), token] += 20.0
    return tables.log_softmax(dim=-1)


class Remembered(NamedTuple):
    """The state of a beam.

    Attributes:
        sentence: the number of its sentence, [rows, 1].
        tokens: of its prefix, then -1, [rows, LONGEST + 2].
        time: tokens given, the start of the sentence included, [rows, 1].
    """

    sentence: Tensor
    tokens: Tensor
    time: Tensor


class TableStepper(Stepper):
    """A stepper for tables.

    Args:
        tables: log-probabilities, [sentences, PREFIXES, VOCABULARY].
        weights: attention after each prefix, [sentences, PREFIXES, source], or None.
        waits: let other threads run at each step.
        sentences: their numbers, [sentences].
        asked: filled with (sentence, prefix) of all requested distributions.
    """

    def __init__(
        self,
        tables: Tensor,
        *,
        weights: Tensor | None = None,
        waits: bool = False,
        sentences: Tensor | None = None,
        asked: set[tuple[int, tuple[int, ...]]] | None = None,
    ) -> None:
        self.tables = tables
        self.weights = weights
        self.waits = waits
        self.sentences = torch.arange(len(tables), device=tables.device) if sentences is None else sentences
        self.asked = set() if asked is None else asked
        self.source_lengths = source_lengths(self.sentences)

    def initial_state(self) -> Remembered:
        """The state before the start of the sentence."""
        rows = len(self.tables)
        return Remembered(
            self.sentences.unsqueeze(1),
            torch.full((rows, LONGEST + 2), -1, device=self.tables.device),
            torch.zeros(rows, 1, dtype=torch.int64, device=self.tables.device),
        )

    def __call__(self, tokens: Tensor, state: Remembered) -> Step:
        """See `Stepper`.

        Raises:
            Nonconforming: tokens or state are not those of these sentences.
        """
        if self.waits:
            time.sleep(0)
        sentences, beams = self._sizes(tokens, state)
        asked, numbers = [], []
        for row, (sentence, prefix, count, token) in enumerate(
            zip(
                state.sentence.flatten().tolist(),
                state.tokens.tolist(),
                state.time.flatten().tolist(),
                tokens.flatten().tolist(),
                strict=True,
            )
        ):
            expected = int(self.sentences[row // beams])
            if sentence != expected:
                raise Nonconforming(
                    f"the state of sentence {sentence} in row {row}, which belongs to sentence {expected}",
                    "rows of the state in the order of the stepper's sentences, beam by beam",
                    "Select the rows of the state by select_state(state, row of the sentence * beams + beam), and the "
                    "sentences by stepper.keep, in the same order.",
                )
            if count == 0 and token != BOS:
                raise Nonconforming(f"{token} as the first token", f"bos, {BOS}", "Begin with bos.")
            followed = [*prefix[:count], token][1:]  # without the start of the sentence
            asked.append((sentence, tuple(followed)))
            known = len(followed) <= LONGEST and all(word in WORDS for word in followed)
            numbers.append(prefix_number(followed) if known else 0)  # a beam that is no longer used
        self.asked.update(asked)
        device = self.tables.device  # a default device does not apply to other threads
        rows = torch.arange(len(numbers), device=device) // beams
        chosen = torch.tensor(numbers, dtype=torch.int64, device=device)
        log_probs = self.tables[rows, chosen].view(sentences, beams, VOCABULARY)
        weights = None if self.weights is None else self.weights[rows, chosen].view(sentences, beams, -1)
        following = state.tokens.scatter(1, state.time.clamp(max=LONGEST + 1), tokens.reshape(-1, 1))
        return Step(log_probs, Remembered(state.sentence, following, state.time + 1), weights)

    def _sizes(self, tokens: Tensor, state: Remembered) -> tuple[int, int]:
        if tokens.dim() != 2 or tokens.dtype != torch.int64 or len(tokens) != len(self.tables):
            raise Nonconforming(
                f"tokens {list(tokens.shape)} of {tokens.dtype} for a stepper of {len(self.tables)} sentences",
                f"[{len(self.tables)}, beams] of torch.int64",
                "Drop sentences by stepper = stepper.keep(rows), and their tokens and states with them.",
            )
        sentences, beams = tokens.shape
        if len(state.time) != sentences * beams:
            raise Nonconforming(
                f"a state of {len(state.time)} rows for {sentences} sentences with {beams} beams",
                f"{sentences * beams} rows, sentence by sentence",
                "Pass one row of the state for each beam.",
            )
        return sentences, beams

    def fingerprints(self) -> Tensor:
        """See `Stepper.fingerprints`: of the tables, which stand for the sentences."""
        numbers = [zlib.crc32(table.cpu().numpy().tobytes()) for table in self.tables]
        return torch.tensor(numbers, dtype=torch.int64, device=self.tables.device)

    def keep(self, sentences: Tensor) -> TableStepper:
        """See `Stepper`.

        Raises:
            Nonconforming: these are not rows of the batch, or one occurs twice.
        """
        known = sentences.dim() == 1 and sentences.dtype == torch.int64
        if not known or not set(sentences.tolist()) <= set(range(len(self.tables))):
            raise Nonconforming(
                f"keep({sentences.tolist()}) of a stepper of {len(self.tables)} sentences",
                "rows of the present batch, [kept] of torch.int64",
                "Number the rows of the present batch: dropped sentences have no number.",
            )
        if len(set(sentences.tolist())) != len(sentences):
            raise Nonconforming(f"keep({sentences.tolist()})", "each row once", "Name each sentence once.")
        return TableStepper(
            self.tables[sentences],
            weights=None if self.weights is None else self.weights[sentences],
            waits=self.waits,
            sentences=self.sentences[sentences],
            asked=self.asked,
        )


def source_lengths(sentences: Tensor) -> Tensor:
    """Tokens of the source of each sentence, 2 to 4."""
    return 2 + sentences % 3


def random_weights(sentences: int, *, seed: int) -> Tensor:
    """Random attention over the source after each prefix, zero at padding, [sentences, PREFIXES, longest source]."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    lengths = source_lengths(torch.arange(sentences, device="cpu"))
    logits = torch.randn(sentences, PREFIXES, 4, generator=generator, device="cpu")
    padding = torch.arange(4, device="cpu") >= lengths.view(-1, 1, 1)
    return logits.masked_fill(padding, -torch.inf).softmax(dim=-1).to(torch.get_default_device())
