"""The cost of a validation with real decoding, compared to an epoch of Multi30k.

    python benchmarks/validation.py

Continues training the model of trained.py with the unchanged recipe: some batches, then all of the validation text
(loss, greedy translation, BLEU), and again. An epoch's training time is computed from the seconds of its batches.
"""

import statistics
import time
from typing import Any

import pytorch_lightning as pl
from machine import Stopwatch, save
from trained import bundle, options
from workload import WORK, batches

import s2s

TURNS, BATCHES, WARM_UP = 4, 60, 10


class Clock(pl.Callback):
    """Times batches, and validations with all their overhead."""

    def __init__(self) -> None:
        self.samples: list[dict[str, Any]] = []
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        self.ends.append(time.perf_counter())

    def on_validation_start(self, trainer: Any, module: Any) -> None:
        self.watch = Stopwatch().__enter__()

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self.watch.__exit__()
        steps = [
            after - before
            for before, after in zip(self.ends[WARM_UP:], self.ends[WARM_UP + 1 :], strict=False)
        ]
        self.samples.append(
            {
                "batch_seconds": statistics.mean(steps),
                "validation_seconds": self.watch.seconds,
                "others": round(self.watch.others, 3),
            }
        )
        self.ends = []


def main() -> None:
    clock = Clock()
    given = options(WORK / "validation", feeding=False, epochs=TURNS)
    given |= {
        "model.start_from": str(bundle()),
        "trainer.limit_train_batches": BATCHES,
        "model.warmup_steps": 10_000,  # so that the weights hardly change
    }
    s2s.fit("multi30k-en-de", callbacks=[clock], **given)
    save(
        "validation",
        {"batches_per_epoch": len(batches()), "samples": clock.samples},
        ["python", "benchmarks/validation.py"],
    )


if __name__ == "__main__":
    main()
