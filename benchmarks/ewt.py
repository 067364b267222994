"""Train the recipe ewt-upos, label the test split with its bundle, and save the results.

    python benchmarks/ewt.py [--run-folder FOLDER] [--skip-training] [OPTIONS OF s2s fit]

Needs $S2S_DATA (see data/catalogue.yaml). Writes results/ewt.json. All choices were made on the validation split.
"""

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from machine import ROOT, save

from s2s.evaluation.labelling import f1_by_label, scores
from s2s.inference.labeller import Labeller
from s2s.resources import recipe
from s2s.text.corpus import LineReport, open_corpus

RECIPE = "ewt-upos"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run-folder", default=f"runs/{RECIPE}")
    parser.add_argument("--skip-training", action="store_true", help="the run folder holds a finished run")
    given, options = parser.parse_known_args()
    run = Path(given.run_folder)
    command = [sys.executable, "-m", "s2s", "fit", "-c", RECIPE, "--run_folder", str(run), *options]
    if not given.skip_training:
        began = time.time()
        subprocess.run(command, cwd=ROOT, check=True)
        (run / "minutes.txt").write_text(f"{(time.time() - began) / 60:.2f}")
    with open(run / "metrics.csv", newline="") as file:
        validations = [row for row in csv.DictReader(file) if row.get("val_accuracy")]
    measured = {
        "recipe": RECIPE,
        "training_minutes": float((run / "minutes.txt").read_text()),
        "validation": [
            {"epoch": int(row["epoch"]) + 1, "accuracy": float(row["val_accuracy"])} for row in validations
        ],
        "test": test(run / "bundle"),
    }
    save("ewt", measured, ["s2s", *command[3:]])


def test(bundle: Path) -> dict[str, Any]:
    """Label the test split from the bundle, as a user would, and score it."""
    corpora = yaml.safe_load(recipe(RECIPE).read_text())["data"]
    pairs = {split: list(open_corpus(corpora[split]).pairs(LineReport())) for split in ("train", "test")}
    known = {word for pair in pairs["train"] for word in pair.source.split()}
    words = [pair.source.split() for pair in pairs["test"]]
    gold = [pair.target.split() for pair in pairs["test"]]
    labeller = Labeller.load(bundle)
    labeller.label(words[:64])  # warm up
    began = time.perf_counter()
    said = labeller.label(words)
    seconds = time.perf_counter() - began
    unseen = [
        ours == right
        for sentence, labels, references in zip(words, said, gold, strict=True)
        for word, ours, right in zip(sentence, labels, references, strict=True)
        if word not in known
    ]
    found = scores(said, gold)
    for score in found:
        print(score)
    return {
        **{score.name: {"value": score.value, "signature": score.signature} for score in found},
        "f1_by_label": f1_by_label(said, gold),
        "words": sum(map(len, words)),
        "words_that_training_has_not": len(unseen),
        "accuracy_of_these": 100 * sum(unseen) / len(unseen),
        "words_per_second": sum(map(len, words)) / seconds,
    }


if __name__ == "__main__":
    main()
