"""How long an output may be, from the length of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line's help reads the defaults, and needs no torch
    from torch import Tensor

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
    """Most and fewest tokens of each output, the end not counted.

    Args:
        source_lengths: tokens of each source, [sentences].
        limit_ratio: most tokens, as a multiple of the source's, plus `limit_extra`.
        limit_extra: see `limit_ratio`.
        max_tokens: most tokens, whatever the source; None is no such limit.
        minimum_ratio: fewest tokens, as a multiple of the source's.
        min_tokens: fewest tokens, whatever the source.

    Returns:
        Two tensors [sentences] of int64. A minimum above the limit gives way to it.
    """
    # 90 * 0.7 is a little less than 63 in floating point: forgive what rounding alone can have done.
    rounding = 1e-6
    limits = (source_lengths.double() * limit_ratio + rounding).floor().long() + limit_extra
    minimums = (source_lengths.double() * minimum_ratio - rounding).ceil().long().clamp(min=min_tokens)
    if max_tokens is not None:
        limits = limits.clamp(max=max_tokens)
    return limits, minimums.minimum(limits)
