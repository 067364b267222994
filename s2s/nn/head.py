"""Output heads: from what was decoded to probabilities, and to the loss."""

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
"""Largest piece of [tokens, vocabulary] that a loss holds in float32 at once: 16 MiB, small beside a
model and near the caches."""


class HeadLoss(NamedTuple):
    """Sums over the real tokens of a batch.

    Attributes:
        total: what is minimized (label smoothing included), a scalar with gradient.
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
    """False: it never looks at `Decoded.context`, so a decoder that is searched need not make it."""

    copies: bool = False
    """True: it says words of the source that the vocabulary lacks. Source and gold tokens then hold ids at and above
    the size of the vocabulary for them, and `log_probs` is as much wider as the source is long."""

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
        """Log-probabilities for decoded [...].

        Args:
            decoded: [batch, target, ...], or one step, [rows, ...]; rows = sentences * beams, sentence-major.
            source: the sentences.

        Returns:
            [..., vocabulary]. Of a head that `copies` [..., vocabulary + source]: as many own words as a source with
            that many positions can have; -inf for what it has not.
        """

    def best(self, decoded: Decoded, source: Padded, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
        """The k most probable tokens: all that most searches need. A head may know a faster way than this one.

        Args:
            decoded: one step, [rows, ...].
            source: as for `log_probs`.
            k: how many; cut to the size of the vocabulary.
            never: tokens that have their share of the probability and are not chosen, [tokens] of int64.

        Returns:
            Log-probabilities [rows, k] of float32 and tokens [rows, k], best first, of equals the lower token first;
            -inf where fewer than k tokens may be chosen.
        """
        return top(self.log_probs(decoded, source).index_fill(-1, never, -torch.inf), k)

    def among(self, tokens: Tensor) -> Callable[[Decoded], Tensor]:
        """A head that knows some tokens only, for shortlists.

        Args:
            tokens: [tokens] of int64, each once.

        Returns:
            What gives, for decoded [rows, ...], new scores [rows, tokens], whose log-softmax is that of
            `log_probs` of these tokens.

        Raises:
            ConfigError: this head cannot.
        """
        raise ConfigError(f"head {type(self).__name__} cannot use a shortlist; translate without --shortlist")

    def tie(self, table: nn.Parameter) -> None:
        """Share the embedding table [vocabulary, size] as output weights (Press & Wolf 2017).

        Raises:
            ConfigError: this head cannot.
        """
        raise ConfigError(f"head {type(self).__name__} cannot be tied to the embedding; set tie_head: false")

    def loss(self, decoded: Decoded, gold: Tensor, mask: Tensor, source: Padded) -> HeadLoss:
        """Cross-entropy with label smoothing, in bounded pieces, each computed again when gradients are taken.

        Args:
            decoded: [batch, target, ...].
            gold: the tokens to predict, [batch, target].
            mask: True at real positions, [batch, target].
            source: the source sentences.
        """
        batch, target = gold.shape
        span = max(1, PIECE_ELEMENTS // (batch * self.vocabulary_size))
        padding = ~mask.unsqueeze(-1)  # NaN there would reach the gradients, however the loss is masked
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
