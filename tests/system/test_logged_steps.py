"""What metrics.csv holds of training: a row for every so many optimizer steps, and the learning rate of that step."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import s2s
from tests.system.test_step_mean import options as options


class Rates(Callback):
    """The learning rate of each step, as the optimizer is about to use it."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_before_optimizer_step(
        self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer
    ) -> None:
        self.seen.append(optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize("accumulated", [1, 3])
def test_steps_are_logged_however_many_batches_they_are_of(
    options: dict[str, Any], accumulated: int, tmp_path: Path
) -> None:
    rates = Rates()
    run = {"trainer.max_steps": 12, "trainer.max_epochs": -1, "trainer.logger": True, "model.warmup_steps": 5}
    counted = {"trainer.accumulate_grad_batches": accumulated, "trainer.log_every_n_steps": 4}
    s2s.fit({**options, **run, **counted, "run_folder": str(tmp_path / "run")}, callbacks=rates)
    assert len(set(rates.seen)) == 12
    with open(tmp_path / "run" / "metrics.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["train_loss"]]
    assert [int(row["step"]) for row in rows] == [3, 7, 11]  # counted from 0
    assert [float(row["learning_rate"]) for row in rows] == [rates.seen[step] for step in (3, 7, 11)]
    assert all(float(row["tokens_per_second"]) > 0 for row in rows)
