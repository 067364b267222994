"""A diagnosis as pictures: gradients before training, and what training makes of them.

Colours are those of Okabe & Ito, which people with any colour vision tell apart; lines differ in their marks too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from s2s.diagnosis.diagnosis import CLIPPING_LAG, Diagnosis, Gradients
from s2s.diagnosis.learning import WINDOW
from s2s.diagnosis.problems import PROBLEMS, SOLVED, Problem
from s2s.errors import ConfigError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKS = ("o", "s", "D", "^", "v", "P", "X", "*", "<")
"""Two lines share neither colour nor mark before there are 63."""

STYLES = ("-", "--", "-.", ":")
LEAST, MOST = 1e-12, 1e12
"""Norms beyond these are cut off: what is so small or so large is as good as none."""

_ACROSS = 3
_DOTS_PER_INCH = 100
_PANEL_INCHES = (3.4, 2.7)
_MARKED = 8


def check_matplotlib() -> None:
    """Whether pictures can be drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError("pictures need matplotlib; install it: pip install 's2s[plots]'") from error


def pictures(found: Diagnosis) -> dict[str, bytes]:
    """The contents of the PNG files, by name."""
    return {"gradients.png": gradients_picture(found), "learning.png": learning_picture(found)}


def gradients_picture(found: Diagnosis) -> bytes:
    """Before training: a panel for each cell, a line for each scale; and one for each forget gate with a bias."""
    wanted = [("scale", cell) for cell in found.cells]
    wanted += [("forget bias", cell) for cell in found.cells if _of(found, "forget bias", cell)]
    figure, panels = _panels(len(wanted))
    titles = {"scale": "recurrent weights times", "forget bias": "bias of the forget gate"}
    for axes, (series, cell) in zip(panels, wanted, strict=True):
        rows = _of(found, series, cell)
        for place, one in enumerate(rows):
            colour, style = COLOURS[place % len(COLOURS)], STYLES[place % len(STYLES)]
            _line(axes, one.norms, label=f"{one.value:g}", color=colour, linestyle=style)
        axes.set_title(_plain(cell) if series == "scale" else f"{_plain(cell)}, forget gate")
        _distance_axes(axes)
        axes.legend(title=titles[series], fontsize=7, title_fontsize=7, ncols=2, loc="best")
    figure.suptitle("Before training: how much of an input is left in the last output", fontsize=11)
    return _png(figure)


def learning_picture(found: Diagnosis) -> bytes:
    """How far back the cells learn, what clipping changes, and the gradients before and after training."""
    figure, panels = _panels(len(PROBLEMS) + bool(found.clipping), rows_of_their_own=len(PROBLEMS))
    looks = {
        cell: {"color": COLOURS[place % len(COLOURS)], "marker": MARKS[place % len(MARKS)], "markersize": 4}
        for place, cell in enumerate(found.cells)
    }
    for axes, problem in zip(panels, PROBLEMS, strict=False):
        _errors(axes, found, problem, looks)
    if found.clipping:
        _clipping(panels[len(PROBLEMS)], found, looks)
    for axes, problem in zip(panels[-len(PROBLEMS) :], PROBLEMS, strict=True):
        _before_and_after(axes, found, problem, looks)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(6, len(labels)), frameon=False)
    return _png(figure)


def _errors(axes: Any, found: Diagnosis, problem: Problem, looks: dict[str, dict[str, Any]]) -> None:
    lags = sorted(found.settings.lags)
    for cell in found.cells:
        by_lag = {one.lag: one for one in found.learning if (one.cell, one.problem) == (cell, problem.name)}
        shares = [by_lag[lag].learnt.error / problem.guessing for lag in lags]
        axes.plot(lags, shares, label=_plain(cell), linewidth=1.5, **looks[cell])
    beside: dict[str, Any] = {
        "textcoords": "offset points",
        "fontsize": 7,
        "va": "center",
        "annotation_clip": False,
    }
    for height, name in ((1.0, "guessing"), (SOLVED, "solved")):
        axes.axhline(height, color="0.4", linewidth=0.8, linestyle=":")
        axes.annotate(name, (1, height), xycoords=("axes fraction", "data"), xytext=(2, 0), **beside)
    axes.set_xscale("log")
    axes.set_xticks(lags, [str(lag) for lag in lags])
    axes.set_xticks([], minor=True)
    axes.set_ylim(-0.05, 1.35)
    axes.set_title(f"the {problem.name} problem")
    axes.set_xlabel("lag, steps")
    axes.set_ylabel(f"{problem.measure},\nas a share of guessing's")


