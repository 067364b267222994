"""Coverage: how much of the source an output has attended to (Wu et al. 2016, eq. 15)."""

import torch
from torch import Tensor

from s2s.errors import ConfigError

LEAST = 1e-6
"""Least coverage of a source token, so that its logarithm is finite: sparse and local attention give weights of 0, and
an output that skips a token is poor, not impossible."""


def check_weights(weights: Tensor | None, beta: float) -> Tensor:
    """Check that a step has attention weights, and convert them.

    Args:
        weights: over the source, [sentences, beams, source], if there are any.
        beta: strength of the penalty, for the error message.

    Returns:
        the weights in float64, with NaN (of a diverged model) replaced by 0.

    Raises:
        ConfigError: there are no weights.
    """
    if weights is None:
        raise ConfigError(
            f"search 'Beam' cannot weigh coverage (beta {beta}): there are no attention weights. Either the model has "
            "no attention, or the models of an ensemble split their source differently, or its stepper was not asked "
            "for them (ModelStepper(with_weights=True)). Without coverage beta is 0"
        )
    return weights.double().nan_to_num(nan=0.0)


def coverage_penalty(covered: Tensor, source_lengths: Tensor) -> Tensor:
    """The sum over the source of log(min(c, 1)), never positive.

    Args:
        covered: c, summed attention of an output's symbols to each source token, [sentences, beams, source].
        source_lengths: [sentences].

    Returns:
        [sentences, beams].
    """
    padding = torch.arange(covered.size(-1), device=covered.device) >= source_lengths.view(-1, 1, 1)
    return covered.clamp(LEAST, 1.0).log().masked_fill(padding, 0.0).sum(dim=-1)
