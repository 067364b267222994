"""Sequence classification: from the tokens of a text to the probabilities of its classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn.dropout import check_rate
from s2s.nn.embedding import Embedding
from s2s.nn.encoder import SequenceEncoder
from s2s.nn.head import HeadLoss
from s2s.nn.pooling import AttentionPooling, Pooling, check_pooling, max_over_time, mean_over_time
from s2s.padded import Padded

UNKNOWN_CLASS = -1
"""Label of a text whose class the model does not have."""


class SequenceClassifier(nn.Module):
    """An encoder over the text, pooling over its positions, and a feed-forward classifier.

    Every part is given as a factory; the model passes the sizes.

    Args:
        vocabulary_size: number of tokens.
        classes: number of classes.
        embedding: makes an embedding from a vocabulary size.
        encoder: makes an encoder from the width of its input.
        pooling: last is the features of the encoder's final state; mean and max are over the outputs of real positions;
            attention is their mean weighted by learned importance (Yang et al. 2016).
        hidden_size: units of the hidden layer between the pooled text and its classes; 0: no hidden layer.
        dropout: on the pooled text, and on the hidden layer.

    Raises:
        ConfigError: invalid sizes or rates, or an unknown pooling.
    """

    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        *,
        embedding: Callable[[int], Embedding],
        encoder: Callable[[int], SequenceEncoder],
        pooling: Pooling = "max",
        hidden_size: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ConfigError(f"classes is {classes}; there must be 2 or more to choose from")
        if hidden_size < 0:
            raise ConfigError(
                f"hidden_size is {hidden_size}; it must be at least 1, or 0 for no hidden layer"
            )
        self.vocabulary_size = vocabulary_size
        self.classes = classes
        self.embedding = embedding(vocabulary_size)
        self.encoder = encoder(self.embedding.size)
        self.pooling = check_pooling(pooling)
        self.attention = AttentionPooling(self.encoder.output_size) if pooling == "attention" else None
        self.dropout = nn.Dropout(check_rate(dropout))
        width = self.encoder.feature_size if pooling == "last" else self.encoder.output_size
        self.hidden = nn.Linear(width, hidden_size) if hidden_size else None
        self.output = nn.Linear(hidden_size or width, classes)

    def pool(self, source: Padded) -> Tensor:
        """One vector for each text, [batch, features]."""
        encoded = self.encoder(self.embedding(source.ids), source.lengths)
        if self.pooling == "last":
            return self.encoder.features(encoded.state)
        if self.attention is not None:
            pooled: Tensor = self.attention(encoded.outputs, source.mask)
            return pooled
        over_time = mean_over_time if self.pooling == "mean" else max_over_time
        return over_time(encoded.outputs, source.mask)

    def forward(self, source: Padded) -> Tensor:
        """Log-probabilities of the classes, in float32 at least, [batch, classes].

        Args:
            source: the texts, [batch, time].
        """
        features = self.dropout(self.pool(source))
        if self.hidden is not None:
            features = self.dropout(torch.relu(self.hidden(features)))
        scores: Tensor = self.output(features)
        return scores.to(torch.promote_types(scores.dtype, torch.float32)).log_softmax(-1)


def class_loss(log_probs: Tensor, gold: Tensor, weights: Tensor | None = None) -> HeadLoss:
    """Cross-entropy, summed over texts; texts of an unknown class are ignored.

    Args:
        log_probs: [batch, classes].
        gold: the class of each text, or `UNKNOWN_CLASS`, [batch] of int64.
        weights: weight of each class in the training objective, [classes]; None: one.
    """
    nll = F.nll_loss(log_probs, gold, ignore_index=UNKNOWN_CLASS, reduction="sum")
    total = (
        nll
        if weights is None
        else F.nll_loss(log_probs, gold, weight=weights, ignore_index=UNKNOWN_CLASS, reduction="sum")
    )
    return HeadLoss(total, nll.detach(), (gold != UNKNOWN_CLASS).sum())
