"""The recurrent labeller: a label for each word (Graves & Schmidhuber 2005; Lample et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn.crf import CRF
from s2s.nn.dropout import SequenceDropout
from s2s.nn.embedding import Embedding
from s2s.nn.encoder import SequenceEncoder
from s2s.nn.head import HeadLoss
from s2s.nn.unroll import blank
from s2s.padded import Padded, Spelled
from s2s.reserved import UNK

RESERVED = 4
"""Number of ids that are no labels: those of padding, unknown, bos and eos."""

PIECES_AT_ONCE = 2**14
"""Padded pieces of words that are encoded together, so that one very long word does not pad a thousand others."""


class Labels(NamedTuple):
    """The output of a labeller.

    Attributes:
        ids: a label for each word, [batch, words]; arbitrary at padding.
        probabilities: of these labels, [batch, words]; arbitrary at padding.
    """

    ids: Tensor
    probabilities: Tensor


class SequenceLabeller(nn.Module):
    """From words to the probabilities of their labels.

    The vector of a word is its embedding as a whole concatenated with the features of an encoder that reads its pieces,
    such as its characters (Ling et al. 2015; Lample et al. 2016, section 4.1). Another encoder reads these vectors, and
    its outputs are scored. Every part is given as a factory; the model passes the sizes.

    Args:
        source_vocabulary_size: number of words that are embedded as a whole.
        piece_vocabulary_size: number of pieces.
        target_vocabulary_size: number of labels, including the reserved ids.
        encoder: makes the encoder of sentences from the width of a word's vector.
        word_embedding: makes an embedding of words as a whole; None: only their pieces are read.
        piece_embedding: makes an embedding of pieces.
        piece_encoder: makes the encoder of words from the width of a piece's vector; None: pieces are not read.
        dropout: dropout on the vectors of words.
        crf: labels depend on their neighbours, see `CRF`; else each is predicted independently.

    Raises:
        ConfigError: words are read neither as a whole nor in pieces.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        piece_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        encoder: Callable[[int], SequenceEncoder],
        word_embedding: Callable[[int], Embedding] | None,
        piece_embedding: Callable[[int], Embedding],
        piece_encoder: Callable[[int], SequenceEncoder] | None,
        dropout: float = 0.0,
        crf: bool = False,
    ) -> None:
        super().__init__()
        if word_embedding is None and piece_encoder is None:
            raise ConfigError(
                "model.word_embedding and model.piece_encoder are both null; a word needs a vector"
            )
        self.word_embedding = None if word_embedding is None else word_embedding(source_vocabulary_size)
        self.piece_embedding: Embedding | None = None
        self.piece_encoder: SequenceEncoder | None = None
        width = 0 if self.word_embedding is None else self.word_embedding.size
        if piece_encoder is not None:
            self.piece_embedding = piece_embedding(piece_vocabulary_size)
            self.piece_encoder = piece_encoder(self.piece_embedding.size)
            width += self.piece_encoder.feature_size
        self.dropout = SequenceDropout(dropout)
        self.encoder = encoder(width)
        self.output = nn.Linear(self.encoder.output_size, target_vocabulary_size - RESERVED)
        self.crf = CRF(target_vocabulary_size - RESERVED) if crf else None

    def forward(self, source: Spelled) -> Tensor:
        """The score of each label at each word, [batch, words, labels] in float32 at least; the bias at padding."""
        vectors = []
        if self.word_embedding is not None:
            vectors.append(self.word_embedding(source.words.ids))
        if self.piece_encoder is not None:
            vectors.append(F.embedding(source.places, self._spelt(source.pieces)))
        outputs = self.encoder(self.dropout(torch.cat(vectors, dim=-1)), source.words.lengths).outputs
        scores: Tensor = self.output(blank(outputs, source.words.mask))
        return scores.to(torch.promote_types(scores.dtype, torch.float32))

    def _spelt(self, pieces: Padded) -> Tensor:
        """The features of words, [distinct words, features]; words of like lengths are read together."""
        assert self.piece_embedding is not None and self.piece_encoder is not None
        order = torch.argsort(pieces.lengths, descending=True, stable=True)
        lengths = pieces.lengths[order].tolist()
        parts, start = [], 0
        while start < len(lengths):
            rows = order[start : start + max(1, PIECES_AT_ONCE // lengths[start])]
            ids = pieces.ids[rows, : lengths[start]]
            state = self.piece_encoder(self.piece_embedding(ids), pieces.lengths[rows]).state
            parts.append(self.piece_encoder.features(state))
            start += len(rows)
        return torch.cat(parts).index_select(0, torch.argsort(order))

    def loss(self, source: Spelled, gold: Tensor) -> HeadLoss:
        """Summed negative log-likelihood of labels.

        Args:
            source: the words.
            gold: their labels, [batch, words]; an unknown one may be any label, and is not counted as a token.
        """
        scores, mask = self(source), source.words.mask
        known = mask & (gold != UNK)
        if self.crf is None:
            total = F.cross_entropy(scores[known], gold[known] - RESERVED, reduction="sum")
        else:
            labels = torch.arange(RESERVED, RESERVED + scores.size(-1), device=gold.device)
            allowed = (gold.unsqueeze(-1) == labels) | ~known.unsqueeze(-1)
            total = self.crf.nll(scores, allowed, source.words.lengths).sum()
        return HeadLoss(total, total.detach(), known.sum())

    def label(self, source: Spelled) -> Labels:
        """The most probable labels: of each word, or with a CRF of each sentence as a whole."""
        scores, lengths = self(source), source.words.lengths
        if self.crf is None:
            probabilities, best = scores.softmax(dim=-1).max(dim=-1)
            return Labels(best + RESERVED, probabilities)
        best = self.crf.best(scores, lengths)
        marginals = self.crf.marginals(scores, lengths)
        return Labels(best + RESERVED, marginals.gather(-1, best.unsqueeze(-1)).squeeze(-1))
