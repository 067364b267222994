"""The schedule of the coverage loss."""

from torch import nn

from s2s.errors import ConfigError


class CoverageLoss(nn.Module):
    """The factor lambda of the coverage loss at each optimizer step (See et al. 2017, eq. 13): 0, then `weight`.

    The paper switches it on when the model is trained, for 3,000 steps with lambda = 1: from the beginning it did harm.

    Args:
        weight: lambda.
        after: steps without it.

    Attributes:
        factor: of the step that training is at.
    """

    def __init__(self, weight: float, *, after: int) -> None:
        super().__init__()
        for name, value in (("coverage_loss", weight), ("coverage_loss_after", after)):
            if value < 0:
                raise ConfigError(f"model.{name} {value} is impossible; it must be 0 or more")
        self.weight = weight
        self.after = after
        self.factor = 0.0 if after else weight

    def at_step(self, step: int) -> None:
        """Set the factor of this step; it depends on the step only, so there is no state to save."""
        self.factor = self.weight if step >= self.after else 0.0
