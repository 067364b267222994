"""Speed, memory and quality of the peers, each in a separate environment, on the benchmark's text and pieces.

    python benchmarks/peers/measure.py [--peers joeynmt,eole,yoyodyne,plain] [--what training,decoding]

Every peer has one file here, run by its own Python through process.py, with the functions `train_speed`, `train_model`
and `decode`, and the package list of its environment. Existing results in results/peers.json are not measured again.
Models for decoding are trained first, which takes half an hour for some, and kept in .models. Needs $S2S_DATA.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import workload
from machine import OTHERS, RESULTS, Stopwatch, provenance

from s2s.text.tokenizer import UNK
from s2s_plugins.metrics.bleu import BLEU

HERE = Path(__file__).resolve().parent
FILE = RESULTS / "peers.json"
ENVIRONMENTS = HERE.parent / ".environments"
PEERS: dict[str, dict[str, dict[str, Any]]] = {
    "joeynmt": {"feeding": {"feeding": True}, "no feeding": {"feeding": False}},
    "eole": {"no feeding": {"feeding": False}, "feeding": {"feeding": True}},
    "yoyodyne": {"no feeding": {"feeding": False}},
    "plain": {
        f"{name}, {precision}": {"feeding": feeding, "bf16": precision == "bf16"}
        for name, feeding in (("no feeding", False), ("feeding", True))
        for precision in workload.PRECISIONS
    },
}
"""The variants of each peer's model and the arguments that create them; the first one is also used for decoding."""
MODEL_STEPS = {"joeynmt": 440, "eole": 880, "yoyodyne": 440, "plain": 880}
"""Updates (an epoch or two) after which translations end by themselves."""
WARM_UP, STEPS, EVERY = 20, 100, 20
"""Updates before the first sample of training speed, in all samples, and per sample."""
BEAMS = (1, 5)
BATCHES = {1: 100, 64: 1_000, 256: 1_000}
"""Batch sizes, and how many sentences are translated."""
SAMPLES, SECONDS = 3, 60.0
"""Repetitions of a translation; none is started after that many seconds."""
EPOCHS = 2


class PeerError(Exception):
    """A peer failed; the message is the last line of its output."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--what", default="training,decoding")
    parser.add_argument("--again", action="store_true", help="measure again even if there are results")
    parser.add_argument("--minutes", type=float, default=60.0, help="start no measurement after this many")
    given = parser.parse_args()
    began = time.monotonic()
    results = json.loads(FILE.read_text()) if FILE.is_file() else {}
    export()
    for what in given.what.split(","):
        for peer in given.peers.split(","):
            for key, measure in {"training": training, "decoding": decoding}[what](peer).items():
                place = results.setdefault(what, {}).setdefault(peer, {})
                left = given.minutes - (time.monotonic() - began) / 60
                if (key not in place or given.again) and left > 0:
                    try:
                        place[key] = {**about(peer), **measure()}
                    except PeerError as error:
                        place[key] = {**about(peer), "failed": str(error)}
                    print(what, peer, key, said(place[key]), flush=True)
                    FILE.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def export() -> None:
    """Write files for the peers beside those of workload.py: with their names, vocabulary, text sorted by batches."""
    work = workload.prepare()
    (work / "vocabulary.txt").write_text("".join(f"{name}\n" for name in list(names())[4:]))
    order = [
        int(line)
        for epoch in range(EPOCHS)
        for batch in workload.batches(epoch=epoch)
        if len(batch.lines) == workload.BATCH  # the peers split the text into batches of this size
        for line in batch.lines
    ]
    for side in workload.SIDES:
        for split in workload.SPLITS:
            shutil.copy(work / f"{split}.{side}.pieces", work / f"{split}.pieces.{side}")
        for kind in ("pieces", "ids"):
            lines = (work / f"train.{side}.{kind}").read_text(encoding="utf-8").splitlines(keepends=True)
            with open(work / f"ordered.{kind}.{side}", "w", encoding="utf-8") as file:
                file.writelines(lines[number] for number in order)


def environment(peer: str) -> Path:
    """The peer's Python; its environment is created from the package registry if it is missing or out of date."""
    packages = HERE / f"{peer}.txt"
    if not packages.is_file():
        return Path(sys.executable)
    folder = ENVIRONMENTS / peer
    stamp = folder / "packages.txt"
    if not stamp.is_file() or stamp.read_text() != packages.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "-r", packages]
        subprocess.run(install, check=True)
        shutil.copy(packages, stamp)
    return folder / "bin" / "python"


def about(peer: str) -> dict[str, Any]:
    """Machine, commit and command, and the packages of the peer."""
    packages = HERE / f"{peer}.txt"
    pinned = packages.read_text().split() if packages.is_file() else []
    return {
        **provenance(["python", "benchmarks/peers/measure.py", "--peers", peer]),
        "packages": [line for line in pinned if line.split("==")[0].lower() in (peer, "torch", "numpy")],
    }


