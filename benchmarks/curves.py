"""How cost grows with sentence length, batch size, model size, vocabulary size, and beam size.

    python benchmarks/curves.py

Training: seconds per step (bf16 if the processor supports it, no input feeding, random tokens, sentences of one
length), the median of STEPS. Decoding: sentences per second with the model of trained.py in float32. Growth of memory
and preparation time with the corpus is measured in memory.py.
"""

import statistics
import time
from typing import Any

import torch
from machine import Stopwatch, save
from products import Architecture
from trained import bundle
from workload import BATCH, SIZE, Batch, build_optimizer, lines, model_config, train_step

from s2s.inference.bundle import build_model
from s2s.inference.translator import Translator
from s2s.padded import Padded
from s2s.text.tokenizer import BOS, EOS

STEPS = 5
LENGTH = 15
CURVES: dict[str, list[int]] = {
    "sentence length": [5, 10, 20, 40, 80, 160],
    "batch": [4, 16, 64, 256],
    "hidden size": [128, 256, 512, 1024],
    "layers": [1, 2, 3, 4],
    "vocabulary": [2_000, 8_000, 32_000, 64_000],
}
BEAMS = [1, 2, 5, 10, 20]
SENTENCES = 256


def training(curve: str, value: int) -> dict[str, Any]:
    """One point of a curve."""
    chosen = {
        "sentence length": LENGTH,
        "batch": BATCH,
        "hidden size": SIZE,
        "layers": 1,
        "vocabulary": 8_000,
    }
    chosen[curve] = value
    time_steps, sentences, size, layers, vocabulary = chosen.values()
    torch.manual_seed(0)
    model = build_model(model_config(size=size, layers=layers, vocabulary=vocabulary)).train()
    optimizer = build_optimizer(model)
    batch = random_batch(sentences, time_steps, vocabulary)
    seconds = []
    with Stopwatch() as watch:
        for _ in range(STEPS + 2):
            began = time.perf_counter()
            train_step(model, optimizer, batch)
            seconds.append(time.perf_counter() - began)
    architecture = Architecture(size, size, layers, vocabulary)
    return {
        "value": value,
        "seconds": statistics.median(seconds[2:]),
        "samples": seconds[2:],
        "target_tokens": sentences * (time_steps + 1),
        "multiply_adds": architecture.training([(time_steps, time_steps + 1)] * sentences),
        "others": round(watch.others, 3),
    }


def random_batch(sentences: int, time_steps: int, vocabulary: int) -> Batch:
    """Random sentences of one length."""
    source = torch.randint(4, vocabulary, (sentences, time_steps))
    target = torch.randint(4, vocabulary, (sentences, time_steps + 2))
    target[:, 0], target[:, -1] = BOS, EOS
    length = torch.full((sentences,), time_steps)
    return Batch(Padded(source, length), Padded(target, length + 2), torch.arange(sentences))


def decoding() -> list[dict[str, Any]]:
    """One point per beam size."""
    translator = Translator.load(bundle())
    sources = lines("test", "en")[:SENTENCES]
    points = []
    for beam in BEAMS:
        translator.translate(sources, beam=beam)
        with Stopwatch() as watch:
            translator.translate(sources, beam=beam)
        points.append(
            {
                "value": beam,
                "sentences_per_second": SENTENCES / watch.seconds,
                "others": round(watch.others, 3),
            }
        )
    return points


def main() -> None:
    measured = {curve: [training(curve, value) for value in values] for curve, values in CURVES.items()}
    save("curves", {"training": measured, "beam": decoding()}, ["python", "benchmarks/curves.py"])


if __name__ == "__main__":
    main()
