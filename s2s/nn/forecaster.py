"""Recurrent forecasts: an encoder reads a window of a series and says what comes next."""

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

    With output `last` the prediction is made of the encoder's whole last state: many-to-one with a horizon of 1,
    many-to-many out of step with a larger one. With `every` each time step of the window predicts the `horizon` steps
    after itself, many-to-many in step: in training there are `history` times as many predictions to learn from; the
    forecast is the last one. The encoder must not look ahead then, see `looks_ahead`.

    Args:
        columns: names of what is read.
        targets: names of what is predicted, some of `columns`.
        encoder: makes an encoder from the width of its input, which is the number of columns.
        history: time steps that are read.
        horizon: time steps that are predicted at once.
        output: last or every.
        scaling: see `Scaling`; so is `difference`.
        log: names of the columns whose logarithm is taken.
        difference: lags.

    Raises:
        ConfigError: sizes or names that cannot be.
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
        """How many values a forecast is made of: the history, and what differences look back."""
        return self.history + self.scaling.lost

    @property
    def free(self) -> bool:
        """Whether forecasts may go on beyond the horizon: all that is read is predicted, and can be read again."""
        return self.target_columns == list(range(len(self.columns)))

    def forward(self, x: Tensor) -> Tensor:
        """Predictions of scaled values.

        Args:
            x: scaled, [batch, history, columns].

        Returns:
            [batch, positions, horizon, targets]; positions: 1 of output `last`, history of `every`.
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
        """Summed error of predictions of scaled values; `nll` is the same sum, and no likelihood.

        Args:
            x: scaled, [batch, history, columns].
            future: the scaled values after them, [batch, horizon, targets].
            error: squared or absolute.
            future_only: count only what is predicted from the whole window. Else output `every` counts what its
                earlier time steps predict, too: of a validation window that may be values of the training part.
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
        """Predict further than the horizon: what is predicted is read as if it had been seen.

        Args:
            x: scaled, [batch, history, columns].
            steps: how many.

        Returns:
            Scaled, [batch, steps, targets].

        Raises:
            ConfigError: there are more steps than the horizon, and not all that is read is predicted.
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
        """Forecasts of series as they are, not scaled.

        Args:
            values: what was seen, `needs` time steps at least, [batch, time, columns].
            steps: how many.

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
        """Whether the encoder's output at a time step depends on later ones, found out by trying."""
        training = self.encoder.training
        weight = self.output_layer.weight
        x = weight.new_zeros(2, max(2, self.history), len(self.columns))
        x[1, -1] = 1.0  # what alone differs
        try:
            self.encoder.eval()
            outputs = self.encoder(x, torch.full((2,), x.size(1), dtype=torch.int64, device=x.device)).outputs
        finally:
            self.encoder.train(training)
        return not torch.allclose(outputs[0, :-1], outputs[1, :-1], rtol=1e-4, atol=1e-6)
