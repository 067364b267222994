"""`s2s demo`: train on the embedded corpus, translate its test split, score it, in a few minutes."""

from collections.abc import Sequence
from pathlib import Path

from s2s.commands.command_line import CommandLine

SUMMARY = "train and translate a small embedded corpus, in a few minutes"

SHOWN = 10


def main(argv: Sequence[str]) -> int:
    """Run the demo.

    Args:
        argv: arguments behind `s2s demo`.
    """
    parser = CommandLine(prog="s2s demo", description=f"{SUMMARY[0].upper()}{SUMMARY[1:]}.")
    parser.add_argument(
        "--run_folder",
        "--run-folder",  # spelt as options of other commands are
        metavar="FOLDER",
        default="runs/demo",
        help="checkpoints, logs and bundle (default: %(default)s)",
    )
    parser.add_argument(
        "--max_epochs",
        "--max-epochs",
        metavar="N",
        type=int,
        help="train shorter or longer than the recipe",
    )
    given = parser.parse_args(argv)

    from s2s.registry import catalogue
    from s2s.resources import locate
    from s2s.training.cli import fit

    # The demo's own folder may be replaced; one that was named on purpose may not.
    overrides = {
        "run_folder": given.run_folder,
        "overwrite": given.run_folder == parser.get_default("run_folder"),
    }
    if given.max_epochs is not None:
        overrides["trainer.max_epochs"] = given.max_epochs
    there = overrides["overwrite"] and (Path(given.run_folder) / "config.yaml").is_file()
    replacing = f", replacing {given.run_folder}" if there else ""
    print(f"Training on the embedded translation corpus (recipe: demo){replacing}.", flush=True)
    fitted = fit("demo", **overrides)

    from s2s.inference.translator import Translator

    with open(locate("embedded:translation/test.tsv"), encoding="utf-8", newline="\n") as file:
        pairs = [line.rstrip("\n").split("\t") for line in file]
    sources, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    print(f"Translating the {len(sources)} sentences of the test split.")
    outputs = Translator.load(str(fitted.bundle)).translate(sources)
    for lowercase in (False, True):
        score = catalogue().load("metric", "BLEU")(lowercase=lowercase).score(outputs, [references])
        print(f"{'lower-cased' if lowercase else 'cased      '}  {score}")
    print()
    for i in range(0, len(sources), max(1, len(sources) // SHOWN)):
        if i // max(1, len(sources) // SHOWN) < SHOWN:
            print(
                f"  source       {sources[i]}\n  translation  {outputs[i]}\n  reference    {references[i]}\n"
            )
    print(f"The model is at {fitted.bundle}. Try it:\n  echo '{sources[0]}' | s2s translate {fitted.bundle}")
    return 0
