"""`s2s forecast`: forecasts the continuation of a time series with a bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.errors import ConfigError

if TYPE_CHECKING:
    from s2s.inference.forecaster import Forecast
    from s2s.series import Table

SUMMARY = "forecast time series with a bundle"

_SEEN_TIMES, _SEEN_LEAST = 4, 60
"""How much of the series a plot shows: this many times the length of the forecast, and at least this many steps."""


def main(argv: list[str]) -> int:
    """Run `s2s forecast BUNDLE FILE.csv`."""
    parser = CommandLine(
        prog="s2s forecast",
        description="Forecast what comes after the last row of a CSV file, which has a header and a row for each time "
        "step, oldest first.",
        epilog="--plot needs matplotlib: pip install 's2s[plots]'",
    )
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    add("file", metavar="FILE", nargs="?", default="-", help="CSV, plain or gzip (default: standard input)")
    add(
        "--steps",
        type=int,
        metavar="N",
        help="number of time steps; beyond its horizon, the model reads its own predictions (default: the horizon)",
    )
    add("--date", metavar="COLUMN", help="column of dates (default: as in training, if FILE has that column)")
    add(
        "--output",
        metavar="FILE",
        help="write here; FILE appears when it is complete (default: standard output)",
    )
    add("--jsonl", action="store_true", help="print a JSON object for each time step instead of CSV")
    add("--plot", metavar="FILE", help="plot the end of the series and the forecast, .png or .svg")
    add("--device", default="cpu", help="such as cpu or cuda (default: cpu)")
    options = parser.parse_args(argv)
    if options.steps is not None and options.steps < 1:
        raise ConfigError(f"--steps is {options.steps}; it must be at least 1")

    from s2s.commands.output import Output, check_place
    from s2s.evaluation.pictures import format_of

    file_format = None if options.plot is None else format_of(options.plot)
    for path in (options.plot, options.output):
        if path is not None:
            check_place(path)
    expect_bundle(options.bundle)

    from s2s.inference.forecaster import Forecaster

    forecaster = Forecaster.load(options.bundle, device=options.device)
    table = forecaster.read(options.file, options.date)
    found = forecaster.forecast(table, options.steps)
    if file_format is not None:
        picture = _picture(table, found, file_format)
        with Output(options.plot) as output:
            output.write_bytes(picture)
    with Output(options.output) as output:
        output.write(_jsonl(found) if options.jsonl else found.csv())
    return 0


def _jsonl(found: Forecast) -> str:
    rows = zip(found.labels, found.values.tolist(), strict=True)
    objects = ({found.label: label, **dict(zip(found.names, row, strict=True))} for label, row in rows)
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in objects)


def _picture(table: Table, found: Forecast, file_format: str) -> bytes:
    from s2s.evaluation.forecast_plot import draw

    start = max(0, len(table) - max(_SEEN_LEAST, _SEEN_TIMES * len(found.labels)))
    _, before = table.labels(start, len(table))
    after = found.labels
    if found.label == "step":  # counted from the end of the series, and shown from its beginning
        after = [str(len(table) + step) for step in range(1, len(found.labels) + 1)]
    columns = [table.names.index(name) for name in found.names]
    return draw(
        [*before, *after], found.names, table.values[start:, columns], {"forecast": found.values}, file_format
    )
