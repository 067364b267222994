"""Training speed of s2s: against this machine's limit and a bare loop; a step-only cell against torch's LSTM.

    python benchmarks/training.py            everything, into results/training.json
    python benchmarks/training.py speed      only the named parts: speed, halved, overhead, cells, memory

All in bf16 and float32, or in float32 alone if the processor has no bf16 instructions.

* speed: target tokens per second of a minimal loop (workload.train_step), with and without input feeding, alternating;
  the machine's limit (limits.py) is measured before and after each sample.
* halved: the same without input feeding and with half the encoder, which is Eole's version of the model.
* overhead: `s2s.fit` (Lightning, logging, data loading) and the bare loop on the same batches, in turns in one process.
* cells: the LSTM below, which has only a `step`, and torch.nn.LSTM on padded input, forward and backward, alternating.
* memory: peak memory of a training process, each variant in a separate process.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from limits import Limit
from machine import RESULTS, Stopwatch, peak_mebibytes, repeated, save
from products import Architecture
from torch import Tensor, nn
from trained import options
from workload import (
    BATCH,
    PRECISIONS,
    SEED,
    SIZE,
    WORK,
    Batch,
    batches,
    build_model,
    build_optimizer,
    model_config,
    target_tokens,
    train_step,
)

import s2s
from s2s.inference.bundle import build_model as build
from s2s.nn import RecurrentCell, Seq2Seq, unroll
from s2s.training.memory import keep_freed_memory

WARM_UP = 10
STEPS = 30
SAMPLES = 5
VARIANTS = {
    f"{name}, {precision}": (feeding, precision)
    for precision in PRECISIONS
    for name, feeding in (("no feeding", False), ("feeding", True))
}


def speed() -> dict[str, Any]:
    """Samples of each variant; each sample continues with the next batches."""
    given = batches()
    trainers = {}
    for name, (feeding, precision) in VARIANTS.items():
        model = build_model(feeding)
        trainers[name] = (model, build_optimizer(model), precision, Architecture(feeding=feeding))
        for batch in given[:WARM_UP]:
            train_step(model, trainers[name][1], batch, precision=precision)
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    place = WARM_UP

    def sample(name: str) -> dict[str, Any]:
        model, optimizer, precision, architecture = trainers[name]
        chosen = given[place : place + STEPS]
        products = architecture.training_shapes([pair for batch in chosen for pair in pairs(batch)], BATCH)
        limit = Limit(products, precision)
        before = limit.now()
        began = time.perf_counter()
        for batch in chosen:
            train_step(model, optimizer, batch, precision=precision)
        seconds = time.perf_counter() - began
        return {
            "steps": len(chosen),
            "target_tokens": target_tokens(chosen),
            "multiply_adds": sum(amount for _, amount in products),
            "seconds": seconds,
            "limits": [before, limit.now()],
        }

    for _ in range(SAMPLES):
        for name in VARIANTS:
            measured[name] += repeated(lambda name=name: sample(name), 1)
        place += STEPS
    return measured


def halved() -> dict[str, list[dict[str, Any]]]:
    """Speed of a model whose encoder has 256 units per direction."""
    given = batches()
    measured: dict[str, list[dict[str, Any]]] = {}
    for precision in PRECISIONS:
        torch.manual_seed(SEED)
        model = build(model_config(encoder_size=SIZE // 2)).train()
        optimizer = build_optimizer(model)
        for batch in given[:WARM_UP]:
            train_step(model, optimizer, batch, precision=precision)
        rest = iter(given[WARM_UP:])
        sample = partial(timed_steps, model, optimizer, rest, precision)
        measured[f"no feeding, {precision}"] = repeated(sample, SAMPLES)
    return measured


def timed_steps(
    model: Seq2Seq, optimizer: torch.optim.Optimizer, rest: Iterator[Batch], precision: str
) -> dict[str, Any]:
    """The next STEPS batches."""
    chosen = [next(rest) for _ in range(STEPS)]
    began = time.perf_counter()
    for batch in chosen:
        train_step(model, optimizer, batch, precision=precision)
    seconds = time.perf_counter() - began
    return {"steps": len(chosen), "target_tokens": target_tokens(chosen), "seconds": seconds}


def pairs(batch: Batch) -> list[tuple[int, int]]:
    """(source tokens, target tokens with the end) of each pair."""
    return list(zip(batch.source.lengths.tolist(), batch.gold.lengths.tolist(), strict=True))


class Turns(pl.Callback):
    """Times every batch of a Lightning training, and trains a bare loop on the same batches alternately.

    Attributes:
        samples: sums over `group` batches, Lightning's logging interval.
    """

    group = 20

    def __init__(self) -> None:
        self.model = build_model(False)
        self.optimizer = build_optimizer(self.model)
        self.samples: list[dict[str, Any]] = []
        self.turns: list[tuple[Stopwatch, Stopwatch, int]] = []
        self.watch: Stopwatch | None = None

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Batch, index: int) -> None:
        if self.watch is not None:
            self.watch.__exit__()
        with Stopwatch() as bare:
            train_step(self.model, self.optimizer, batch)
        if self.watch is not None and index >= self.group:  # the first group warms both up
            self.turns.append((self.watch, bare, target_tokens([batch])))
        if len(self.turns) == self.group:
            watches, bares, tokens = zip(*self.turns, strict=True)
            both = [*watches, *bares]
            self.samples.append(
                {
                    "lightning_seconds": sum(one.seconds for one in watches),
                    "bare_seconds": sum(one.seconds for one in bares),
                    "target_tokens": sum(tokens),
                    "others": round(
                        sum(one.others * one.seconds for one in both) / sum(one.seconds for one in both), 3
                    ),
                }
            )
            self.turns = []
        self.watch = Stopwatch().__enter__()


def overhead(groups: int = 9) -> list[dict[str, Any]]:
    """Compare without dropout and weight averaging, which the bare loop does not have."""
    turns = Turns()
    given = options(WORK / "overhead", feeding=False)
    given |= {
        "model.embedding.dropout": 0.0,
        "model.embedding.token_dropout": 0.0,
        "model.encoder.dropout": 0.0,
        "model.decoder.dropout": 0.0,
        "model.head.label_smoothing": 0.0,
        "model.average_decay": 0.0,
        "trainer.max_steps": turns.group * groups,
        "trainer.max_epochs": 1,
        "trainer.limit_val_batches": 0,
    }
    s2s.fit("multi30k-en-de", callbacks=[turns], **given)
    return turns.samples


class StepOnlyLSTM(RecurrentCell):
    """An LSTM as a plugin author would write it: the equations of one step, nothing else."""

    state_sizes = (SIZE, SIZE)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, projected_size=4 * hidden_size)
        self.recurrent = nn.Linear(hidden_size, 4 * hidden_size, bias=False)

    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        hidden, memory = state
        input_gate, forget_gate, candidate, output_gate = (x + self.recurrent(hidden)).chunk(4, dim=-1)
        memory = torch.sigmoid(forget_gate) * memory + torch.sigmoid(input_gate) * torch.tanh(candidate)
        hidden = torch.sigmoid(output_gate) * torch.tanh(memory)
        return hidden, (hidden, memory)


def cells(time_steps: int = 16, calls: int = 10) -> dict[str, Any]:
    """Forward and backward over [64, 16, 512] with the lengths of a batch, by `s2s.nn.unroll` and by torch.nn.LSTM."""
    torch.manual_seed(0)
    own, torch_own = StepOnlyLSTM(SIZE, SIZE), nn.LSTM(SIZE, SIZE, batch_first=True)
    x = torch.randn(BATCH, time_steps, SIZE, requires_grad=True)
    lengths = torch.randint(time_steps - 4, time_steps + 1, (BATCH,))
    lengths[0] = time_steps
    gradient = torch.randn(BATCH, time_steps, SIZE)

    def run(step_only: bool, precision: str) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            outputs = unroll(own, x, lengths)[0] if step_only else torch_own(x)[0]
        outputs.backward(gradient.to(outputs.dtype))

    def timed(step_only: bool, precision: str) -> float:
        began = time.perf_counter()
        for _ in range(calls):
            run(step_only, precision)
        return (time.perf_counter() - began) / calls

    measured: dict[str, Any] = {}
    for precision in PRECISIONS:
        began = time.perf_counter()
        run(True, precision)
        first_call = time.perf_counter() - began
        timed(True, precision), timed(False, precision)
        samples = repeated(
            lambda precision=precision: {
                "step_only_seconds": timed(True, precision),
                "fused_seconds": timed(False, precision),
            },
            9,
        )
        measured[precision] = {"first_call_seconds": first_call, "samples": samples}
    return measured


def memory() -> dict[str, float]:
    """MiB of a process that imports everything, of one that loads the model, and of those that train 60 steps."""
    found = {}
    for name in ("nothing", f"no feeding, {PRECISIONS[0]}", f"feeding, {PRECISIONS[0]}"):
        command = [sys.executable, __file__, "child", name]
        found[name] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def child(name: str) -> None:
    """The process that `memory` measures."""
    if name in VARIANTS:
        feeding, precision = VARIANTS[name]
        model = build_model(feeding)
        optimizer = build_optimizer(model)
        for batch in batches()[:60]:
            train_step(model, optimizer, batch, precision=precision)
    print(peak_mebibytes())


PARTS = {"speed": speed, "halved": halved, "overhead": overhead, "cells": cells, "memory": memory}


def main() -> None:
    keep_freed_memory()  # as `s2s fit` does
    if sys.argv[1:2] == ["child"]:
        return child(sys.argv[2])
    path = RESULTS / "training.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    for name in sys.argv[1:] or PARTS:
        measured[name] = PARTS[name]()
    save(
        "training",
        {name: measured[name] for name in PARTS if name in measured},
        ["python", "benchmarks/training.py"],
    )


if __name__ == "__main__":
    main()