def _clipping(axes: Any, found: Diagnosis, looks: dict[str, dict[str, Any]]) -> None:
    guessing = next(problem.guessing for problem in PROBLEMS if problem.name == "copying")
    for one in found.clipping:
        points = [(place + 1) * WINDOW for place in range(len(one.learnt.curve))]
        shares = [error / guessing for error in one.learnt.curve]
        axes.plot(points, shares, linestyle="-" if one.clip else "--", linewidth=1.5, **looks[one.cell])
    axes.set_ylim(-0.05, 1.35)
    axes.set_title(f"clipping, copying at lag {CLIPPING_LAG}")
    axes.set_xlabel("updates of gradient descent")
    axes.set_ylabel("share of wrong symbols,\nas a share of guessing's")
    _two_styles(axes, f"cut to {found.settings.clip:g}", "not cut")


def _before_and_after(
    axes: Any, found: Diagnosis, problem: Problem, looks: dict[str, dict[str, Any]]
) -> None:
    for cell in found.cells:
        for one in _of(found, problem.name, cell):
            style = "-" if one.value == "after" else "--"
            every = max(1, len(one.norms) // _MARKED)
            _line(axes, one.norms, linestyle=style, markevery=every, **looks[cell])
    axes.set_title(f"gradient on {problem.name}, lag {max(found.settings.lags)}")
    _distance_axes(axes)
    _two_styles(axes, "after training", "before")


def _two_styles(axes: Any, solid: str, dashed: str) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="0.3", linestyle="-", label=solid),
        Line2D([], [], color="0.3", linestyle="--", label=dashed),
    ]
    axes.legend(handles=handles, fontsize=7, loc="best")


def _of(found: Diagnosis, series: str, cell: str) -> list[Gradients]:
    return [one for one in found.gradients if (one.series, one.cell) == (series, cell)]


def _line(axes: Any, norms: Sequence[float], **look: Any) -> None:
    # A logarithm has no zero: where nothing is left, there is no line.
    heights = [norm if 0 < norm < math.inf else math.nan for norm in norms]
    axes.plot(range(len(norms)), heights, linewidth=1.4, **look)


def _distance_axes(axes: Any) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, LEAST), min(high, MOST))
    axes.axhline(1.0, color="0.6", linewidth=0.6)
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("distance, steps back")
    axes.set_ylabel("norm of the gradient")


def _panels(first: int, rows_of_their_own: int = 0) -> tuple[Any, list[Any]]:
    """A figure and its panels, some of them in rows of their own."""
    from matplotlib.figure import Figure

    rows = [*_split(first), *_split(rows_of_their_own)]
    across = max(rows)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * across, height * len(rows) + 0.4), layout="constrained")
    grid = figure.add_gridspec(len(rows), across)
    panels = [
        figure.add_subplot(grid[row, column]) for row, number in enumerate(rows) for column in range(number)
    ]
    return figure, panels


def _split(panels: int) -> list[int]:
    return [min(_ACROSS, panels - begin) for begin in range(0, panels, _ACROSS)]


def _plain(label: str) -> str:
    return label.replace("$", r"\$")  # a dollar sign is a dollar sign


def _png(figure: Any) -> bytes:
    contents = io.BytesIO()
    figure.savefig(contents, format="png", dpi=_DOTS_PER_INCH)
    return contents.getvalue()