def run(peer: str, function: str, **options: Any) -> dict[str, Any]:
    """Call a function of the peer's file in a separate process.

    Returns:
        Its return value, the `peak_memory_mib` and `wall_seconds` of the process, and the share of the machine that
        `others` used meanwhile.
    """
    scratch = workload.WORK / "peers" / peer
    scratch.mkdir(parents=True, exist_ok=True)
    result = scratch / "result.json"
    options = {"work": str(workload.WORK), "folder": str(scratch / "model"), **options}
    # as peers.eole, for instance, from the parent folder: the files here have the names of the peers' packages
    variables = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    command = [environment(peer), "-P", "-m", "peers.process", peer, function, json.dumps(options), result]
    with open(scratch / f"{function}.log", "w") as log, Stopwatch() as watch:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=scratch, env=variables)
        child.wait()
    if child.returncode:
        lines = Path(log.name).read_text(errors="replace").strip().splitlines() or ["no message"]
        raise PeerError(f"cannot: {lines[-1].strip()[:100]}")
    return {
        **json.loads(result.read_text()),
        "wall_seconds": watch.seconds,
        "others": round(watch.others, 3),
    }


def quietest(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A measurement undisturbed by other programs, or else the less disturbed one of two."""
    first = measure()
    return first if first["others"] <= OTHERS else min(first, measure(), key=lambda one: one["others"])


def training(peer: str) -> dict[str, Any]:
    """Measurements of training speed by variant."""

    def measure(options: dict[str, Any]) -> dict[str, Any]:
        measured = quietest(lambda: run(peer, "train_speed", **options, steps=WARM_UP + STEPS, every=EVERY))
        samples = measured.pop("target_tokens_per_second")[WARM_UP // EVERY :]
        return {
            **measured,
            "target_tokens_per_second": {"median": statistics.median(samples), "samples": samples},
        }

    return {key: lambda options=options: measure(options) for key, options in PEERS[peer].items()}


def decoding(peer: str) -> dict[str, Any]:
    """Measurements of translation by beam and batch, and of the first translation from a cold start."""
    options = next(iter(PEERS[peer].values()))

    def model() -> str:
        folder = HERE.parent / ".models" / "peers" / peer
        if not (folder / "done").exists():
            made = run(peer, "train_model", **options, folder=str(folder), steps=MODEL_STEPS[peer])
            (folder / "done").write_text(json.dumps(made))
        return str(folder)

    def translate(beam: int, batch: int, sentences: int) -> dict[str, Any]:
        given = {**options, "folder": model(), "beam": beam, "batch": batch, "sentences": sentences}
        measured = quietest(lambda: run(peer, "decode", **given, samples=SAMPLES, seconds=SECONDS))
        per_batch = measured.pop("seconds_per_batch")
        outputs = texts(measured.pop("outputs"))
        score = BLEU().score(outputs, [workload.lines("test", "de")[:sentences]])
        taken = measured.pop("seconds")
        return {
            "beam": beam,
            "batch": batch,
            "sentences": sentences,
            "sentences_per_second": {
                "median": sentences / statistics.median(taken),
                "samples": [sentences / one for one in taken],
            },
            **(latency(per_batch) if batch == 1 else {}),
            "BLEU": {"value": score.value, "signature": score.signature},
            **measured,
        }

    def cold_start() -> dict[str, Any]:
        first = {**options, "folder": model(), "beam": 5, "batch": 1, "sentences": 1}
        runs = [run(peer, "decode", **first, samples=0, seconds=0.0) for _ in range(SAMPLES)]
        samples = [one["wall_seconds"] for one in runs]
        return {
            "seconds": {"median": statistics.median(samples), "samples": samples},
            "others": max(one["others"] for one in runs),
        }

    return {
        **{
            f"beam {beam}, batch {batch}": lambda beam=beam, batch=batch: translate(
                beam, batch, BATCHES[batch]
            )
            for beam in BEAMS
            for batch in BATCHES
        },
        "cold start": cold_start,
    }


def latency(seconds: list[float]) -> dict[str, Any]:
    """Latency of single sentences."""
    cuts = statistics.quantiles(seconds, n=20)
    return {
        "latency_ms": {
            "median": 1_000 * statistics.median(seconds),
            "percentile_95": 1_000 * cuts[-1],
            "samples": [round(1_000 * one, 2) for one in seconds],
        }
    }


@cache
def names() -> dict[str, int]:
    """Pieces as written in the files, and their ids."""
    tokenizer = workload.tokenizer()
    shown = tokenizer.tokens(range(tokenizer.vocabulary_size))
    return {workload.visible(name): number for number, name in enumerate(shown)}


def texts(lines: list[str]) -> list[str]:
    """Lines of pieces as text."""
    tokenizer = workload.tokenizer()
    return [tokenizer.decode([names().get(piece, UNK) for piece in line.split()]) for line in lines]


def said(measured: dict[str, Any]) -> str:
    """The main figures, for display."""
    shown = {
        "failed": str,
        "target_tokens_per_second": lambda value: f"{value['median']:.0f} target tokens/s",
        "sentences_per_second": lambda value: f"{value['median']:.1f} sentences/s",
        "latency_ms": lambda value: f"{value['median']:.0f} ms ({value['percentile_95']:.0f})",
        "BLEU": lambda value: f"{value['value']:.1f} BLEU",
        "seconds": lambda value: f"{value['median']:.1f} s",
        "peak_memory_mib": lambda value: f"{value:.0f} MiB",
    }
    return ", ".join(show(measured[name]) for name, show in shown.items() if name in measured)


if __name__ == "__main__":
    main()
