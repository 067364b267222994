"""The final state of encoders without recurrence."""

from torch import Tensor


def masked_mean(outputs: Tensor, lengths: Tensor) -> Tensor:
    """The mean of each sentence's outputs, [batch, E].

    Args:
        outputs: zero at padding, [batch, source, E].
        lengths: number of real positions, [batch].
    """
    return outputs.sum(1) / lengths.unsqueeze(1)
