"""Series and forecasts as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from s2s.errors import ConfigError
from s2s.evaluation.forecasts import Values

_DOTS_PER_INCH = 150
_TICKS = 9


def draw(
    labels: Sequence[str],
    names: Sequence[str],
    seen: Values,
    forecasts: Mapping[str, Values],
    file_format: str,
) -> bytes:
    """A panel for each column: what was seen, and from there on what was forecast, by each system.

    Args:
        labels: what time steps are called, those of `seen` and then those of the forecasts.
        names: of the columns.
        seen: [time, columns].
        forecasts: by the names of the systems, what came among them, if it is known; each [steps, columns].
        file_format: "png" or "svg".

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("a picture needs matplotlib; install it: pip install 's2s[plots]'") from error
    settings = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "s2s"}
    with rc_context(settings):  # type: ignore[arg-type]
        figure = Figure(figsize=(9, 0.8 + 2.4 * len(names)), layout="constrained")
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for column, (axes, name) in enumerate(zip(panels, names, strict=True)):
            axes.plot(range(len(seen)), seen[:, column], color="0.25", label="seen")
            for index, (system, values) in enumerate(forecasts.items()):
                # Joined to what was seen, so that the eye finds where it begins.
                line = [seen[-1, column], *values[:, column]]
                axes.plot(
                    range(len(seen) - 1, len(seen) + len(values)), line, color=f"C{index}", label=system
                )
            axes.axvline(len(seen) - 0.5, color="0.8", linewidth=0.8)
            axes.set_ylabel(name, parse_math=False)
        step = max(1, -(-len(labels) // _TICKS))
        panels[-1].set_xticks(range(0, len(labels), step), list(labels[::step]), parse_math=False)
        panels[0].legend(frameon=False, loc="upper left")
        contents = io.BytesIO()
        metadata = {"Date": None} if file_format == "svg" else None
        figure.savefig(contents, format=file_format, dpi=_DOTS_PER_INCH, metadata=metadata)
    return contents.getvalue()
