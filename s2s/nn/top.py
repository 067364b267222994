"""The k best entries of a distribution, with ties broken: the inner loop of every search."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 64  # measured best of 32 to 256 for vocabularies of 8,000 and 32,000


def top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest scores of each row and their places, best first; of equal scores the lower place first.

    `torch.topk` says nothing about ties, `torch.sort` is several times slower. Here only the maxima of blocks
    are looked at in full: the k best entries lie in the k blocks whose best entries are best, since each of
    those k blocks holds an entry that is at least as good as any entry outside of them.

    Args:
        scores: [..., vocabulary]; compared as float32.
        k: how many; cut to the size of the vocabulary.

    Returns:
        scores [..., k] of float32 and places [..., k] of int64.
    """
    *outer, vocabulary = scores.shape
    rows = scores.reshape(-1, vocabulary).float()
    values, places = _top_rows(rows, _block_maxima(rows), min(k, vocabulary))
    return values.view(*outer, -1), places.view(*outer, -1)


def top_log_probs(logits: Tensor, k: int, never: Tensor, *, sparse: bool = False) -> tuple[Tensor, Tensor]:
    """`top` of the logarithm of softmax, without writing it down for all of the vocabulary.

    Args:
        logits: [rows, vocabulary] of float32; they are overwritten.
        k: how many; cut to the size of the vocabulary.
        never: places that have their share of the probability and are not chosen, [places] of int64.
        sparse: many logits are -inf. The same answer, sooner.

    Returns:
        log-probabilities [rows, k] and places [rows, k]; -inf where fewer than k places may be chosen.
    """
    barred = logits.index_select(1, never)
    logits.index_fill_(1, never, -torch.inf)
    maxima = _block_maxima(logits)
    values, places = _top_rows(logits, maxima, min(k, logits.size(1)))
    shift = torch.cat([values[:, :1], barred], dim=1).amax(dim=1, keepdim=True)
    logits.sub_(shift)
    if sparse:
        # exp is 25 times as slow where its result is 0; and a sum of at least 1 has no place for exp(-80).
        logits.clamp_(min=-80.0)
    total = logits.exp_().sum(dim=1, keepdim=True) + (barred - shift).exp().sum(dim=1, keepdim=True)
    return (values - shift) - total.log(), places  # shift + log would lose the log's bits to a large shift


def _block_maxima(rows: Tensor) -> Tensor:
    # The best entry of each block of _BLOCK, [rows, blocks]; the last block may be smaller.
    whole = rows.size(1) // _BLOCK * _BLOCK
    maxima: Tensor = rows[:, :whole].unflatten(1, (-1, _BLOCK)).amax(dim=-1)
    if whole < rows.size(1):
        maxima = torch.cat([maxima, rows[:, whole:].amax(dim=-1, keepdim=True)], dim=1)
    return maxima


def _top_rows(rows: Tensor, maxima: Tensor, k: int) -> tuple[Tensor, Tensor]:
    vocabulary, blocks = rows.size(1), maxima.size(1)
    if blocks < 2 * k or vocabulary < 2 * _BLOCK:
        return _top_keyed(rows, torch.arange(vocabulary, device=rows.device), k)
    best_blocks = (
        maxima.max(dim=1, keepdim=True).indices  # of equals the first, as its documentation says
        if k == 1
        else _top_keyed(maxima, torch.arange(blocks, device=rows.device), k)[1]
    )
    places = (best_blocks.unsqueeze(-1) * _BLOCK + torch.arange(_BLOCK, device=rows.device)).flatten(1)
    inside = places.clamp(max=vocabulary - 1)
    candidates = rows.gather(1, inside)
    if k == 1:
        # Places beyond the end are copies of the last one, so never the first of equals.
        values, chosen = candidates.max(dim=1, keepdim=True)
        return values, inside.gather(1, chosen)
    # Places beyond the end became copies of the last one: they compare as -inf and lose their ties by their place.
    return _top_keyed(candidates.masked_fill(places >= vocabulary, -torch.inf), places, k)


def _top_keyed(rows: Tensor, places: Tensor, k: int) -> tuple[Tensor, Tensor]:
    # An integer key that orders like (score, -place): the bits of a float32 order like the float once those
    # below the sign are flipped for negative numbers. Adding zero makes -0.0 equal to 0.0.
    bits = (rows + 0.0).view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (ordered.long() << 32) - places
    chosen = keys.topk(k, dim=-1).indices
    return rows.gather(1, chosen), places.expand_as(rows).gather(1, chosen)
