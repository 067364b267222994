"""Token sequences of different lengths as one tensor: the only form in which text reaches a model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Padded(NamedTuple):
    """A batch of token sequences, padded on the right.

    Attributes:
        ids: token ids, [batch, time] of int64. For a model that copies, an id at or above the vocabulary size is a word
            of this sentence that is not in the vocabulary (`s2s.text.extended`).
        lengths: real positions per row, at least 1, [batch] of int64.
    """

    ids: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """True at real positions, [batch, time]."""
        return torch.arange(self.ids.size(1), device=self.ids.device).unsqueeze(0) < self.lengths.unsqueeze(1)

    def to(self, device: torch.device | str) -> Padded:
        """The same on another device."""
        return Padded(self.ids.to(device), self.lengths.to(device))

    def rows(self, part: slice) -> Padded:
        """Some of the sequences, padded to the longest of them."""
        lengths = self.lengths[part]
        return Padded(self.ids[part, : int(lengths.max())], lengths)


class Spelled(NamedTuple):
    """Sentences whose words are read both as a whole and in pieces, such as characters.

    Attributes:
        words: each word as a whole, [batch, words].
        pieces: of each distinct word, [distinct words, pieces].
        places: each word's row in `pieces`, [batch, words]; 0 at padding.
    """

    words: Padded
    pieces: Padded
    places: Tensor

    def to(self, device: torch.device | str) -> Spelled:
        """The same on another device."""
        return Spelled(self.words.to(device), self.pieces.to(device), self.places.to(device))

    def rows(self, part: slice) -> Spelled:
        """Some of the sentences, with the pieces of their words only."""
        words = self.words.rows(part)
        distinct, places = self.places[part, : words.ids.size(1)].unique(return_inverse=True)
        pieces = Padded(self.pieces.ids[distinct], self.pieces.lengths[distinct])
        return Spelled(words, pieces.rows(slice(None)), places.masked_fill(~words.mask, 0))
