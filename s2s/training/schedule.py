"""How the learning rate changes over training."""

import math
from typing import Any, Literal

from torch.optim.lr_scheduler import LambdaLR

ScheduleName = Literal["constant", "cosine", "inverse_sqrt", "plateau"]
"""See `TaskModule`."""


def learning_rate_factor(
    schedule: ScheduleName, step: int, *, warmup_steps: int, total: int | None, plateau: "Plateau"
) -> float:
    """Share of the highest learning rate that is used at an optimizer step.

    Args:
        schedule: its name, see `TaskModule`.
        step: counted from 0.
        warmup_steps: steps in which the learning rate rises linearly from 0.
        total: steps of the whole training, which the cosine needs to know.
        plateau: state of the plateau schedule.
    """
    rise = min(1.0, (step + 1) / max(1, warmup_steps))
    if schedule == "cosine":
        assert total is not None
        return rise * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total)))))
    if schedule == "inverse_sqrt":
        return rise * min(1.0, math.sqrt(max(1, warmup_steps) / (step + 1)))
    return rise * plateau.scale


class Plateau:
    """Halves a scale when a figure has not improved for some time.

    Args:
        patience: figures without improvement before the scale is halved.
        higher_is_better: direction of improvement.
    """

    def __init__(self, patience: int, *, higher_is_better: bool) -> None:
        self.patience = patience
        self.sign = 1.0 if higher_is_better else -1.0
        self.scale = 1.0
        self.best = -math.inf
        self.waited = 0

    def see(self, value: float) -> None:
        """Take one more figure into account."""
        if value * self.sign > self.best:
            self.best, self.waited = value * self.sign, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.scale, self.waited = self.scale / 2, 0

    def state_dict(self) -> dict[str, float]:
        """For the checkpoint."""
        return {"scale": self.scale, "best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """From the checkpoint."""
        self.scale, self.best, self.waited = state["scale"], state["best"], int(state["waited"])


class Schedule(LambdaLR):
    """Resumes with the learning rate and the other optimizer options that are configured now.

    A checkpoint holds the old ones, in the states of optimizer and schedule; the schedule's `load_state_dict` is called
    last, and sets the new ones.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the position of the schedule; with an unchanged rate, all numbers stay as they were."""
        asked = self.base_lrs
        super().load_state_dict(state_dict)
        changed = self.base_lrs != asked
        self.base_lrs = asked
        for group, rate, factor in zip(self.optimizer.param_groups, asked, self.lr_lambdas, strict=True):
            group.update({name: self.optimizer.defaults[name] for name in ("betas", "weight_decay")})
            if changed:
                group["initial_lr"], group["lr"] = rate, rate * factor(self.last_epoch)
