"""Scheduled sampling: in training, a decoder reads its own tokens, as it does in inference."""

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
    """Replace a share of the gold tokens by tokens sampled from the model (Bengio et al. 2015, section 2.4).

    The choice is random for each token of each sentence. The model samples from its distribution given all that it has
    read before, including its own tokens; no gradient flows through the sampling.

    Args:
        gold: target tokens, beginning with bos, [batch, target].
        gold_share: probability that a token is the gold one, the paper's epsilon; the first one always is.
        decode: runs the decoder over all positions, see `Decoder.forward`.
        read: embeds target tokens, see `Seq2Seq.read`.
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
        # One random number per token; torch.multinomial draws one per vocabulary entry, and raises where a model is no
        # longer finite, which the training step should report.
        sums = log_probs.exp().cumsum(dim=-1, dtype=torch.float64)
        chance = torch.rand(rows.shape, dtype=torch.float64, device=rows.device).unsqueeze(1) * sums[:, -1:]
        return torch.searchsorted(sums, chance, right=True).squeeze(1).clamp(max=log_probs.size(1) - 1)

    with torch.no_grad():
        decode(next_input)
    # Before torch 2.11, weights cast here stay in that cache, without gradient (pytorch/pytorch#165068).
    torch.clear_autocast_cache()
    return Padded(torch.stack(tokens_read, dim=1), gold.lengths)
