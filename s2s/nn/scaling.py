"""From the values of series to the inputs of a network, and back: logarithm, differences, scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from s2s.errors import ConfigError, DataError

SCALES = ("standard", "minmax", "none")


class Scaling(nn.Module):
    """Takes logarithms, then differences, then scales each column; `inverse` undoes it.

    Differences are taken one lag after the other, as the operators (1 - B^lag) of Box & Jenkins 1970: `[1, 12]` is the
    change of the yearly change. Two numbers per column are then learned from the differenced values: their mean and
    standard deviation (standard), or their minimum and range (minmax). A column that never changes is only centred.

    It computes in float64 on the CPU, where values are kept: float32 would lose small changes of large values.

    Args:
        columns: number of columns.
        scale: standard, minmax or none.
        log: whether a column's logarithm is taken, [columns].
        difference: lags, in time steps.

    Raises:
        ConfigError: an unknown scale, or a lag below 1.
    """

    center: Tensor
    spread: Tensor

    def __init__(
        self,
        columns: int,
        *,
        scale: Literal["standard", "minmax", "none"] = "standard",
        log: Sequence[bool] = (),
        difference: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if scale not in SCALES:
            raise ConfigError(f"unknown scaling {scale!r}; choose one of {', '.join(SCALES)}")
        for lag in difference:
            if lag < 1:
                raise ConfigError(f"difference {lag} is impossible; a lag is at least 1 time step")
        self.scale = scale
        self.log = list(log) or [False] * columns
        self.difference = tuple(difference)
        self.register_buffer("center", torch.zeros(columns, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(columns, dtype=torch.float64))

    @property
    def lost(self) -> int:
        """Number of values at the beginning of a series without a difference: the sum of the lags."""
        return sum(self.difference)

    def fit(self, values: Tensor, names: Sequence[str] = ()) -> None:
        """Learn the scale of each column.

        Args:
            values: of the training part only, [time, columns].
            names: of the columns, for errors; else they are numbered from 1.

        Raises:
            DataError: there are none after differences are taken, or they are too large for the float32 of a network.
        """
        if len(values) <= self.lost:
            raise DataError(
                f"the training part has {len(values)} time steps, and differences of lags "
                f"{', '.join(map(str, self.difference)) or 'none'} need more than {self.lost}"
            )
        changes = self._changes(values.to("cpu", torch.float64))
        largest = changes.abs().amax(0)
        if self.scale == "standard":
            center, spread = changes.mean(0), changes.std(0, correction=0)
        elif self.scale == "minmax":
            center, spread = changes.amin(0), changes.amax(0) - changes.amin(0)
        else:
            center, spread = self.center.cpu(), self.spread.cpu()
        finite = torch.stack([largest, center.abs(), spread]).amax(0) <= torch.finfo(torch.float32).max
        if not bool(finite.all()):
            column = finite.tolist().index(False)
            raise DataError(
                f"column {repr(names[column]) if names else column + 1} holds values as large as "
                f"{float(values[:, column].abs().max()):g}, whose scale is beyond float32; give it in a larger unit, "
                "or leave it out of data.columns"
            )
        if self.scale == "none":
            return
        # A constant column leaves only rounding errors, which must not be scaled up.
        constant = spread <= 1e-12 * largest.clamp(min=1.0)
        self.center.copy_(center)
        self.spread.copy_(torch.where(constant, torch.ones_like(spread), spread))

    def forward(self, values: Tensor) -> Tensor:
        """Scale values [..., time, columns] to [..., time - lost, columns], each from itself and those before it."""
        changes = self._changes(values.to("cpu", torch.float64))
        return (changes - self.center.cpu()) / self.spread.cpu()

    def inverse(self, scaled: Tensor, before: Tensor, columns: Sequence[int] | None = None) -> Tensor:
        """Convert scaled values back to the original ones.

        Args:
            scaled: [..., steps, columns].
            before: the original values right before them, at least `lost`, [..., time, columns].
            columns: indices of their columns; None: all.

        Returns:
            Values of float64 on the CPU, [..., steps, columns].
        """
        chosen = list(range(len(self.log))) if columns is None else list(columns)
        changes = scaled.to("cpu", torch.float64) * self.spread.cpu()[chosen] + self.center.cpu()[chosen]
        log = torch.tensor([self.log[column] for column in chosen])
        tails = []  # before each difference: the last values, as many as its lag
        level = _logarithms(before.to("cpu", torch.float64), log)
        for lag in self.difference:
            tails.append(level[..., level.size(-2) - lag :, :])
            level = level[..., lag:, :] - level[..., :-lag, :]
        for lag, tail in zip(reversed(self.difference), reversed(tails), strict=True):
            summed = list(tail.unbind(-2))
            for change in changes.unbind(-2):
                summed.append(change + summed[-lag])
            changes = torch.stack(summed[lag:], dim=-2)
        return torch.where(log, changes.exp(), changes) if bool(log.any()) else changes

    def _changes(self, values: Tensor) -> Tensor:
        changes = _logarithms(values, torch.tensor(self.log))
        for lag in self.difference:
            changes = changes[..., lag:, :] - changes[..., :-lag, :]
        return changes


def _logarithms(values: Tensor, log: Tensor) -> Tensor:
    return torch.where(log, values.log(), values) if bool(log.any()) else values
