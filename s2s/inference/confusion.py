"""Plot of the confusion matrix: gold classes down, predicted ones across."""

from __future__ import annotations

import io
from typing import Any

from s2s.errors import ConfigError, DataError
from s2s.evaluation.classes import Classes, shown
from s2s.evaluation.pictures import format_of
from s2s.inference.heatmap import fonts_for

MOST_CLASSES = 200
"""Viewers cannot show larger plots."""

_NUMBERED = 30
"""With more classes, the counts are not written into the cells."""
_NAME_LETTERS = 40
_CELL_INCHES = 0.55
_SMALL_CELL_INCHES = 0.25
_DOTS_PER_INCH = 150


def draw(classes: Classes, path: str) -> tuple[bytes, list[str]]:
    """Plot the confusion matrix: colours are shares of each gold class, numbers count texts.

    Args:
        classes: gold and predicted classes.
        path: the file's name; its extension determines the format.

    Returns:
        The contents of the file, and notes on what could not be drawn as it should be.

    Raises:
        ConfigError: matplotlib is not installed, or no format is known by that ending.
        DataError: there are too many classes.
    """
    file_format = format_of(path)
    if len(classes.names) > MOST_CLASSES:
        raise DataError(f"there are {len(classes.names)} classes; a picture has room for {MOST_CLASSES}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("a picture needs matplotlib; install it: pip install 's2s[plots]'") from error
    names = [_short(name) for name in classes.names]
    families, missing = fonts_for("".join(names))
    numbered = len(names) <= _NUMBERED
    side = len(names) * (_CELL_INCHES if numbered else _SMALL_CELL_INCHES)
    margin = 0.08 * max(map(len, names)) + 1.0
    settings: dict[str, Any] = {"font.family": families, "font.size": 9, "svg.hashsalt": "s2s"}
    with matplotlib.rc_context(settings):  # type: ignore[arg-type]
        figure = Figure(
            figsize=(max(3.5, side + margin + 1.0), max(3.0, side + margin)), layout="constrained"
        )
        axes = figure.add_subplot()
        shares = [[count / max(1, sum(row)) for count in row] for row in classes.counts]
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
        plain: dict[str, Any] = {"parse_math": False}  # a dollar sign is a dollar sign
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0, **plain)
        axes.set_yticks(range(len(names)), names, **plain)
        axes.tick_params(length=0)
        axes.set_xlabel("given")
        axes.set_ylabel("gold")
        if numbered:
            for row, counts in enumerate(classes.counts):
                for column, count in enumerate(counts):
                    colour = "white" if shares[row][column] > 0.6 else "black"
                    axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=7)
        axes.set_title(
            f"accuracy {classes.accuracy:.2f}, macro-F1 {classes.macro_f1:.2f}, {classes.texts:,} texts",
            fontsize=9,
        )
        figure.colorbar(image, ax=axes, label="share of the gold class", shrink=0.8)
        contents = io.BytesIO()
        metadata = {"Date": None} if file_format == "svg" else None
        figure.savefig(contents, format=file_format, dpi=_DOTS_PER_INCH, metadata=metadata)
    notes = [f"no installed font shows {' '.join(missing[:8])}: boxes stand for them"] if missing else []
    return contents.getvalue(), notes


def _short(name: str) -> str:
    plain = shown(name)
    return plain if len(plain) <= _NAME_LETTERS else f"{plain[: _NAME_LETTERS - 1]}…"
