"""A linear layer and a softmax."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn import Decoded, Head, HeadLoss, linear_cross_entropy, top_log_probs
from s2s.padded import Padded

ROWS_AT_ONCE = 128
"""Rows scored at once; for 8,000 tokens their scores take 4 MB. Fewer rows would fit in a core's own cache, but 64 were
slower by a tenth, as each chunk costs about thirty small operations; 256 were no faster."""


class SoftmaxHead(Head):
    """``softmax(W hidden + b)``.

    Args:
        hidden_size: width of the decoder's answer.
        context_size: width of the context; not used here.
        input_size: width of the embedded token; not used here.
        vocabulary_size: number of tokens.
        label_smoothing: share of the target spread evenly over the vocabulary (Szegedy et al. 2016).
    """

    reads_context = False

    def __init__(
        self,
        hidden_size: int,
        context_size: int,
        input_size: int,
        vocabulary_size: int,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            hidden_size, context_size, input_size, vocabulary_size, label_smoothing=label_smoothing
        )
        self.narrow: nn.Linear | None = None
        self.weight = nn.Parameter(torch.empty(vocabulary_size, hidden_size).normal_(std=hidden_size**-0.5))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def tie(self, table: nn.Parameter) -> None:
        """Share the embedding table; if the widths differ, a linear layer maps from one to the other."""
        if table.size(1) != self.hidden_size:
            self.narrow = nn.Linear(self.hidden_size, table.size(1), bias=False)
        self.weight = table

    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        """[..., vocabulary] in float32 at least."""
        logits = F.linear(self.narrowed(decoded.hidden), self.weight, self.bias)
        return logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        """Scores a few rows at a time, and finds the best tokens while the scores are in the cache."""
        hidden = self.narrowed(decoded.hidden)
        if len(hidden) <= ROWS_AT_ONCE:
            return top_log_probs(F.linear(hidden, self.weight, self.bias), k, never)
        pieces = [
            top_log_probs(F.linear(rows, self.weight, self.bias), k, never)
            for rows in hidden.split(ROWS_AT_ONCE)
        ]
        values, tokens = zip(*pieces, strict=True)
        return torch.cat(values), torch.cat(tokens)

    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        """Scores of these tokens alone, whose rows of the weight matrix are gathered once."""
        weight, bias = self.weight.index_select(0, tokens), self.bias.index_select(0, tokens)
        return lambda decoded: F.linear(self.narrowed(decoded.hidden), weight, bias)

    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        """Computes the gradient chunk by chunk along with the loss; padding is removed before the matrix product."""
        hidden = self.narrowed(decoded.hidden[mask])
        total, nll = linear_cross_entropy(
            hidden, self.weight, self.bias, gold[mask], label_smoothing=self.label_smoothing
        )
        return HeadLoss(total, nll, mask.sum())

    def narrowed(self, hidden: Tensor) -> Tensor:
        """Map hidden vectors [..., hidden] to the width of `weight`."""
        return hidden if self.narrow is None else self.narrow(hidden)
