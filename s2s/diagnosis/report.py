"""Reports of a diagnosis: text tables, CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from s2s.diagnosis.diagnosis import Diagnosis, Gradients
from s2s.diagnosis.gradients import per_step
from s2s.diagnosis.learning import WINDOW
from s2s.diagnosis.problems import PROBLEMS, SOLVED, Problem
from s2s.diagnosis.settings import Settings

SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Distances in the table; the files have all."""

_DIGITS = 4
"""Significant digits of numbers in the files."""


def files(found: Diagnosis) -> dict[str, str]:
    """The contents of the report's files, by name."""
    return {
        "report.txt": text(found) + "\n",
        "report.json": json.dumps(as_json(found), indent=1, allow_nan=False) + "\n",
        "gradients.csv": gradients_csv(found),
        "learning.csv": learning_csv(found),
    }


def text(found: Diagnosis) -> str:
    """Tables for a person."""
    settings = found.settings
    parts = [
        _gradient_table(
            "Gradient before training: norm (Frobenius) of the Jacobian of the last output with respect to the input\n"
            f"d steps earlier, median of sequences; random inputs of width {settings.input_size}, hidden size "
            f"{settings.hidden_size}; recurrent weights times a scale:",
            [one for one in found.gradients if one.series == "scale"],
            "x ",
        )
    ]
    biases = [one for one in found.gradients if one.series == "forget bias"]
    if biases:
        parts.append(_gradient_table("The same, by the first bias of the forget gate:", biases, "bias "))
    for problem in PROBLEMS:
        parts.append(_learning_table(found, problem))
        parts.append(
            _gradient_table(
                f"Gradient before and after this training, at lag {max(settings.lags)}:",
                [one for one in found.gradients if one.series == problem.name],
                "",
            )
        )
    if found.clipping:
        parts.append(_clipping_table(found))
    if found.skipped:
        parts.append("\n".join(f"{one.cell}: skipped: {one.what}: {one.reason}" for one in found.skipped))
    parts.append(
        f"{settings.steps} updates at most, of {settings.batch_size} sequences each; {_optimizer(settings)}; "
        f"seed {settings.seed}; {found.seconds:.0f} s."
    )
    return "\n\n".join(parts)


def _optimizer(settings: Settings) -> str:
    clipped = f"gradients cut to {settings.clip:g}" if settings.clip else "gradients not cut"
    return f"Adam at {settings.learning_rate:g}, {clipped}"


def _gradient_table(title: str, rows: Sequence[Gradients], prefix: str) -> str:
    longest = max(len(one.norms) for one in rows) - 1
    distances = [distance for distance in SHOWN if distance < longest] + [longest]
    head = ["d steps earlier", "", *map(str, distances), "per step"]
    body = []
    for one in rows:
        value = f"{one.value:g}" if isinstance(one.value, float) else one.value
        norms = [f"{one.norms[distance]:.1e}" for distance in distances]
        factor = per_step(list(one.norms))
        body.append([one.cell, f"{prefix}{value}", *norms, "-" if factor is None else f"x {factor:.3f}"])
    return f"{title}\n{table([head, *body])}"


def _learning_table(found: Diagnosis, problem: Problem) -> str:
    lags = sorted(found.settings.lags)
    rows = [["lag", *map(str, lags), "longest solved"]]
    for cell in found.cells:
        by_lag = {one.lag: one for one in found.learning if (one.cell, one.problem) == (cell, problem.name)}
        entries = []
        for one in (by_lag[lag] for lag in lags):
            mark = "*" if one.solved else "!" if one.learnt.diverged else " "
            entries.append(f"{problem.show(one.learnt.error)}{mark}")
        rows.append([cell, *entries, str(found.longest_solved(cell, problem.name) or "none")])
    rows.append(["guessing", *[f"{problem.show(problem.guessing)} " for _ in lags], ""])
    rows.append(["updates", *["" for _ in lags], ""])
    for cell in found.cells:
        by_lag = {one.lag: one for one in found.learning if (one.cell, one.problem) == (cell, problem.name)}
        rows.append([f"  {cell}", *[f"{by_lag[lag].learnt.updates} " for lag in lags], ""])
    title = (
        f"The {problem.name} problem at growing lags: {problem.shown}. * solved: an error of at most "
        f"{SOLVED:.0%} of guessing's. ! diverged."
    )
    return f"{title}\n{table(rows)}"


def _clipping_table(found: Diagnosis) -> str:
    rows = [["", "weights", "gradients", "wrong symbols, %", "longest gradient", "longer than the cut, %"]]
    for one in found.clipping:
        longer = sum(norm > found.settings.clip for norm in one.learnt.norms) / len(one.learnt.norms)
        rows.append(
            [
                one.cell,
                f"x{one.scale:g}",
                f"cut to {one.clip:g}" if one.clip else "as they are",
                f"{100 * one.learnt.error:.1f}" + (" !" if one.learnt.diverged else ""),
                f"{max(one.learnt.norms):.3g}",
                f"{100 * longer:.0f}",
            ]
        )
    return (
        f"Clipping, where weights start large: copying by plain gradient descent. ! diverged.\n{table(rows)}"
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines with columns; words stand left, numbers right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def gradients_csv(found: Diagnosis) -> str:
    """A line for each cell, series and distance."""
    rows = (
        (one.cell, one.series, one.value, one.lag, distance, _plain(norm))
        for one in found.gradients
        for distance, norm in enumerate(one.norms)
    )
    return _csv(("cell", "series", "value", "lag", "distance", "norm"), rows)


def learning_csv(found: Diagnosis) -> str:
    """A line for each cell, problem and lag."""
    rows = (
        (
            one.problem,
            one.lag,
            one.cell,
            _plain(one.learnt.error),
            _plain(one.guessing),
            one.solved,
            one.learnt.diverged,
            one.learnt.updates,
            _plain(max(one.learnt.norms)),
        )
        for one in found.learning
    )
    columns = (
        "problem",
        "lag",
        "cell",
        "error",
        "guessing",
        "solved",
        "diverged",
        "updates",
        "longest_gradient",
    )
    return _csv(columns, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return written.getvalue()


def as_json(found: Diagnosis) -> dict[str, Any]:
    """Everything, for programs; a number that is not finite is null."""
    return {
        "settings": dataclasses.asdict(found.settings),
        "cells": found.cells,
        "gradients": [{**dataclasses.asdict(one), "norms": _all_plain(one.norms)} for one in found.gradients],
        "learning": [
            {
                "problem": one.problem,
                "lag": one.lag,
                "cell": one.cell,
                "guessing": _plain(one.guessing),
                "solved": one.solved,
                **_learnt(one.learnt),
            }
            for one in found.learning
        ],
        "clipping": [
            {"cell": one.cell, "scale": one.scale, "clip": one.clip, **_learnt(one.learnt)}
            for one in found.clipping
        ],
        "updates_of_a_point_of_a_curve": WINDOW,
        "skipped": [dataclasses.asdict(one) for one in found.skipped],
        "seconds": round(found.seconds, 1),
    }


def _learnt(learnt: Any) -> dict[str, Any]:
    return {
        "error": _plain(learnt.error),
        "updates": learnt.updates,
        "diverged": learnt.diverged,
        "longest_gradient": _plain(max(learnt.norms)),
        "curve": _all_plain(learnt.curve),
    }


def _all_plain(numbers: Iterable[float]) -> list[float | None]:
    return [_plain(number) for number in numbers]


def _plain(number: float) -> float | None:
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None
