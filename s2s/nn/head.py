"""Output heads: from decoder outputs to probabilities and the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from s2s.errors import ConfigError
from s2s.nn.decoder import Decoded
from s2s.nn.top import top
from s2s.padded import Padded

PIECE_ELEMENTS = 2**22
"""Largest piece of [tokens, vocabulary] that a loss holds in float32 at once: 16 MiB, small compared to a
model and close to the size of the caches."""


class HeadLoss(NamedTuple):
    """Sums over the real tokens of a batch.

    Attributes:
        total: the training objective (label smoothing included), a scalar with gradient.
        nll: negative log-likelihood in nats, for perplexity, a scalar without gradient.
        tokens: number of real tokens.
    """

    total: Tensor
    nll: Tensor
    tokens: Tensor


class Head(nn.Module, ABC):
    """Predicts the next token.

    Args:
        hidden_size: width of `Decoded.hidden`.
        context_size: width of `Decoded.context`; 0 without attention.
        input_size: width of `Decoded.inputs`.
        vocabulary_size: number of tokens.
        label_smoothing: share of the target spread evenly over the vocabulary (Szegedy et al. 2016).
    """

    reads_context: bool = True
    """False: the head never reads `Decoded.context`, so a decoder need not compute it in a search."""

    copies: bool = False
    """True: the head can copy source words that are not in the vocabulary. In source and gold tokens, these have ids
    from the vocabulary size on, and `log_probs` is wider by the length of the source."""

    def __init__(
        self,
        hidden_size: int,
        context_size: int,
        input_size: int,
        vocabulary_size: int,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.context_size = context_size
        self.input_size = input_size
        self.vocabulary_size = vocabulary_size
        if not 0.0 <= label_smoothing <= 1.0:
            raise ConfigError(f"label_smoothing {label_smoothing} is impossible; it must be between 0 and 1")
        self.label_smoothing = label_smoothing

    @abstractmethod
    def log_probs(self, decoded: Decoded, source: Padded) -> Tensor:
        """Log-probabilities of the next token for decoded [...].

        Args:
            decoded: [batch, target, ...], or one step, [rows, ...]; rows = sentences * beams, sentence-major.
            source: the sentences.

        Returns:
            [..., vocabulary]; for a head that `copies`, [..., vocabulary + source]: a source of that length can have
            that many out-of-vocabulary words; -inf for those it does not have.
        """

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        """The k most probable tokens, all that most searches need; a head may override it with a faster implementation.

        Args:
            decoded: one step, [rows, ...].
            source: as for `log_probs`.
            k: number of tokens; capped at the vocabulary size.
            never: tokens that keep their probability but are never chosen, [tokens] of int64.

        Returns:
            Log-probabilities [rows, k] of float32 and tokens [rows, k], best first, ties by lower token; -inf where
            fewer than k tokens may be chosen.
        """
        return top(self.log_probs(decoded, source).index_fill(-1, never, -torch.inf), k)

    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        """Restrict the head to some tokens, for shortlists.

        Args:
            tokens: distinct ids, [tokens] of int64.

        Returns:
            A function from decoded [rows, ...] to scores [rows, tokens], a new tensor, whose log-softmax equals that of
            `log_probs` of these tokens.

        Raises:
            ConfigError: this head does not support it.
        """
        raise ConfigError(f"head {type(self).__name__} cannot use a shortlist; translate without --shortlist")

    def tie(self, table: nn.Parameter) -> None:
        """Share the embedding table [vocabulary, size] as output weights (Press & Wolf 2017).

        Raises:
            ConfigError: this head does not support it.
        """
        raise ConfigError(f"head {type(self).__name__} cannot be tied to the embedding; set tie_head: false")

    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        """Cross-entropy with label smoothing, in bounded pieces that are recomputed in the backward pass.

        Args:
            decoded: [batch, target, ...].
            gold: the tokens to predict, [batch, target].
            mask: True at real positions, [batch, target].
            source: the source sentences.
        """
        batch, target = gold.shape
        span = max(1, PIECE_ELEMENTS // (batch * self.vocabulary_size))
        padding = ~mask.unsqueeze(-1)  # NaN there would reach the gradients even if the loss is masked
        parts = [None if part is None else part.masked_fill(padding, 0.0) for part in decoded]
        total = decoded.hidden.new_zeros((), dtype=torch.promote_types(decoded.hidden.dtype, torch.float32))
        nll = total.clone()
        for start in range(0, target, span):
            window = slice(start, start + span)
            piece = Decoded(*(None if part is None else part[:, window] for part in parts))  # type: ignore[arg-type]
            piece_total, piece_nll = checkpoint(
                self._piece_loss, piece, gold[:, window], mask[:, window], source, use_reentrant=False
            )
            total, nll = total + piece_total, nll + piece_nll.detach()
        return HeadLoss(total, nll, mask.sum())

    def _piece_loss(
        self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded
    ) -> tuple[Tensor, Tensor]:
        log_probs = self.log_probs(decoded, source)
        loss = nll = -log_probs.gather(-1, gold.unsqueeze(-1)).squeeze(-1)
        if self.label_smoothing:
            spread = log_probs[..., : self.vocabulary_size].mean(-1)
            loss = (1 - self.label_smoothing) * nll - self.label_smoothing * spread
        return loss.masked_fill(~mask, 0.0).sum(), nll.masked_fill(~mask, 0.0).sum()
