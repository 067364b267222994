"""An hour of translation and of training in one process: memory, descriptors, threads and files must not grow."""

import gc
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pytorch_lightning import Callback

import s2s
from soak.attack import Attack, Broken, Outcome
from soak.short_training import BATCHES, train, write_pairs

WARM_UP_SECONDS = 300.0
"""Per hour; meanwhile allocator pools and library caches grow to what the largest texts need."""

JUDGED_AFTER_SECONDS = 1500.0
"""Time measured after the warm-up. In a shorter time a single allocator pool, some MiB, looks like a slope."""

MOST_MEBIBYTES_PER_HOUR = 8.0
"""A day adds 200 MiB, less than the libraries take at the start; a leak of one number per line is ten times that."""


class Held(NamedTuple):
    """Resources of this process other than memory."""

    descriptors: int
    threads: int
    children: int
    temporary_files: int


def held() -> Held:
    """Current resources, counted by the system, not by Python, so that those of libraries are included."""
    gc.collect()  # garbage that is not collected yet is no leak
    tasks = os.listdir("/proc/self/task")
    children = [Path(f"/proc/self/task/{task}/children") for task in tasks]
    return Held(
        len(os.listdir("/proc/self/fd")),
        len(tasks),
        sum(len(path.read_text().split()) for path in children if path.is_file()),
        sum(len(files) for _, _, files in os.walk(tempfile.gettempdir())),
    )


def mebibytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Growth:
    """Memory over time."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.samples: list[tuple[float, float]] = []

    def see(self) -> None:
        """Measure, except during the warm-up."""
        seconds = time.monotonic() - self.began
        if seconds >= WARM_UP_SECONDS:
            self.samples.append((seconds, mebibytes()))

    @property
    def seconds(self) -> float:
        """Seconds spanned by the measurements."""
        return self.samples[-1][0] - self.samples[0][0] if self.samples else 0.0

    def per_hour(self) -> float:
        """Slope in MiB per hour, by least squares."""
        seconds, sizes = np.array(self.samples).T
        return float(np.polyfit(seconds / 3600, sizes, 1)[0])


class LongLife(Attack):
    """A process that repeats the same work; an attempt is some seconds of it."""

    units = "rounds"

    def prepare(self, folder: Path) -> None:
        """Write a corpus, and set a separate folder for this process's temporary files."""
        self.shared = folder
        write_pairs(folder)
        (folder / "temporary").mkdir()
        self.growth = Growth()
        self.at_first: Held | None = None

    def work(self, number: int, folder: Path) -> Counter[str]:
        """A round of work."""
        raise NotImplementedError

    def attempt(self, number: int, folder: Path) -> Outcome:
        """A round of work; resources must never exceed those after the first round."""
        before, tempfile.tempdir = tempfile.tempdir, str(self.shared / "temporary")
        try:
            counts = self.work(number, folder)
            now = held()
        finally:
            tempfile.tempdir = before
        self.growth.see()
        if self.at_first is None:
            self.at_first = now
        more = [
            f"{count} {name.replace('_', ' ')}, after the first round {first}"
            for name, count, first in zip(Held._fields, now, self.at_first, strict=True)
            if count > first
        ]
        if more:
            raise Broken(f"round {number}: {'; '.join(more)}")
        figures = {
            "mebibytes": mebibytes(),
            "descriptors": float(now.descriptors),
            "threads": float(now.threads),
        }
        if self.growth.seconds > JUDGED_AFTER_SECONDS:
            figures["mebibytes_per_hour"] = slope = self.growth.per_hour()
            if slope > MOST_MEBIBYTES_PER_HOUR:
                raise Broken(
                    f"memory grows by {slope:.1f} MiB per hour ({len(self.growth.samples)} measurements)"
                )
        return Outcome(counts, figures)


class LongTranslation(LongLife):
    """A translator that is called repeatedly."""

    name = "long-translation"
    promise = (
        "an hour of translation in one process leaves memory, descriptors, threads and files as they are"
    )
    units = "lines"
    attempts = 1800
    short = 2
    calls = 12

    def prepare(self, folder: Path) -> None:
        """Train a model."""
        super().prepare(folder)
        bundle = train(folder, folder / "run").bundle
        assert bundle is not None
        self.translator = s2s.Translator.load(bundle, threads=2)

    def work(self, number: int, folder: Path) -> Counter[str]:
        """Some calls with new lines, sizes and options."""
        chance = random.Random(number)
        counts: Counter[str] = Counter()
        for _ in range(self.calls):
            lines = [_line(chance) for _ in range(chance.choice((0, 1, 7, 40)))]
            options: dict[str, Any] = chance.choice(
                (
                    {},
                    {"beam": 1},
                    {"beam": chance.randint(2, 6), "alpha": chance.random()},
                    {"n_best": 2, "beam": 3},
                    {"samples": 2, "seed": chance.randrange(10**6)},
                    {"banned": [chance.choice("abcdefgh")]},
                    {"phrases": [chance.choice("abcdefgh")]},
                    {"batch_tokens": chance.randint(50, 500)},
                )
            )
            if chance.random() < 0.3:
                given = iter(lines)
                found = len(list(self.translator.stream(given, **options)))
            else:
                results: Any = chance.random() < 0.5
                found = len(self.translator.translate(lines, results=results, **options))
            if found != len(lines):
                raise Broken(f"{found} translations of {len(lines)} lines, with {options}")
            counts["translated"] += found
        return counts


def _line(chance: random.Random) -> str:
    words = [
        "".join(chance.choices("abcdefghxyzäß漢🙂", k=chance.randint(1, 4)))
        for _ in range(chance.randint(0, 30))
    ]
    return " ".join(words) * (10 if chance.random() < 0.02 else 1)


class Watch(Callback):
    """Measures memory at the end of every epoch."""

    def __init__(self, growth: Growth) -> None:
        self.growth = growth

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.growth.see()


class LongTraining(LongLife):
    """Successive trainings, the later ones of many epochs."""

    name = "long-training"
    promise = "an hour of training in one process leaves memory, descriptors, threads and files as they are"
    units = "epochs"
    attempts = 60
    short = 2

    def work(self, number: int, folder: Path) -> Counter[str]:
        """Train and validate; every third time with two workers."""
        epochs = 2 if number < self.short else 200
        options: dict[str, Any] = {
            "data.validation": str(self.shared / "pairs.tsv"),
            "data.num_workers": 2 * (number % 3 == 2),
            "model.average_decay": 0.9,
            "model.show_translations": 0,
            "trainer.max_epochs": epochs,
            "trainer.limit_val_batches": 2,
            "trainer.logger": True,
            "seed_everything": number + 1,
        }
        fitted = train(self.shared, folder / "run", [Watch(self.growth)], **options)
        step = fitted.module.trainer.global_step
        if step != BATCHES * epochs:
            raise Broken(f"{step} steps in {epochs} epochs of {BATCHES} batches")
        return Counter({"trained": epochs})
