"""New, repeated and copied words of summaries, and their lengths, as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from s2s.errors import ConfigError
from s2s.evaluation.abstraction import ORDERS, Abstraction
from s2s.evaluation.pictures import format_of

_DOTS_PER_INCH = 150
_LEGEND_LETTERS = 40


def draw(found: Mapping[str, Abstraction], path: str) -> bytes:
    """Four panels: novelty and repetition by n, copying, lengths.

    Args:
        found: by the name of the system; what the picture shows beside each other.
        path: the file's name; its ending tells the format.

    Raises:
        ConfigError: matplotlib is not installed, or no format is known by that ending.
    """
    file_format = format_of(path)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("a picture needs matplotlib; install it: pip install 's2s[plots]'") from error
    with rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 6.5), layout="constrained")
        (novelty, repetition), (copied, lengths) = figure.subplots(2, 2)
        orders = [f"{n}-grams" for n in ORDERS]
        _bars(novelty, orders, {name: [one.novelty[n] for n in ORDERS] for name, one in found.items()})
        _bars(repetition, orders, {name: [one.repetition[n] for n in ORDERS] for name, one in found.items()})
        _bars(copied, ["copied"], {name: [one.copied] for name, one in found.items()})
        for axes, title in (
            (novelty, "new: not in the source"),
            (repetition, "repeated: earlier in the same output"),
            (copied, "copied from the source; above: mean run in words"),
        ):
            axes.set_title(title)
            axes.set_ylabel("share, %")
        for index, one in enumerate(found.values()):
            place = _places(len(found))[index]
            copied.annotate(f"{one.run:.1f}", (place, 100 * one.copied), ha="center", va="bottom", fontsize=8)
        _steps(lengths, found)
        handles, labels = novelty.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), frameon=False)
        contents = io.BytesIO()
        metadata = {"Date": None} if file_format == "svg" else None
        figure.savefig(contents, format=file_format, dpi=_DOTS_PER_INCH, metadata=metadata)
    return contents.getvalue()


def _places(systems: int) -> Any:
    # Of the bars of a group, around 0.
    width = 0.8 / systems
    return (np.arange(systems) - (systems - 1) / 2) * width


def _bars(axes: Any, groups: list[str], shares: Mapping[str, list[float]]) -> None:
    places = _places(len(shares))
    for index, (name, values) in enumerate(shares.items()):
        heights = [100 * value for value in values]
        axes.bar(
            np.arange(len(groups)) + places[index],
            heights,
            0.8 / len(shares),
            label=_short(name),
            color=f"C{index % 10}",
        )
    axes.set_xticks(range(len(groups)), groups)


def _steps(axes: Any, found: Mapping[str, Abstraction]) -> None:
    longest = max(1, int(max(np.quantile(one.lengths, 0.99) for one in found.values())))
    width = max(1, -(-longest // 40))
    edges = np.arange(0, longest + 2 * width, width) - 0.5
    for index, one in enumerate(found.values()):
        counts, _ = np.histogram(np.minimum(one.lengths, edges[-1]), bins=edges)
        axes.stairs(100 * counts / len(one.lengths), edges, color=f"C{index % 10}", linewidth=1.5)
    axes.set_title("length")
    axes.set_xlabel("words of an output" + (f", in steps of {width}" if width > 1 else ""))
    axes.set_ylabel("outputs, %")


def _short(name: str) -> str:
    plain = name if len(name) <= _LEGEND_LETTERS else f"…{name[1 - _LEGEND_LETTERS :]}"
    return plain.replace("$", r"\$")
