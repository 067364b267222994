"""Memory of training as the corpus grows, of building the token store, and of the loss.

    python benchmarks/memory.py           30 thousand, 300 thousand and 3 million generated pairs
    python benchmarks/memory.py full      10 million too; existing results in results/memory.json are not measured again

Every figure is from a separate process. Per size: one process learns the pieces and builds the store; another, which
reuses these, trains the benchmark's model for STEPS steps. The loss is that of `linear_cross_entropy`, of many tokens
with a large vocabulary. A sentence is two of 50,000 half sentences, drawn at random; those consist of 20,000
made-up words, whose frequency falls with their rank (Zipf).
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import RESULTS, peak_mebibytes, save
from trained import options
from workload import WORK

import s2s
from s2s.nn import linear_cross_entropy
from s2s.registry.parts import factory
from s2s.training.datamodule import PairData

SIZES = [30_000, 300_000, 3_000_000]
LARGEST = 10_000_000
STEPS = 100
PIECES = 8_000
HALVES = 50_000
LOSS_TOKENS, LOSS_VOCABULARY = 8_192, 32_000


def generate(folder: Path, pairs: int) -> str:
    """Write a corpus with the given number of pairs.

    Returns:
        The corpus as an argument of the data module.
    """
    random = np.random.default_rng(1)
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    words = np.array(["".join(random.choice(syllables, 1 + i % 4)) for i in range(20_000)], object)
    ends = np.cumsum(random.integers(2, 10, HALVES))
    text = words[np.minimum(random.zipf(1.3, int(ends[-1])), len(words)) - 1]
    halves = np.array([" ".join(half) for half in np.split(text, ends[:-1])], object)
    paths = [folder / f"{side}.txt" for side in ("source", "target")]
    for path in paths:
        with open(path, "w", encoding="utf-8") as file:
            for start in range(0, pairs, 10_000):
                first, second = random.integers(0, HALVES, (2, min(10_000, pairs - start)))
                file.writelines(halves[first] + " " + halves[second] + "\n")
    return ",".join(map(str, paths))


def data_options(folder: Path) -> dict[str, Any]:
    return {
        "train": f"{folder}/source.txt,{folder}/target.txt",
        "cache": str(folder / "cache"),
        "batch_sentences": 64,
    }


def build(folder: str) -> dict[str, Any]:
    """Learn the pieces, then build the store."""
    tokenizer = factory(
        "tokenizer", {"class_path": "SentencePiece", "init_args": {"vocabulary_size": PIECES}}
    )
    data = PairData(tokenizer=tokenizer, batch_tokens=None, **data_options(Path(folder)))
    began = time.perf_counter()
    _ = data.tokenizers  # learns them
    learnt = time.perf_counter()
    after_tokenizer, before = peak_mebibytes(), os.times()
    data.store("train")
    stored, after = time.perf_counter(), os.times()
    return {
        "tokenizer_seconds": learnt - began,
        "tokenizer_mebibytes": after_tokenizer,
        "store_seconds": stored - learnt,
        "store_cpu_seconds": sum(after[:4]) - sum(before[:4]),
        "mebibytes": peak_mebibytes(),
        "worker_mebibytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def train(folder: str) -> dict[str, Any]:
    """Train on the output of `build`, without validation."""
    given = options(Path(folder) / "run", feeding=False)
    given = {key: value for key, value in given.items() if not key.startswith("data.")}
    given |= {f"data.{key}": value for key, value in data_options(Path(folder)).items()}
    given |= {
        "data.batch_tokens": None,
        "data.validation": None,
        "data.test": None,
        "data.tokenizer.vocabulary_size": PIECES,
        "trainer.max_steps": STEPS,
        "trainer.max_epochs": 1,
    }
    s2s.fit("multi30k-en-de", **given)
    return {"mebibytes": peak_mebibytes()}


def loss(label_smoothing: str) -> dict[str, Any]:
    """Extra memory for loss and gradient of LOSS_TOKENS tokens, and the size of all their logits in float32."""
    hidden = torch.randn(LOSS_TOKENS, 512, requires_grad=True)
    weight = torch.randn(LOSS_VOCABULARY, 512, requires_grad=True)
    bias = torch.zeros(LOSS_VOCABULARY, requires_grad=True)
    gold = torch.randint(LOSS_VOCABULARY, (LOSS_TOKENS,))
    gradients = [torch.ones_like(tensor) for tensor in (hidden, weight, bias)]  # needed in any case
    before = peak_mebibytes()
    del gradients
    total, _ = linear_cross_entropy(hidden, weight, bias, gold, label_smoothing=float(label_smoothing))
    total.backward()
    return {
        "mebibytes_added": peak_mebibytes() - before,
        "mebibytes_of_logits": LOSS_TOKENS * LOSS_VOCABULARY * 4 / 2**20,
    }


def in_process(function: str, argument: str) -> dict[str, Any]:
    """Call a function of this file in a separate process."""
    command = [sys.executable, __file__, function, argument]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps({"build": build, "train": train, "loss": loss}[sys.argv[1]](sys.argv[2])))
        return
    full = sys.argv[1:] == ["full"]
    path = RESULTS / "memory.json"
    known = json.loads(path.read_text())["pairs"] if full and path.is_file() else {}
    sizes = {}
    for pairs in [*SIZES, LARGEST]:
        if pairs == LARGEST and not full and str(pairs) not in known:
            continue
        if str(pairs) in known:
            sizes[str(pairs)] = known[str(pairs)]
            continue
        folder = WORK / "memory"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        generate(folder, pairs)
        sizes[str(pairs)] = {
            "build": in_process("build", str(folder)),
            "train": in_process("train", str(folder)),
        }
        shutil.rmtree(folder)
        save("memory", {"pairs": sizes}, ["python", "benchmarks/memory.py"])
    losses = {smoothing: in_process("loss", smoothing) for smoothing in ("0.0", "0.1")}
    save("memory", {"pairs": sizes, "loss": losses}, ["python", "benchmarks/memory.py"])


if __name__ == "__main__":
    main()
