"""Sentiment of Korean film comments: the recipe nsmc and logistic regression on bags of words, on the same split.

    python benchmarks/nsmc.py [--skip-training] [OPTION...]

Needs $S2S_DATA. All choices are made on the dev split: the recipe's checkpoint, and the regression's bag and penalty
(peers/bag_of_words.py, in a separate environment). The test split is used once for each, at the end.
Further options are passed to `s2s fit`. Writes results/nsmc.json and the training log.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import RESULTS, ROOT, Stopwatch, save
from multi30k import rows
from peers.measure import environment

from s2s.evaluation.classes import Classes
from s2s.inference.classifier import Classifier
from s2s.resources import locate
from s2s.text.corpus import LineReport, corpus_spec, open_corpus

RECIPE = "nsmc"
SPLITS = {"train": "train", "validation": "dev", "test": "test"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run-folder", default=f"runs/{RECIPE}")
    parser.add_argument("--skip-training", action="store_true", help="the run folder holds a finished run")
    given, options = parser.parse_known_args()
    run = Path(given.run_folder)
    if not given.skip_training:
        train(run, options)
    result: dict[str, Any] = {
        **json.loads((run / "training.json").read_text()),
        "validation": [
            {
                "epoch": int(row["epoch"]) + 1,
                "accuracy": float(row["val_accuracy"]),
                "loss": float(row["val_loss"]),
            }
            for row in rows(run / "metrics.csv")
            if row.get("val_accuracy")
        ],
        "test": test(run / "bundle"),
        "bag_of_words": bag_of_words(run),
    }
    save(RECIPE, result, ["python", "benchmarks/nsmc.py", *options])


def train(run: Path, options: list[str]) -> None:
    """Train the recipe; save training time and the CPU share used by other programs in the run folder."""
    command = [sys.executable, "-m", "s2s", "fit", "-c", RECIPE, "--run_folder", str(run), *options]
    with open(RESULTS / f"{RECIPE}.log", "w", encoding="utf-8") as log, Stopwatch() as watch:
        subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=True)
    about = {"training_minutes": round(watch.seconds / 60, 2), "others": round(watch.others, 3)}
    (run / "training.json").write_text(json.dumps(about))


def test(bundle: Path) -> dict[str, Any]:
    """Classify the test split from the bundle, as a user would."""
    path = locate("$S2S_DATA/nsmc/test.tsv.gz")
    spec = corpus_spec({"path": path, "source_key": 2, "target_key": 1})
    pairs = list(open_corpus(spec).pairs(LineReport()))
    classifier = Classifier.load(bundle)
    began = time.perf_counter()
    given = classifier.classify([pair.source for pair in pairs])
    seconds = time.perf_counter() - began
    classes = Classes([pair.target for pair in pairs], given, classifier.classes)
    print("\n".join(classes.lines()))
    return {**classes.as_json(), "texts_per_second": len(pairs) / seconds}


def bag_of_words(folder: Path) -> dict[str, Any]:
    """Results of the regression, by family of bags."""
    script = Path(__file__).resolve().parent / "peers" / "bag_of_words.py"
    files = [locate(f"$S2S_DATA/nsmc/{name}.tsv.gz") for name in SPLITS.values()]
    found = folder / "bag_of_words.json"
    subprocess.run([environment("bag_of_words"), script, *files, found], check=True)
    result: dict[str, Any] = json.loads(found.read_text())
    return result


if __name__ == "__main__":
    main()
