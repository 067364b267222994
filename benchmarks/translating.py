"""`s2s translate` compared to the bare decoding benchmark, and its memory after many lines.

    python benchmarks/translating.py           everything, into results/translating.json
    python benchmarks/translating.py speed     only the named parts: speed, memory

* speed: the test set through the command (file input and output, all its counting) with a loaded model, and through
  `Translator.translate` of a list, which decoding.py measures, alternating; and the command in a separate
  process, including start-up and loading.
* memory: LINES lines of varied length through the command in a separate process, with a tiny model whose outputs also
  vary in length, so that products have any number of rows, on one thread; memory is sampled repeatedly.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import torch
from machine import RESULTS, repeated, save
from trained import bundle
from workload import PIECES, lines, model_config, tokenizer

from s2s.__main__ import main as s2s
from s2s.inference.bundle import build_model, save_bundle
from s2s.inference.translator import Translator
from s2s.text.tokenizer import EOS

SEARCHES = {"greedy": 1, "beam 5": 5}
SAMPLES = 5
LINES = 300_000  # level from 40,000 on
PRECISION = "float32"  # the command's default
TINY = 16


def speed() -> dict[str, Any]:
    """Samples of each search."""
    translator = Translator.load(bundle(), precision=PRECISION)
    sources = lines("test", "en")
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "in.txt"), Path(folder, "out.txt")
        given.write_text("".join(f"{line}\n" for line in sources), encoding="utf-8")

        def sample(beam: int) -> dict[str, Any]:
            words = ["translate", str(bundle()), str(given), "--output", str(made), "--beam", str(beam)]
            began = time.perf_counter()
            expected = translator.translate(sources, beam=beam)
            bare = time.perf_counter() - began
            with mock.patch.object(Translator, "load", lambda *_, **__: translator):
                began = time.perf_counter()
                s2s(words)
                command = time.perf_counter() - began
            assert made.read_text(encoding="utf-8").split("\n") == [*expected, ""]
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "s2s", *words], check=True, stderr=subprocess.DEVNULL)
            process = time.perf_counter() - began
            return {"bare_seconds": bare, "command_seconds": command, "process_seconds": process}

        for search, beam in SEARCHES.items():
            sample(beam)
            measured[search] = {
                "sentences": len(sources),
                "samples": repeated(lambda b=beam: sample(b), SAMPLES),
            }
    return measured


def memory() -> dict[str, Any]:
    """Memory of a process, by lines translated."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "child", folder, str(LINES)]
        given = Path(folder, "in.txt")
        tiny(Path(folder, "bundle"))
        with given.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in of_many_lengths(LINES))
        began = time.perf_counter()
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return {"seconds": time.perf_counter() - began, "points": json.loads(output.splitlines()[-1])}


def of_many_lengths(number: int) -> Iterator[str]:
    """Lines of 1 to 60 words, most often about 10, cut from the training text at random places."""
    words = " ".join(lines("train", "en")).split()
    random = Random(1)
    for _ in range(number):
        length = min(60, max(1, int(random.lognormvariate(2.3, 0.6))))
        begin = random.randrange(len(words) - length)
        yield " ".join(words[begin : begin + length])


def tiny(folder: Path) -> None:
    """A bundle of a small model with random weights, whose outputs have from 1 to a few dozen tokens, most often 2."""
    config = model_config(size=TINY)
    pieces = tokenizer()
    torch.manual_seed(1)
    model = build_model(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight *= 8.0  # makes outputs depend on the source
        model.head.bias[EOS] = 8.0
    spec = {"class_path": "SentencePiece", "init_args": {"vocabulary_size": PIECES}}
    save_bundle(
        folder,
        model=model,
        model_config=config,
        source_tokenizer=pieces,
        source_tokenizer_spec=spec,
        search={"class_path": "Beam", "init_args": {"size": 1}},
        card="Random weights.",
    )


def child(folder: str, number: int) -> None:
    """Translate, and print samples [lines, MiB] as JSON."""
    points: list[tuple[int, float]] = []
    ended = threading.Event()
    about = Path(folder, "out.txt.partial.json")

    def watch() -> None:
        while not ended.wait(0.2):
            try:
                done = json.loads(about.read_text())["lines"]
            except (OSError, ValueError):  # not started yet, or already ended
                continue
            if done >= len(points) * number / 50:
                points.append((done, held_mebibytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    words = ["translate", f"{folder}/bundle", f"{folder}/in.txt", "--output", f"{folder}/out.txt"]
    # With several threads memory varies with the batches that run at once; with one thread any growth shows.
    s2s([*words, "--beam", "1", "--threads", "1"])
    ended.set()
    watcher.join()
    print(json.dumps(points))


def held_mebibytes() -> float:
    """Current memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status does not say VmRSS")


PARTS = {"speed": speed, "memory": memory}


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]))
        return
    path = RESULTS / "translating.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    for name in sys.argv[1:] or PARTS:
        measured[name] = PARTS[name]()
        print(name, flush=True)
    kept = {name: measured[name] for name in PARTS if name in measured}
    save("translating", kept, ["python", "benchmarks/translating.py"])


if __name__ == "__main__":
    main()
