"""How long an output may be, from the length of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the command line's help reads the defaults, and needs no torch
    from torch import Tensor

Lengths = NDArray[np.int64]

MOST_AT_ONCE = 10_000
"""Maximum beam size or number of samples: bundles recommend search options, and millions would take all memory."""

MOST_TOKENS = 10**9
MOST_RATIO = 10**6
MOST_ALPHA = 10
MOST_PENALTY = 10**6
TEMPERATURES = (1e-4, 1e4)
"""Bounds of options: far outside the useful range, but results are still finite. At these two temperatures, sampling is
greedy and uniform, respectively."""

LIMIT_RATIO = 2.0
LIMIT_EXTRA = 20
"""An output has at most LIMIT_RATIO times the tokens of its source, and LIMIT_EXTRA more: wide enough for
every pair of the corpora that we know, narrow enough that a model that does not end its sentences costs
little."""


def output_limits(
    source_lengths: Tensor,
    *,
    limit_ratio: float = LIMIT_RATIO,
    limit_extra: int = LIMIT_EXTRA,
    max_tokens: int | None = None,
    minimum_ratio: float = 0.0,
    min_tokens: int = 0,
) -> tuple[Tensor, Tensor]:
    """Maximum and minimum number of tokens of each output, without eos.

    Args:
        source_lengths: tokens of each source, [sentences].
        limit_ratio: most tokens, as a multiple of the source's, plus `limit_extra`.
        limit_extra: see `limit_ratio`.
        max_tokens: most tokens, whatever the source; None: no such limit.
        minimum_ratio: fewest tokens, as a multiple of the source's.
        min_tokens: fewest tokens, whatever the source.

    Returns:
        Two tensors [sentences] of int64. A minimum above the limit is lowered to it.
    """
    limits, minimums = limits_of(
        source_lengths.cpu().numpy(),
        limit_ratio=limit_ratio,
        limit_extra=limit_extra,
        max_tokens=max_tokens,
        minimum_ratio=minimum_ratio,
        min_tokens=min_tokens,
    )
    like = source_lengths.new_tensor
    return like(limits), like(minimums)


def limits_of(
    source_lengths: Lengths,
    *,
    limit_ratio: float = LIMIT_RATIO,
    limit_extra: int = LIMIT_EXTRA,
    max_tokens: int | None = None,
    minimum_ratio: float = 0.0,
    min_tokens: int = 0,
) -> tuple[Lengths, Lengths]:
    """`output_limits` for NumPy arrays."""
    # 90 * 0.7 is a little less than 63 in floating point: tolerate rounding errors.
    rounding = 1e-6
    limits = np.floor(source_lengths * limit_ratio + rounding).astype(np.int64) + limit_extra
    minimums = np.ceil(source_lengths * minimum_ratio - rounding).astype(np.int64)
    minimums = np.maximum(minimums, min_tokens)
    if max_tokens is not None:
        limits = np.minimum(limits, max_tokens)
    return limits, np.minimum(minimums, limits)
