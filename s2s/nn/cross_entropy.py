"""Cross-entropy of a linear output layer without ever holding all its logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s.nn.head import PIECE_ELEMENTS

ROWS = 64
"""Tokens are filled up to a multiple of this. A CPU's matrix library keeps some megabytes for every number of rows that
it has met (5 GB after an epoch of Multi30k); so there are few."""


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    gold: Tensor,
    *,
    label_smoothing: float = 0.0,
    piece_elements: int = PIECE_ELEMENTS,
) -> tuple[Tensor, Tensor]:
    """Sum over tokens of the cross-entropy of ``softmax(hidden @ weight.T + bias)``.

    The gradient of the logits is their softmax minus the target distribution, so it is at hand as soon as the loss is:
    each piece of tokens is multiplied out, turned into its own gradient in place, and forgotten.

    Args:
        hidden: [tokens, hidden].
        weight: [vocabulary, hidden].
        bias: [vocabulary].
        gold: [tokens] of int64.
        label_smoothing: share of the target spread evenly over the vocabulary (Szegedy et al. 2016, section 7).
        piece_elements: bound on tokens * vocabulary of one piece.

    Returns:
        The smoothed loss, differentiable, and the plain negative log-likelihood, both summed over tokens.
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):  # cast here, once, and not piece by piece
        dtype = torch.get_autocast_dtype(device)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    weight = weight.to(hidden.dtype)
    tokens = gold.size(0)
    hidden = F.pad(hidden, (0, 0, 0, -tokens % ROWS))
    gold = F.pad(gold, (0, -tokens % ROWS))
    with torch.autocast(device, enabled=False):
        train = torch.is_grad_enabled()  # inside the function it is always off
        total, nll = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, weight, bias, gold, tokens, label_smoothing, piece_elements, train
        )
    return total, nll


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        gold: Tensor,
        tokens: int,
        label_smoothing: float,
        piece_elements: int,
        train: bool,
    ) -> tuple[Tensor, Tensor]:
        vocabulary = weight.size(0)
        precise = torch.promote_types(hidden.dtype, torch.float32)
        total = hidden.new_zeros((), dtype=precise)
        nll = hidden.new_zeros((), dtype=precise)
        train = train and any(ctx.needs_input_grad)
        if train:
            grad_hidden = torch.empty_like(hidden)
            grad_weight = torch.zeros_like(weight, dtype=precise)
            grad_bias = torch.zeros_like(bias, dtype=precise)
        span = max(1, piece_elements // vocabulary)
        span = max(span - span % ROWS, min(span, ROWS))
        for start in range(0, hidden.size(0), span):
            piece, target = hidden[start : start + span], gold[start : start + span].unsqueeze(1)
            real = max(0, min(span, tokens - start))
            logits = F.linear(piece, weight).to(precise).add_(bias)
            normalizer = logits.logsumexp(dim=1, keepdim=True)
            picked = (normalizer - logits.gather(1, target))[:real].sum()
            nll += picked
            total += (1 - label_smoothing) * picked
            if label_smoothing:
                total += label_smoothing * (normalizer[:real].sum() - logits[:real].sum() / vocabulary)
            if train:
                gradient = logits.sub_(normalizer).exp_()
                if label_smoothing:
                    gradient.sub_(label_smoothing / vocabulary)
                gradient.scatter_add_(1, target, gradient.new_full(target.shape, label_smoothing - 1.0))
                gradient[real:] = 0.0
                grad_bias += gradient.sum(0)
                gradient = gradient.to(hidden.dtype)
                torch.mm(gradient, weight, out=grad_hidden[start : start + span])
                grad_weight += gradient.t() @ piece
        if train:
            ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype), grad_bias.to(bias.dtype))
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale = grads[0]
        grad_hidden, grad_weight, grad_bias = ctx.saved_tensors
        return (
            grad_hidden * scale.to(grad_hidden.dtype),
            grad_weight * scale.to(grad_weight.dtype),
            grad_bias * scale.to(grad_bias.dtype),
            None,
            None,
            None,
            None,
            None,
        )
