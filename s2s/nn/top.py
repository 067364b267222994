"""The k best entries of a distribution, with ties broken: the inner loop of every search."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 64
"""Block size: measured as the best of 32 to 256 for vocabularies of 8,000 and 32,000."""

_FEW = 2**14
"""Number of elements up to which a plain scan is faster than blocks: two rows of 8,000."""


def top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest scores of each row and their places, best first; ties by lower place.

    `torch.topk` guarantees nothing about ties, `torch.sort` is several times slower. Here only the maxima of blocks
    are searched in full: the k best entries lie in the k blocks with the largest maxima, since each of those k blocks
    holds an entry that is at least as good as any entry outside of them.

    Args:
        scores: [..., vocabulary]; compared as float32.
        k: number of scores; capped at the vocabulary size.

    Returns:
        scores [..., k] of float32 and places [..., k] of int64.
    """
    *outer, vocabulary = scores.shape
    rows = scores.reshape(-1, vocabulary).float()
    if k == 1 and rows.numel() <= _FEW:
        values, places = rows.max(dim=1, keepdim=True)  # of equals the first, as its documentation says
    else:
        values, places = _top_rows(rows, _block_maxima(rows), min(k, vocabulary))
    return values.view(*outer, -1), places.view(*outer, -1)


def top_log_probs(logits: Tensor, k: int, never: Tensor) -> tuple[Tensor, Tensor]:
    """`top` of the log-softmax.

    Args:
        logits: [rows, vocabulary].
        k: number of scores; capped at the vocabulary size.
        never: places that keep their probability but are never chosen, [places] of int64.

    Returns:
        log-probabilities [rows, k] of float32 and places [rows, k]; -inf where fewer than k places may be chosen.
    """
    log_probs = logits.log_softmax(dim=1, dtype=torch.float32)
    return top(log_probs.index_fill_(1, never, -torch.inf), k)


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
        maxima.max(dim=1, keepdim=True).indices
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
