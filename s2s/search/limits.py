"""How long an output may be, from the length of its source."""

import torch
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
    minimum_ratio: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Most and fewest tokens of each output, the end not counted.

    Args:
        source_lengths: tokens of each source, [sentences].
        limit_ratio: most tokens, as a multiple of the source's, plus `limit_extra`.
        limit_extra: see `limit_ratio`.
        minimum_ratio: fewest tokens, as a multiple of the source's.

    Returns:
        Two tensors [sentences] of int64.
    """
    # 90 * 0.7 is a little less than 63 in floating point: forgive what rounding alone can have done.
    rounding = 1e-6
    limits = (source_lengths.double() * limit_ratio + rounding).floor().to(torch.int64) + limit_extra
    minimums = (source_lengths.double() * minimum_ratio - rounding).ceil().to(torch.int64)
    return limits, torch.minimum(minimums, limits)
