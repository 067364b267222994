"""Draws the figures of docs/shapes.md: `python docs/figures/draw_shapes.py` writes them beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

FOLDER = Path(__file__).parent
INPUT, STATE, DECODER, OUTPUT = (
    "#56B4E9",
    "#B9C4CE",
    "#CFE3D3",
    "#F3B33D",
)  # told apart by any eye, and by place
WIDTH, HEIGHT, ACROSS, DOWN = 1.5, 0.62, 1.95, 1.25


class Step(NamedTuple):
    """One time step."""

    given: str | None  # what goes in, or nothing
    said: str | None  # what comes out, or nothing
    decoder: bool = False
    fed_back: bool = False  # what goes in is what came out a step before


SHAPES = {
    "one-to-one": [Step("lovely", "adjective")],
    "one-to-many": [
        Step("<s>", "the"),
        Step("the", "boat", fed_back=True),
        Step("boat", "sails", fed_back=True),
        Step("sails", "</s>", fed_back=True),
    ],
    "many-to-one": [Step("what", None), Step("a", None), Step("lovely", None), Step("film", "positive")],
    "many-to-many-in-step": [
        Step("the", "DET"),
        Step("boat", "NOUN"),
        Step("sails", "VERB"),
        Step("home", "ADV"),
    ],
    "many-to-many-out-of-step": [
        Step("the", None),
        Step("boat", None),
        Step("sails", None),
        Step("<s>", "das", decoder=True),
        Step("das", "Boot", decoder=True, fed_back=True),
        Step("Boot", "fährt", decoder=True, fed_back=True),
        Step("fährt", "</s>", decoder=True, fed_back=True),
    ],
}


def draw(steps: list[Step]) -> Figure:
    """Inputs below, states in the middle, outputs above; time runs to the right."""
    wide, high = ACROSS * (len(steps) - 1) + WIDTH, 2 * DOWN + HEIGHT
    figure = Figure(figsize=(0.55 * (wide + 0.8), 0.55 * (high + 0.4)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.4, wide + 0.4)
    axes.set_ylim(-0.2, high + 0.2)
    axes.set_axis_off()
    for place, step in enumerate(steps):
        left = ACROSS * place
        middle = left + WIDTH / 2
        box(axes, left, DOWN, "", DECODER if step.decoder else STATE)
        if place:
            arrow(axes, (left - ACROSS + WIDTH, DOWN + HEIGHT / 2), (left, DOWN + HEIGHT / 2))
        if step.given is not None:
            box(axes, left, 0, step.given, INPUT)
            arrow(axes, (middle, HEIGHT), (middle, DOWN))
        if step.said is not None:
            box(axes, left, 2 * DOWN, step.said, OUTPUT)
            arrow(axes, (middle, DOWN + HEIGHT), (middle, 2 * DOWN))
        if step.fed_back:
            feed_back(axes, left)
    return figure


def box(axes: Axes, left: float, bottom: float, text: str, colour: str) -> None:
    """A rounded box with a word."""
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(FancyBboxPatch((left, bottom), WIDTH, HEIGHT, style, facecolor=colour, edgecolor="0.25"))
    axes.text(left + WIDTH / 2, bottom + HEIGHT / 2, text, ha="center", va="center_baseline", fontsize=10)


def arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str = "0.25") -> None:
    """From one box to another."""
    look = {"arrowstyle": "-|>", "color": colour, "shrinkA": 1, "shrinkB": 1}
    axes.annotate("", end, begin, arrowprops=look)


def feed_back(axes: Axes, left: float) -> None:
    """From the output a step before to the input at `left`, dashed."""
    between = left - (ACROSS - WIDTH) / 2
    said, given = 2 * DOWN + HEIGHT / 2, HEIGHT / 2
    axes.plot([left - ACROSS + WIDTH, between, between], [said, said, given], "--", color="0.5", linewidth=1)
    arrow(axes, (between, given), (left, given), "0.5")


if __name__ == "__main__":
    for name, steps in SHAPES.items():
        draw(steps).savefig(FOLDER / f"{name}.png", dpi=110)
        print(FOLDER / f"{name}.png")
