"""Recurrent forecasts: an encoder reads a window of a series and predicts what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import ConfigError
from s2s.nn.encoder import SequenceEncoder
from s2s.nn.head import HeadLoss
from s2s.nn.scaling import Scaling
from s2s.nn.sizes import check_size

OUTPUTS = ("last", "every")


class ForecastModel(nn.Module):
    """Reads `history` time steps and predicts the `horizon` steps after them, all at once.

    With output `last` the prediction is computed from the encoder's whole final state: many-to-one with a horizon of 1,
    unaligned many-to-many with a larger one. With `every` each time step of the window predicts the `horizon` steps
    after itself, aligned many-to-many: training has `history` times as many predictions to learn from; the forecast is
    the last one. The encoder must then not look ahead, see `looks_ahead`.

    Args:
        columns: names of the input columns.
        targets: names of the predicted columns, a subset of `columns`.
        encoder: makes an encoder from the width of its input, which is the number of columns.
        history: number of input time steps.
        horizon: number of time steps that are predicted at once.
        output: last or every.
        scaling: see `Scaling`.
        log: names of the columns whose logarithm is taken.
        difference: lags, see `Scaling`.

    Raises:
        ConfigError: invalid sizes or names.
    """

    def __init__(
        self,
        columns: Sequence[str],
        targets: Sequence[str],
        *,
        encoder: Callable[[int], SequenceEncoder],
        history: int,
        horizon: int = 1,
        output: Literal["last", "every"] = "last",
        scaling: Literal["standard", "minmax", "none"] = "standard",
        log: Sequence[str] = (),
        difference: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ConfigError(f"unknown output {output!r}; choose one of {', '.join(OUTPUTS)}")
        self.columns, self.targets = list(columns), list(targets)
        self.target_columns = [self.columns.index(name) for name in targets]
        self.history = check_size("history", history)
        self.horizon = check_size("horizon", horizon)
        self.output = output
        self.scaling = Scaling(
            len(columns), scale=scaling, log=[name in log for name in columns], difference=difference
        )
        self.encoder = encoder(len(columns))
        width = self.encoder.feature_size if output == "last" else self.encoder.output_size
        self.output_layer = nn.Linear(width, horizon * len(targets))

    @property
    def needs(self) -> int:
        """How many values a forecast needs: the history, and the earlier values that differences need."""
        return self.history + self.scaling.lost

    @property
    def free(self) -> bool:
        """Whether forecasts may go beyond the horizon: every input column is predicted and can be fed back."""
        return self.target_columns == list(range(len(self.columns)))

    def forward(self, x: Tensor) -> Tensor:
        """Predictions of scaled values.

        Args:
            x: scaled, [batch, history, columns].

        Returns:
            [batch, positions, horizon, targets]; positions: 1 for output `last`, history for `every`.
        """
        lengths = torch.full((x.size(0),), x.size(1), dtype=torch.int64, device=x.device)
        encoded = self.encoder(x, lengths)
        read = (
            encoded.outputs if self.output == "every" else self.encoder.features(encoded.state).unsqueeze(1)
        )
        predicted: Tensor = self.output_layer(read).unflatten(-1, (self.horizon, len(self.targets)))
        return predicted

    def loss(
        self,
        x: Tensor,
        future: Tensor,
        error: Literal["squared", "absolute"] = "squared",
        *,
        future_only: bool = False,
    ) -> HeadLoss:
        """Summed error of predictions of scaled values; `nll` is the same sum, not a likelihood.

        Args:
            x: scaled, [batch, history, columns].
            future: the scaled values after them, [batch, horizon, targets].
            error: squared or absolute.
            future_only: count only the predictions from the whole window. Otherwise output `every` also counts those
                of its earlier time steps, which in a validation window may be of values of the training part.
        """
        predicted = self(x).to(future.dtype)
        gold = future.unsqueeze(1)
        if future_only:
            predicted = predicted[:, -1:]
        elif self.output == "every":  # after the first value of the window, after its second ...
            line = torch.cat([x[..., self.target_columns].to(future.dtype), future], dim=1)
            gold = line[:, 1:].unfold(1, self.horizon, 1).transpose(2, 3)
        measure = F.mse_loss if error == "squared" else F.l1_loss
        total = measure(predicted, gold, reduction="sum")
        return HeadLoss(total, total.detach(), torch.tensor(gold.numel(), device=gold.device))

    def roll_out(self, x: Tensor, steps: int) -> Tensor:
        """Predict beyond the horizon by feeding predictions back as input.

        Args:
            x: scaled, [batch, history, columns].
            steps: number of steps.

        Returns:
            Scaled, [batch, steps, targets].

        Raises:
            ConfigError: there are more steps than the horizon, and not every input column is predicted.
        """
        if steps > self.horizon and not self.free:
            unpredicted = [name for name in self.columns if name not in self.targets]
            raise ConfigError(
                f"{steps} steps are more than the horizon of {self.horizon}, and then predictions are read again; "
                f"but {', '.join(unpredicted) or 'the order of the columns'} is not predicted. Ask for {self.horizon} "
                "steps at most, or train with a larger data.horizon or without data.targets"
            )
        predicted: list[Tensor] = []
        for start in range(0, steps, self.horizon):
            following = self(x)[:, -1]
            predicted.append(following)
            if start + self.horizon < steps:
                x = torch.cat([x, following.to(x.dtype)], dim=1)[:, -self.history :]
        return torch.cat(predicted, dim=1)[:, :steps]

    @torch.no_grad()
    def forecast(self, values: Tensor, steps: int) -> Tensor:
        """Forecasts in the units of the series, not scaled.

        Args:
            values: observed values, `needs` time steps at least, [batch, time, columns].
            steps: number of steps.

        Returns:
            Of float64 on the CPU, [batch, steps, targets].
        """
        values = values[:, values.size(1) - self.needs :].to("cpu", torch.float64)
        weight = self.output_layer.weight
        scaled = self.scaling(values).to(weight.device, weight.dtype)
        return self.scaling.inverse(
            self.roll_out(scaled, steps), values[..., self.target_columns], self.target_columns
        )

    @torch.no_grad()
    def looks_ahead(self) -> bool:
        """Whether the encoder's output at a time step depends on later ones, tested by experiment."""
        training = self.encoder.training
        weight = self.output_layer.weight
        x = weight.new_zeros(2, max(2, self.history), len(self.columns))
        x[1, -1] = 1.0  # the only difference
        try:
            self.encoder.eval()
            outputs = self.encoder(x, torch.full((2,), x.size(1), dtype=torch.int64, device=x.device)).outputs
        finally:
            self.encoder.train(training)
        return not torch.allclose(outputs[0, :-1], outputs[1, :-1], rtol=1e-4, atol=1e-6)
