"""Train a Multi30k recipe, translate test 2016 greedily and with beam 5, and save the results.

    python benchmarks/multi30k.py multi30k-en-de
    python benchmarks/multi30k.py multi30k-de-en

Needs $S2S_DATA (see data/catalogue.yaml). Adds its result to results/multi30k.json and writes log and
hypotheses beside it.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import ROOT, provenance

from s2s.evaluation.lines import read_lines
from s2s.inference.translator import Translator
from s2s.registry import catalogue
from s2s.resources import locate, recipe

RESULTS = Path(__file__).resolve().parent / "results"
SEARCHES: dict[str, dict[str, Any]] = {"greedy": {"beam": 1}, "beam5": {"beam": 5, "alpha": 0.6}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--run-folder", default=None)
    parser.add_argument("--skip-training", action="store_true", help="the run folder holds a finished run")
    given, options = parser.parse_known_args()
    run = Path(given.run_folder or f"runs/{given.recipe}")
    log = RESULTS / f"{given.recipe}.log"
    command = [sys.executable, "-m", "s2s", "fit", "-c", given.recipe, "--run_folder", str(run), *options]
    result = {"recipe": given.recipe, **provenance(["s2s", *command[3:]])}
    if not given.skip_training:
        began = time.time()
        with open(log, "w", encoding="utf-8") as out:
            subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=True)
        result["training_minutes"] = round((time.time() - began) / 60, 2)
        (run / "minutes.txt").write_text(str(result["training_minutes"]))
    else:
        result["training_minutes"] = float((run / "minutes.txt").read_text())
    speeds = [
        float(row["tokens_per_second"]) for row in rows(run / "metrics.csv") if row.get("tokens_per_second")
    ]
    result["target_tokens_per_second"] = {"median": statistics.median(speeds), "samples": speeds}
    result["validation"] = [
        {"epoch": int(row["epoch"]) + 1, "BLEU": float(row["val_BLEU"]), "loss": float(row["val_loss"])}
        for row in rows(run / "metrics.csv")
        if row.get("val_BLEU")
    ]
    result["test_2016_flickr"] = {
        name: test(given.recipe, run, name, search) for name, search in SEARCHES.items()
    }
    path = RESULTS / "multi30k.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    results[given.recipe] = result
    path.write_text(json.dumps(results, indent=1) + "\n")


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of the run's CSV log."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test(name: str, run: Path, search_name: str, search: dict[str, Any]) -> dict[str, Any]:
    """Translate the test split from the bundle, as a user would, and score it."""
    import yaml

    sources, references = (
        read_lines(locate(path))
        for path in yaml.safe_load(recipe(name).read_text())["data"]["test"].split(",")
    )
    translator = Translator.load(str(run / "bundle"), threads=os.cpu_count())
    translator.translate(sources[:64], **search)  # warm up
    began = time.perf_counter()
    outputs = translator.translate(sources, **search)
    seconds = time.perf_counter() - began
    (RESULTS / f"{name}.{search_name}.txt").write_text(
        "".join(f"{line}\n" for line in outputs), encoding="utf-8"
    )
    scores = {}
    for metric in ("BLEU", "ChrF"):
        for lowercase in (False, True):
            score = catalogue().load("metric", metric)(lowercase=lowercase).score(outputs, [references])
            key = f"{metric}_{'lowercase' if lowercase else 'cased'}"
            scores[key] = {"value": score.value, "signature": score.signature}
            print(f"{name} {search_name} {key}: {score}")
    return {"search": search, "sentences_per_second": len(sources) / seconds, **scores}


if __name__ == "__main__":
    main()
