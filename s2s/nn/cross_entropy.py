"""Cross-entropy of a linear output layer without ever holding all its logits."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from s2s.nn.head import PIECE_ELEMENTS
from s2s.nn.kernels import linear

BLOCK_ELEMENTS = 2**18
"""Softmax and gradient of a piece are computed in blocks of this size, 1 MiB in float32: each block is read ten times,
from a core's own cache."""

ROWS = 64
"""Tokens are padded to a multiple of this. A CPU's matrix library keeps some megabytes for every number of rows that it
has seen (5 GB after an epoch of Multi30k); padding keeps these few."""


SHARED_ROWS, SHARED_COLUMNS = 1280, 256
"""oneDNN does not parallelize a bfloat16 product of fewer rows, 512 columns and a long inner axis: 6.9 ms on two
threads for [1024, 8000] x [8000, 512], 3.9 ms in pieces of 256 columns."""


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    gold: Tensor,
    *,
    label_smoothing: float = 0.0,
    beside: Tensor | None = None,
    piece_elements: int = PIECE_ELEMENTS,
) -> tuple[Tensor, Tensor]:
    """Sum over tokens of the cross-entropy of ``softmax(hidden @ weight.T + bias)``.

    With `beside` it is that of a mixture, ``-log(softmax(...)[gold] + exp(beside))``; the share spread by label
    smoothing applies to the softmax alone.

    The gradient of the logits is their softmax minus the target distribution, so it is available together with the
    loss: the logits of each piece of tokens are computed, turned into their gradient in place, and discarded. Under
    autocast, products are computed in its dtype, everything else in float32.

    Args:
        hidden: [tokens, hidden].
        weight: [vocabulary, hidden].
        bias: [vocabulary].
        gold: [tokens] of int64.
        label_smoothing: share of the target spread evenly over the vocabulary (Szegedy et al. 2016, section 7).
        beside: log-probability of each gold token from another source, [tokens], in float32 at least; -1 in `gold` is
            then a token to which the softmax gives no probability.
        piece_elements: bound on tokens * vocabulary of one piece, in float32; in bfloat16 twice as many.

    Returns:
        The smoothed loss, differentiable once, and the plain negative log-likelihood, both summed over tokens.
    """
    device = hidden.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else hidden.dtype
    tokens = gold.size(0)
    hidden = F.pad(hidden, (0, 0, 0, -tokens % ROWS))
    gold = F.pad(gold, (0, -tokens % ROWS))
    if beside is not None:
        beside = F.pad(beside, (0, -tokens % ROWS))
    with torch.autocast(device, enabled=False):
        train = torch.is_grad_enabled()  # inside the function it is always off
        total, nll = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, weight, bias, beside, gold, tokens, label_smoothing, piece_elements, dtype, train
        )
    return total, nll


def _multiply(x: Tensor, y: Tensor, out: Tensor) -> None:
    # out = x y
    alone = x.size(0) <= SHARED_ROWS and x.dtype == torch.bfloat16 and x.device.type == "cpu"
    if not (alone and torch.get_num_threads() > 1):
        out.copy_(linear(x, y.t()))
        return
    for start in range(0, y.size(1), SHARED_COLUMNS):
        columns = slice(start, start + SHARED_COLUMNS)
        torch.mm(x, y[:, columns], out=out[:, columns])


class _Losses(NamedTuple):
    """Of the rows of a block."""

    nll: Tensor  # of the gold token, [rows, 1]
    nll_of_uniform: Tensor  # mean over all tokens, [rows, 1]
    grad_scores: Tensor  # of the smoothed loss, [rows, vocabulary]
    grad_beside: Tensor | None  # [rows, 1]


