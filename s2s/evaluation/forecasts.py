"""Errors of forecasts, compared with baselines that need no training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from s2s.counted import counted
from s2s.errors import DataError

Values = npt.NDArray[np.float64]

Forecasts = Callable[[Values, int], Values]
"""What was seen [origins, time, columns] and a number of steps, to [origins, steps, targets]."""

NAIVE, SEASONAL_NAIVE = "naive", "seasonal naive"


class Accuracy(NamedTuple):
    """Errors of forecasts, for each column over all origins and steps, [columns].

    Attributes:
        mae: mean absolute error, in the column's unit.
        rmse: root of the mean squared error, in the column's unit.
        mase: mean absolute scaled error: `mae` / `in_sample_error` (Hyndman & Koehler 2006, section 3.4); below 1:
            better than the seasonal naive forecast one season ahead was in the training part. Not a number where that
            was never off.
    """

    mae: Values
    rmse: Values
    mase: Values


class Result(NamedTuple):
    """What a system reached.

    Attributes:
        system: its name.
        steps: how many steps each forecast has.
        origins: how many forecasts were made, each from a time step of its own.
        accuracy: for each column.
    """

    system: str
    steps: int
    origins: int
    accuracy: Accuracy


def in_sample_error(values: Values, season: int) -> Values:
    """Mean absolute error of the seasonal naive forecast in the training part, which MASE divides by, [columns].

    1/(n - m) * sum over t = m+1..n of |y_t - y_(t-m)|; with a season of m = 1 it is that of the naive forecast, as
    Hyndman & Koehler 2006 have it.

    Args:
        values: of the training part, [time, columns].
        season: m, in time steps.

    Raises:
        DataError: the training part is not longer than a season.
    """
    if len(values) <= season:
        raise DataError(
            f"the training part has {len(values)} time steps, not more than data.season {season}, so that MASE is "
            "undefined; give more training data, or a smaller season"
        )
    return np.asarray(np.abs(values[season:] - values[:-season]).mean(0))


def accuracy(forecasts: Values, actual: Values, scale: Values) -> Accuracy:
    """Errors over all origins and steps.

    Args:
        forecasts: [origins, steps, columns].
        actual: of the same shape.
        scale: see `in_sample_error`, [columns]; where it is 0, MASE is not a number.
    """
    errors = np.abs(forecasts - actual)
    mae = errors.mean((0, 1))
    return Accuracy(mae, np.sqrt((errors**2).mean((0, 1))), mae / np.where(scale > 0, scale, np.nan))


def naive(seen: Values, steps: int) -> Values:
    """The last value again and again, [origins, steps, columns], of [origins, time, columns]."""
    return seasonal_naive(seen, steps, 1)


def seasonal_naive(seen: Values, steps: int, season: int) -> Values:
    """The last season again and again.

    Args:
        seen: at least a season, [origins, time, columns].
        steps: how many.
        season: in time steps.

    Returns:
        [origins, steps, columns].
    """
    last = seen[:, seen.shape[1] - season :]
    return last[:, np.arange(steps) % season]


def backtest(
    forecast: Forecasts,
    values: Values,
    *,
    start: int,
    steps: int,
    needs: int,
    season: int,
    targets: Sequence[int],
    scale: Values,
) -> list[Result]:
    """Forecast from each time step of a part after which enough steps are left, and compare with baselines.

    Each forecast sees the true values up to its own origin, including those before the part ("rolling origin",
    Tashman 2000); with as many steps as the part is long, there is only one, from the beginning.

    Args:
        forecast: the system, called `model` in the results.
        values: the whole series, [time, columns].
        start: where the part begins, at least `needs` and `season`.
        steps: of each forecast.
        needs: how many values the system reads.
        season: in time steps.
        targets: the columns that are predicted.
        scale: see `in_sample_error`, [targets].
    """
    seen_steps = max(needs, season)
    origins = range(start, len(values) - steps + 1)
    seen = np.stack([values[origin - seen_steps : origin] for origin in origins])
    chosen = list(targets)
    actual = np.stack([values[origin : origin + steps, chosen] for origin in origins])
    forecasts = {
        "model": forecast(seen, steps),
        NAIVE: naive(seen[..., chosen], steps),
        SEASONAL_NAIVE: seasonal_naive(seen[..., chosen], steps, season),
    }
    return [
        Result(name, steps, len(origins), accuracy(one, actual, scale)) for name, one in forecasts.items()
    ]


def table(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """Results as lines, a row for each system and column.

    Args:
        results: of one or more backtests.
        names: of the columns.
    """
    wide = max(map(len, names))
    lines = [f"{'forecasts':<22} {'':<14} {'':<{wide}} {'MAE':>10} {'RMSE':>10} {'MASE':>7}"]
    for result in results:
        what = f"{result.origins} of {counted(result.steps, 'step')}"
        for column, name in enumerate(names):
            mae, rmse, mase = (float(figure[column]) for figure in result.accuracy)
            lines.append(
                f"{what:<22} {result.system:<14} {name:<{wide}} {mae:>10.4g} {rmse:>10.4g} {mase:>7.3f}"
            )
    return lines
