"""Scheduled sampling: a decoder that reads in training what it reads in inference, its own tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from s2s.nn.decoder import Decoded, NextInput
from s2s.nn.head import Head
from s2s.padded import Padded


def with_own_tokens(
    gold: Padded,
    gold_share: float,
    *,
    decode: Callable[[NextInput], object],
    read: Callable[[Tensor], Tensor],
    head: Head,
    source: Padded,
) -> Padded:
    """Tokens to read, of which the model has drawn a share itself (Bengio et al. 2015, section 2.4).

    A coin is tossed for each token of each sentence. What falls to the model is drawn from its distribution given all
    that it has read before, its own tokens too; no gradient goes through the choice.

    Args:
        gold: target tokens, beginning with the begin mark, [batch, target].
        gold_share: probability that a token is the gold one, the paper's epsilon; the first one always is.
        decode: runs the decoder over all positions, see `Decoder.forward`.
        read: what the decoder reads of target tokens, see `Seq2Seq.read`.
        head: predicts them.
        source: the source sentences.
    """
    tokens_read = [gold.ids[:, 0]]

    def next_input(decoded: Decoded, time: int) -> Tensor:
        tokens = gold.ids[:, time]
        own = (torch.rand(tokens.shape, device=tokens.device) >= gold_share) & (time < gold.lengths)
        rows = own.nonzero().squeeze(1)
        if rows.numel():
            tokens = tokens.index_copy(0, rows, draw(decoded, rows))
        tokens_read.append(tokens)
        return read(tokens)

    def draw(decoded: Decoded, rows: Tensor) -> Tensor:
        chosen = Decoded(*(None if part is None else part[rows] for part in decoded))  # type: ignore[arg-type]
        log_probs = head.log_probs(chosen, Padded(source.ids[rows], source.lengths[rows]))
        # One random number per token; torch.multinomial takes one per piece of the vocabulary, and raises where a
        # model is no longer finite, which is the training step's to tell.
        sums = log_probs.exp().cumsum(dim=-1, dtype=torch.float64)
        chance = torch.rand(rows.shape, dtype=torch.float64, device=rows.device).unsqueeze(1) * sums[:, -1:]
        return torch.searchsorted(sums, chance, right=True).squeeze(1).clamp(max=log_probs.size(1) - 1)

    with torch.no_grad():
        decode(next_input)
    # A torch older than 2.11 keeps weights there as they were cast now, without a way back (pytorch/pytorch#165068).
    torch.clear_autocast_cache()
    return Padded(torch.stack(tokens_read, dim=1), gold.lengths)
