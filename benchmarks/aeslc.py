"""Train the AESLC recipe (e-mail to subject line) and its ablations, and score them on the test split.

    python benchmarks/aeslc.py             the recipe
    python benchmarks/aeslc.py ablations   the recipe, without coverage, without pointer, at one shorter budget
    python benchmarks/aeslc.py scores      score what has been trained again

Needs $S2S_DATA (see data/catalogue.yaml). Runs are kept in runs/aeslc*; one with a bundle is not trained again. Writes
results/aeslc.json. The test split is scored with the settings chosen on the development split.
"""

import csv
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import ROOT, provenance

from s2s.evaluation.abstraction import abstraction
from s2s.evaluation.defaults import SUMMARY_METRICS
from s2s.evaluation.evaluate import evaluate
from s2s.evaluation.extracts import lead, oracle
from s2s.inference.summarizer import Summarizer
from s2s.registry import catalogue
from s2s.resources import locate
from s2s.text.corpus import LineReport, raw_lines

RESULTS = Path(__file__).resolve().parent / "results"
RECIPE = "aeslc"
SHORT = {"trainer.max_epochs": 4, "trainer.check_val_every_n_epoch": 2, "model.coverage_loss_after": 1500}
NO_COVERAGE = {"model.decoder.attention": "Bahdanau", "model.coverage_loss": 0.0}
RUNS: dict[str, dict[str, Any]] = {
    "aeslc": {},
    "aeslc-short": SHORT,
    "aeslc-no-coverage": {**SHORT, **NO_COVERAGE},
    "aeslc-no-pointer": {**SHORT, "model.head": "Softmax", "model.head.label_smoothing": 0.1},
}
SEARCH: dict[str, Any] = {"beam": 1, "max_tokens": 40}
"""Chosen on the development split."""
RESAMPLES = 1000


def train(name: str) -> dict[str, Any]:
    """Train a run unless it has a bundle; return its provenance, training time and validation scores."""
    run = ROOT / "runs" / name
    log = run.with_suffix(".log")  # contains e-mails, which are not ours to publish
    options = [word for key, value in RUNS[name].items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "s2s", "fit", "-c", RECIPE, "--run_folder", f"runs/{name}", *options]
    if not (run / "bundle").is_dir():
        began = time.time()
        run.parent.mkdir(exist_ok=True)
        with open(log, "w", encoding="utf-8") as out:
            subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, check=True)
        (run / "provenance.json").write_text(
            json.dumps({**provenance(["s2s", *command[3:]]), "training_minutes": (time.time() - began) / 60})
        )
    found: dict[str, Any] = json.loads((run / "provenance.json").read_text())
    with open(run / "metrics.csv", newline="") as file:
        found["validation"] = [
            {
                "epoch": int(row["epoch"]) + 1,
                "ROUGE1": float(row["val_ROUGE1"]),
                "loss": float(row["val_loss"]),
            }
            for row in csv.DictReader(file)
            if row.get("val_ROUGE1")
        ]
    return found


def mails(split: str) -> list[dict[str, Any]]:
    """The records of a split."""
    path = locate(f"$S2S_DATA/aeslc/{split}.jsonl.gz")
    return [json.loads(line) for line in raw_lines(path, LineReport())]


def score(split: str, names: list[str]) -> dict[str, Any]:
    """Score all runs and the extracts against the senders' subjects, and against the annotators' subjects.

    The first system is the baseline of the comparisons.
    """
    records = mails(split)
    bodies = [record["body"] for record in records]
    systems: dict[str, list[str]] = {}
    for name in names:
        began = time.perf_counter()
        systems[name] = Summarizer.load(str(ROOT / "runs" / name / "bundle")).summarize(bodies, **SEARCH)
        print(f"{name}: {len(bodies)} e-mails in {time.perf_counter() - began:.0f} s", flush=True)
    subjects = [record["subject"] for record in records]
    annotated = [index for index, record in enumerate(records) if len(record["annotations"]) == 3]
    extracts = {
        "lead-1": [lead(body, 1) for body in bodies],
        "oracle-1": [oracle(body, [subject], 1) for body, subject in zip(bodies, subjects, strict=True)],
    }
    everything = {**systems, **extracts}
    found: dict[str, Any] = {"e-mails": len(records), "search": SEARCH}
    found["subject"] = rows(everything, [subjects])
    some = {name: [texts[index] for index in annotated] for name, texts in everything.items()}
    references = [[records[index]["annotations"][number] for index in annotated] for number in range(3)]
    found["annotations, best of 3"] = rows(some, references)
    means = {
        metric: {name: mean_of_references(metric, texts, references) for name, texts in some.items()}
        for metric in SUMMARY_METRICS[:3]
    }
    found["annotations, mean of 3"] = means
    found["made of"] = {
        name: {
            **{key: value for key, value in asdict(made).items() if key != "lengths"},
            "words": made.length,
        }
        for name, made in ((n, abstraction(t, bodies)) for n, t in {**systems, "subject": subjects}.items())
    }
    return found


def rows(systems: dict[str, list[str]], references: list[list[str]]) -> dict[str, Any]:
    """Scores with intervals, and p-values against the first system."""
    found: dict[str, Any] = {name: {} for name in systems}
    for row in evaluate(systems, references, metrics=SUMMARY_METRICS[:3], resamples=RESAMPLES):
        found[row.system][row.metric] = {
            "value": row.score,
            "confidence": row.confidence,
            "p": row.p_value,
            "signature": row.signature,
        }
        print(
            f"{row.system:<20} {row.metric} {row.score:.2f} ± {row.confidence:.2f} p {row.p_value}",
            flush=True,
        )
    return found


def mean_of_references(metric: str, texts: list[str], references: list[list[str]]) -> dict[str, Any]:
    """The mean over the annotators instead of the best one."""
    one = catalogue().load("metric", metric)(references="mean").score(texts, references)
    return {"value": one.value, "signature": one.signature}


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else RECIPE
    short = [name for name in RUNS if name != RECIPE]
    path = RESULTS / "aeslc.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for name in {"ablations": short, "scores": []}.get(what, [RECIPE]):
        result.setdefault("runs", {})[name] = train(name)
    ready = [name for name in RUNS if (ROOT / "runs" / name / "bundle").is_dir()]
    for split in ("dev", "test"):
        if RECIPE in ready:
            result[split] = score(split, [RECIPE])
        if "aeslc-short" in ready:
            result[f"{split}, ablations"] = score(split, [name for name in ready if name != RECIPE])
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
