"""Sentence pairs as training passes them to the model, and the padding that training and inference share."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from s2s.padded import Padded
from s2s.text.tokenizer import BOS, EOS, PAD

__all__ = ["Batch", "Padded", "pad", "pad_targets"]


class Batch(NamedTuple):
    """Sentence pairs.

    Attributes:
        source: source sentences as the tokenizer gives them, without bos and eos.
        target: target sentences, `BOS` ... `EOS`.
        lines: index of each pair in its split, [batch], int64, from 0.
        words: for a model that copies, the words of each source that are not in the vocabulary; ids beyond the
            vocabulary, in source and target, stand for them (`ExtendedVocabulary`).
    """

    source: Padded
    target: Padded
    lines: Tensor
    words: Sequence[Sequence[str]] = ()

    @property
    def inputs(self) -> Padded:
        """The decoder's input: each target without its last token, [batch, target - 1]."""
        shorter = Padded(self.target.ids[:, :-1], self.target.lengths - 1)
        return shorter._replace(ids=shorter.ids.masked_fill(~shorter.mask, PAD))

    @property
    def gold(self) -> Padded:
        """The tokens to predict: each target without its bos, [batch, target - 1]."""
        return Padded(self.target.ids[:, 1:], self.target.lengths - 1)

    def to(self, device: torch.device | str) -> "Batch":
        """The same pairs on another device."""
        return Batch(self.source.to(device), self.target.to(device), self.lines.to(device), self.words)

    @property
    def size(self) -> int:
        """Number of pairs."""
        return self.lines.size(0)

    def rows(self, part: slice) -> "Batch":
        """Some of the pairs, with no unneeded padding, to train in parts on a batch that does not fit into memory."""
        return Batch(self.source.rows(part), self.target.rows(part), self.lines[part], self.words[part])


def pad(sentences: Sequence[Sequence[int] | np.ndarray]) -> Padded:
    """Pad sentences of token ids into one batch, one row each, in order."""
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    ids = np.full((len(sentences), int(lengths.max(initial=0))), PAD, dtype=np.int64)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = sentence
    return Padded(torch.from_numpy(ids), torch.from_numpy(lengths))


def pad_targets(sentences: Sequence[Sequence[int] | np.ndarray]) -> Padded:
    """Like `pad`, with `BOS` before and `EOS` after each sentence."""
    lengths = np.array([len(sentence) + 2 for sentence in sentences], dtype=np.int64)
    ids = np.full((len(sentences), int(lengths.max(initial=0))), PAD, dtype=np.int64)
    for row, sentence in enumerate(sentences):
        ids[row, 0] = BOS
        ids[row, 1 : len(sentence) + 1] = sentence
        ids[row, len(sentence) + 1] = EOS
    return Padded(torch.from_numpy(ids), torch.from_numpy(lengths))
