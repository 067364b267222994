"""`s2s demo`: train on an embedded corpus, translate or summarize its test split, score it, in a few minutes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from s2s.commands.command_line import CommandLine

SUMMARY = "train and try out a small embedded corpus, in a few minutes"

SHOWN = 10


class Demo(NamedTuple):
    """What is shown: a recipe, its test text, and how its outputs are called and made."""

    recipe: str
    test: str
    output: str
    doing: str
    things: str
    command: str


TASKS = {
    "translation": Demo(
        "demo", "embedded:translation/test.tsv", "translation", "Translating", "sentences", "translate"
    ),
    "summarization": Demo(
        "demo-summarization",
        "embedded:summarization/test.tsv",
        "summary",
        "Summarizing",
        "notices",
        "summarize",
    ),
}


def main(argv: Sequence[str]) -> int:
    """Run the demo.

    Args:
        argv: arguments behind `s2s demo`.
    """
    parser = CommandLine(prog="s2s demo", description=f"{SUMMARY[0].upper()}{SUMMARY[1:]}.")
    parser.add_argument(
        "--task", choices=list(TASKS), default="translation", help="what is learnt (default: %(default)s)"
    )
    parser.add_argument(
        "--run_folder",
        "--run-folder",  # spelt as options of other commands are
        metavar="FOLDER",
        help="checkpoints, logs and bundle (default: runs/demo, runs/demo-summarization)",
    )
    parser.add_argument(
        "--max_epochs",
        "--max-epochs",
        metavar="N",
        type=int,
        help="train shorter or longer than the recipe",
    )
    given = parser.parse_args(argv)

    demo = TASKS[given.task]
    run_folder = given.run_folder or f"runs/{demo.recipe}"

    from s2s.resources import locate
    from s2s.training.cli import fit

    # The demo's own folder may be replaced; one that was named on purpose may not.
    overrides: dict[str, Any] = {"run_folder": run_folder, "overwrite": given.run_folder is None}
    if given.max_epochs is not None:
        overrides["trainer.max_epochs"] = given.max_epochs
    there = overrides["overwrite"] and (Path(run_folder) / "config.yaml").is_file()
    replacing = f", replacing {run_folder}" if there else ""
    print(f"Training on the embedded {given.task} corpus (recipe: {demo.recipe}){replacing}.", flush=True)
    fitted = fit(demo.recipe, **overrides)

    with open(locate(demo.test), encoding="utf-8", newline="\n") as file:
        pairs = [line.rstrip("\n").split("\t") for line in file]
    sources, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    print(f"{demo.doing} the {len(sources)} {demo.things} of the test split.")
    if given.task == "summarization":
        from s2s.inference.summarizer import Summarizer

        outputs = Summarizer.load(str(fitted.bundle)).summarize(sources)
        _score_summaries(outputs, references, sources)
    else:
        from s2s.inference.translator import Translator

        outputs = Translator.load(str(fitted.bundle)).translate(sources)
        _score_translations(outputs, references)
    print()
    step = max(1, len(sources) // SHOWN)
    for i in range(0, step * SHOWN, step)[: len(sources)]:
        print(
            f"  {'source':<11}  {sources[i]}\n  {demo.output:<11}  {outputs[i]}\n  reference    {references[i]}\n"
        )
    print(
        f"The model is at {fitted.bundle}. Try it:\n  echo '{sources[0]}' | s2s {demo.command} {fitted.bundle}"
    )
    return 0


def _score_translations(outputs: Sequence[str], references: Sequence[str]) -> None:
    from s2s.registry import catalogue

    for lowercase in (False, True):
        score = catalogue().load("metric", "BLEU")(lowercase=lowercase).score(outputs, [references])
        print(f"{'lower-cased' if lowercase else 'cased      '}  {score}")


def _score_summaries(outputs: Sequence[str], references: Sequence[str], sources: Sequence[str]) -> None:
    from s2s.evaluation.evaluate import SUMMARY_METRICS, evaluate
    from s2s.evaluation.extracts import extracts

    first, best = extracts(sources, [references], 1).values()
    systems = {"model": outputs, "first sentence": first, "best sentence": best}
    for row in evaluate(systems, [references], metrics=SUMMARY_METRICS[:3]):
        signature = f"  {row.signature}" if row.system == "model" else ""
        print(f"{row.system:<15} {row.metric} {row.score:5.2f}{signature}")