def _softmax_losses(
    scores: Tensor, gold: Tensor, beside: Tensor | None, label_smoothing: float, train: bool
) -> _Losses:
    """Losses of `scores` [rows, vocabulary], which are overwritten; `gold` is [rows, 1], `beside` [rows].

    Gradients mean nothing unless `train`.
    """
    vocabulary = scores.size(1)
    most = scores.amax(dim=1, keepdim=True)
    picked = scores.gather(1, gold.clamp(min=0))
    mean = scores.mean(dim=1, keepdim=True) if label_smoothing else picked
    exponentials = scores.sub_(most).exp_()
    sums = exponentials.sum(dim=1, keepdim=True)
    normalizer = most + sums.log()
    log_probs = picked - normalizer
    share: Tensor | float = 1.0  # the softmax's, of gold's probability
    grad_beside = None
    if beside is not None:
        alone = log_probs.masked_fill(gold < 0, -torch.inf)
        log_probs = torch.logaddexp(alone, beside.unsqueeze(1).to(scores.dtype))
        share = (alone - log_probs).exp()
        grad_beside = (1 - label_smoothing) * (share - 1.0)
    if train:
        certain = (1 - label_smoothing) * share
        exponentials.mul_((certain + label_smoothing) / sums)
        if label_smoothing:
            exponentials.sub_(label_smoothing / vocabulary)
        exponentials.scatter_add_(1, gold.clamp(min=0), -certain * torch.ones_like(picked))
    return _Losses(-log_probs, normalizer - mean, exponentials, grad_beside)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        beside: Tensor | None,
        gold: Tensor,
        tokens: int,
        label_smoothing: float,
        piece_elements: int,
        dtype: torch.dtype,
        train: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.dtypes = hidden.dtype, weight.dtype, bias.dtype, None if beside is None else beside.dtype
        vocabulary = weight.size(0)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        precise = torch.promote_types(dtype, torch.float32)
        bias = bias.to(precise)
        total = hidden.new_zeros((), dtype=precise)
        nll = hidden.new_zeros((), dtype=precise)
        train = train and any(ctx.needs_input_grad)
        grad_hidden, grad_bias = torch.empty_like(hidden), torch.zeros_like(bias)
        grad_weight: Tensor | None = None
        grad_beside = None if beside is None else torch.zeros_like(beside)
        span = max(1, piece_elements * 4 // dtype.itemsize // vocabulary)
        span = max(span - span % ROWS, min(span, ROWS))
        block = max(1, BLOCK_ELEMENTS // vocabulary)
        for start in range(0, hidden.size(0), span):
            piece = hidden[start : start + span]
            logits = linear(piece, weight)
            for first in range(0, piece.size(0), block):
                rows = logits[first : first + block]
                target = gold[start + first :][: rows.size(0)].unsqueeze(1)
                real = max(0, min(rows.size(0), tokens - start - first))
                beside_rows = None if beside is None else beside[start + first :][: rows.size(0)]
                found = _softmax_losses(
                    rows.to(precise).add_(bias), target, beside_rows, label_smoothing, train
                )
                lost = found.nll[:real].sum()
                nll += lost
                total += (1 - label_smoothing) * lost
                if label_smoothing:
                    total += label_smoothing * found.nll_of_uniform[:real].sum()
                if found.grad_beside is not None and grad_beside is not None:
                    grad_beside[start + first :][: rows.size(0)] = found.grad_beside.squeeze(1)
                if train:
                    gradient = found.grad_scores
                    gradient[real:] = 0.0
                    grad_bias += gradient.sum(0)
                    rows.copy_(gradient)
            if train:
                _multiply(logits, weight, grad_hidden[start : start + span])
                product = linear(logits.t(), piece.t()).to(precise)
                grad_weight = product if grad_weight is None else grad_weight.add_(product)
        if train:
            if grad_weight is None:
                grad_weight = torch.zeros_like(weight, dtype=precise)
            if grad_beside is not None:
                grad_beside[tokens:] = 0.0
            ctx.gradients = grad_hidden, grad_weight, grad_bias, grad_beside
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError(
                "the gradient of linear_cross_entropy was taken already; it is kept for one backward pass"
            )
        gradients, ctx.gradients = (
            ctx.gradients,
            None,
        )  # scaled in place: the weight's is as large as the weight
        scale = grads[0]
        if scale.device.type != "cpu" or scale.item() != 1.0:  # reading it synchronizes with an accelerator
            for part in gradients:
                if part is not None:
                    part.mul_(scale.to(part.dtype))
        scaled = [
            None if part is None else part.to(dtype)
            for part, dtype in zip(gradients, ctx.dtypes, strict=True)
        ]
        return (*scaled, None, None, None, None, None, None)
