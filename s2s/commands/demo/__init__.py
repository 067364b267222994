"""`s2s demo`: trains on an embedded corpus, applies the model to its test split and scores it, in a few minutes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from s2s.commands.command_line import CommandLine
from s2s.commands.demo import (
    classification,
    forecast,
    labelling,
    language_model,
    summarization,
    translation,
)

if TYPE_CHECKING:
    from s2s.training.cli import Fitted

SUMMARY = "train and try out a model on a small embedded corpus, in a few minutes"


class Demo(NamedTuple):
    """The demo of one task.

    Attributes:
        recipe: the recipe that it trains.
        show: applies the model to the test split, prints its scores next to baselines, a few examples, and the
            command to try.
    """

    recipe: str
    show: Callable[["Fitted"], None]


TASKS = {
    "translation": Demo("demo", translation.show),
    "summarization": Demo("demo-summarization", summarization.show),
    "language-model": Demo("demo-language-model", language_model.show),
    "labelling": Demo("demo-labelling", labelling.show),
    "classification": Demo("demo-classification", classification.show),
    "forecast": Demo("forecast", forecast.show),
}


def main(argv: Sequence[str]) -> int:
    """Run the demo.

    Args:
        argv: arguments behind `s2s demo`.
    """
    parser = CommandLine(prog="s2s demo", description=f"{SUMMARY[0].upper()}{SUMMARY[1:]}.")
    parser.add_argument(
        "--task", choices=list(TASKS), default="translation", help="task to learn (default: %(default)s)"
    )
    parser.add_argument(
        "--run_folder",
        "--run-folder",  # spelt as options of other commands are
        metavar="FOLDER",
        help="folder of checkpoints, logs and bundle (default: runs/RECIPE: runs/demo, runs/demo-summarization, ...)",
    )
    parser.add_argument(
        "--max_epochs",
        "--max-epochs",
        metavar="N",
        type=int,
        help="number of epochs, to train shorter or longer than the recipe",
    )
    given = parser.parse_args(argv)

    demo = TASKS[given.task]
    run_folder = given.run_folder or f"runs/{demo.recipe}"

    from s2s.training.cli import fit

    # The demo's own folder may be replaced; one that was named on purpose may not.
    overrides: dict[str, Any] = {"run_folder": run_folder, "overwrite": given.run_folder is None}
    if given.max_epochs is not None:
        overrides["trainer.max_epochs"] = given.max_epochs
    there = overrides["overwrite"] and (Path(run_folder) / "config.yaml").is_file()
    replacing = f", replacing {run_folder}" if there else ""
    print(f"Training on the embedded corpus for {given.task} (recipe: {demo.recipe}){replacing}.", flush=True)
    demo.show(fit(demo.recipe, **overrides))
    return 0
