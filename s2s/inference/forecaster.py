"""Forecasts of time series with a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s2s.errors import ConfigError, DataError
from s2s.inference.devices import usable_device
from s2s.inference.model_bundle import ModelBundle, load_model_bundle
from s2s.nn.forecaster import ForecastModel
from s2s.registry.near_names import unknown
from s2s.resources import locate
from s2s.series import Table, as_csv, following, read_table
from s2s.series.table import Values


@dataclass(frozen=True)
class Forecast:
    """The forecast continuation of a series.

    Attributes:
        label: name of the time axis: the name of the column of dates, or "step".
        labels: dates that continue those of the series; numbers from 1 if there are none or they are irregular.
        names: names of the predicted columns.
        values: [steps, names], of float64.
    """

    label: str
    labels: list[str]
    names: list[str]
    values: Values

    def csv(self) -> str:
        """A header, and a line for each time step."""
        return as_csv(self.label, self.labels, self.names, self.values)


class Forecaster:
    """Forecasts with a bundle, which specifies the columns, the number of steps and the scaling.

    Args:
        bundle: as `load_model_bundle` returns it.
        device: such as "cpu" or "cuda".

    Raises:
        ConfigError: no such device.
    """

    def __init__(self, bundle: ModelBundle[ForecastModel], *, device: str = "cpu") -> None:
        with usable_device(device) as place:
            self.model = bundle.model.to(place)
        self.date: str | None = bundle.config.get("training", {}).get("date")

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Forecaster:
        """Make a forecaster from a bundle on disk.

        Raises:
            BundleError: there is none, it cannot be used here, or it holds a model of another kind.
        """
        return cls(load_model_bundle(path, ForecastModel), device=device)

    @property
    def columns(self) -> list[str]:
        """The columns that a series must have."""
        return self.model.columns

    def read(self, path: str | Path, date: str | None = None) -> Table:
        """Read the needed columns of a CSV file; `-` is standard input, `embedded:series/museum.csv` comes with s2s.

        Args:
            path: of the file.
            date: name of its column of dates; None: as in training, if the file has that column.

        Raises:
            DataError: see `read_table`.
        """
        return read_table(
            locate(str(path)), columns=self.columns, date=date or self.date, date_optional=date is None
        )

    def forecast(
        self,
        series: str | Path | Table | Mapping[str, Sequence[float] | np.ndarray[Any, Any]],
        steps: int | None = None,
    ) -> Forecast:
        """Forecast the continuation of a series.

        Args:
            series: a CSV file; a table, such as `read` returns; or values by column name, oldest first, as a dict or a
                data frame. Columns are found by their names.
            steps: how many; None: the horizon of the model. Beyond the horizon, the model reads its own predictions.

        Raises:
            ConfigError: fewer than one step; or more than the horizon, for a model that does not predict all columns
                that it reads.
            DataError: the file cannot be read, a column is missing or not a sequence of numbers, the series is too
                short, or its forecast is not finite.
        """
        steps = self.model.horizon if steps is None else steps
        if steps < 1:
            raise ConfigError(f"steps is {steps}; it must be at least 1")
        table = self._table(series)
        if len(table) < self.model.needs:
            raise DataError(
                f"{table.path} has {len(table)} time steps, but this model needs {self.model.needs} for a forecast; "
                "give a longer series"
            )
        table.check_positive(
            [name for name in self.columns if self.model.scaling.log[self.columns.index(name)]]
        )
        last = torch.from_numpy(np.ascontiguousarray(table.values[-self.model.needs :]))
        readable = self.model.scaling(last).float().isfinite().all(0).tolist()
        if not all(readable):
            raise DataError(
                f"{table.path}: column {self.columns[readable.index(False)]!r} holds values beyond float32 after "
                "scaling; check whether they have the same unit as in training"
            )
        values = self.model.forecast(last.unsqueeze(0), steps)[0].numpy()
        if not np.isfinite(values).all():
            step, column = np.argwhere(~np.isfinite(values))[0]
            raise DataError(
                f"the forecast of {self.model.targets[column]!r} is not finite at step {step + 1}; ask for fewer "
                "steps, or check whether the series is like that of the training"
            )
        dates = following(table.dates, steps) if table.date is not None else None
        label = "step" if dates is None or table.date is None else table.date
        return Forecast(
            label, dates or [str(step + 1) for step in range(steps)], list(self.model.targets), values
        )

    def _table(self, series: Any) -> Table:
        if isinstance(series, Table):
            return self._complete(series.chosen(self.columns))
        if isinstance(series, (str, Path)):
            return self.read(series)
        if not hasattr(series, "keys"):
            raise DataError(
                f"the series is a {type(series).__name__}; give a CSV file, a table that `read` gave, or values by the "
                f"names of the columns ({', '.join(self.columns)})"
            )
        columns = []
        for name in self.columns:
            if name not in series:
                raise DataError(unknown("column", name, map(str, series)))
            columns.append(_numbers(series[name], name))
        lengths = {len(column) for column in columns}
        if len(lengths) > 1:
            raise DataError(
                f"the columns have {' and '.join(map(str, sorted(lengths)))} values; they must have equally many"
            )
        return self._complete(Table("the series", list(self.columns), np.stack(columns, axis=1), []))

    def _complete(self, table: Table) -> Table:
        if not np.isfinite(table.values).all():
            time, column = np.argwhere(~np.isfinite(table.values))[0]
            raise DataError(
                f"column {self.columns[column]!r} has no value at step {time + 1}; fill it in: a forecast needs a "
                "value at each step"
            )
        return table


def _numbers(given: Any, name: str) -> Values:
    """The values of a column, [time]."""
    try:
        array = np.asarray(given)
        values = array.astype(np.float64) if array.dtype.kind in "biufO" else None
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last one of tensors
        values = None
    if values is None:
        raise DataError(f"column {name!r} holds what is no number; give its values, oldest first")
    if values.ndim != 1:
        what = f"an array of shape {tuple(values.shape)}" if values.ndim else "one number"
        raise DataError(f"column {name!r} is {what}; give its values, one for each time step, oldest first")
    return values
