"""Out-of-memory errors at random moments of a training, compared to a training with enough memory."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback
from torch import Tensor

from soak.attack import Attack, Broken, Outcome
from soak.short_training import BATCHES, train, write_pairs

ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
)
ROUNDING = 1e-9
"""Relative error of float64 sums in a different order: a thousand times the observed error."""


class Gradients(Callback):
    """Records the gradient of each step, as the optimizer receives it."""

    def __init__(self) -> None:
        self.found: list[dict[str, Tensor]] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        def record(*_: Any, **__: Any) -> None:
            gradients = {
                name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None
            }
            self.found.append(gradients)

        pl_module.configure_gradient_clipping = record  # called when the mean has been computed


class Starved(Callback):
    """Batches of more examples than `most` fail: in the forward pass, or when a random gradient is computed.

    Args:
        most: maximum number of examples that fit.
        share: the share of batches with limited memory.
        chance: the random generator.
    """

    def __init__(self, most: int, share: float, chance: random.Random) -> None:
        self.most = most
        self.share = share
        self.chance = chance
        self.failed: Counter[str] = Counter()
        self.starved: set[int] = set()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        batch_loss = pl_module.batch_loss

        def starving(batch: Any) -> Any:
            number = trainer.fit_loop.total_batch_idx
            if batch.size <= self.most or number not in self.starved:
                return batch_loss(batch)
            error = self.chance.choice(ERRORS)
            if self.chance.random() < 0.3:
                self.failed["failed in the forward pass"] += 1
                raise error
            parameter = self.chance.choice(list(pl_module.parameters()))

            def fail(gradient: Tensor) -> None:
                handle.remove()
                self.failed["failed in the backward pass"] += 1
                raise error

            handle = parameter.register_hook(fail)
            return batch_loss(batch)

        pl_module.batch_loss = starving

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.chance.random() < self.share:
            self.starved.add(trainer.fit_loop.total_batch_idx)


class OutOfMemory(Attack):
    """Batches that do not fit into memory."""

    name = "out-of-memory"
    promise = (
        "a batch that does not fit into memory is trained in parts, and the gradient of its step is the same"
    )
    units = "failures"
    attempts = 1000
    short = 2

    def prepare(self, folder: Path) -> None:
        """Write the corpus, and train with enough memory."""
        self.shared = folder
        write_pairs(folder)
        self.expected: dict[int, list[dict[str, Tensor]]] = {}

    def _train(
        self, run: Path, accumulated: int, *callbacks: Callback
    ) -> tuple[Any, list[dict[str, Tensor]]]:
        # Weights are frozen, as AdamW magnifies rounding errors if a gradient is almost zero.
        gradients = Gradients()
        options = {
            "trainer.accumulate_grad_batches": accumulated,
            "trainer.precision": "64-true",
            "model.learning_rate": 0.0,
        }
        fitted = train(self.shared, run, [*callbacks, gradients], dropout=0.0, **options)
        return fitted.module, gradients.found

    def attempt(self, number: int, folder: Path) -> Outcome:
        """Train once with little memory."""
        chance = random.Random(number)
        accumulated = chance.choice((1, 2, 3))
        if accumulated not in self.expected:
            self.expected[accumulated] = self._train(folder / "enough", accumulated)[1]
        starved = Starved(chance.choice((1, 2, 3, 5)), chance.choice((0.2, 1.0)), chance)
        module, found = self._train(folder / "starved", accumulated, starved)
        expected = self.expected[accumulated]
        what = f"{accumulated} accumulated batches, of which {starved.most} examples fit"
        if len(found) != len(expected):
            raise Broken(f"{what}: {len(found)} steps, not {len(expected)}")
        for step, (mine, its) in enumerate(zip(found, expected, strict=True)):
            for name, gradient in its.items():
                off = float((mine[name] - gradient).abs().max() / gradient.abs().max().clamp(min=1e-12))
                if not off <= ROUNDING:
                    raise Broken(f"{what}: the gradient of {name} at step {step + 1} is off by {off:.2g}")
        if module.troubles.split_batches > 2 * BATCHES or (
            starved.failed and not module.troubles.split_batches
        ):
            raise Broken(f"{what}: {module.troubles.split_batches} split batches were counted")
        if module.troubles.skipped_examples:
            raise Broken(f"{what}: {module.troubles.skipped_examples} examples were left out")
        return Outcome(starved.failed or Counter({"trained without one": 1}))
