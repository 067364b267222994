"""Trains on some processes and tells what each of them saw: `python two_processes.py FOLDER` on two."""

import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from s2s.errors import Terminated
from s2s.training.callbacks import BestAndLast
from s2s.training.datamodule import PairData
from s2s.training.loop import stop_and_validate_between_steps
from s2s_plugins.tokenizers.words import Words


class Recorder(pl.LightningModule):
    """Keeps the lines of its batches; ends the first process in the second batch of a training or of a validation."""

    monitor = "val_lines"
    higher_is_better = False

    def __init__(self, end_in: str = "") -> None:
        super().__init__()
        self.end_in = end_in
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int]]] = []
        self.validated: list[int] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch.lines.tolist()))
        self.trainer.datamodule.batch_done()
        if self.end_in == "training" and batch_idx == 1 and self.global_rank == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.weight * 0

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validated += batch.lines.tolist()
        if self.end_in == "validation" and batch_idx == 1 and self.global_rank == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_epoch_end(self) -> None:
        lines = torch.tensor(float(len(self.validated)))
        self.log(self.monitor, lines, sync_dist=True, reduce_fx="sum")  # all ranks wait for each other

    def say(self, text: str) -> None:
        """Nothing."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    folder: Path, devices: int, *, validation: str = "train.tsv", resumed_from: int = 0, end_in: str = ""
) -> dict[str, Any]:
    """Train for two epochs, from the beginning or from the fifth step of a run on so many processes."""
    keep: pl.Callback = ModelCheckpoint(
        folder / f"kept{devices}", every_n_train_steps=5, save_top_k=-1, filename="{step}"
    )
    if end_in:
        keep = BestAndLast(folder / end_in)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        default_root_dir=folder,
        logger=False,
        max_epochs=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[] if resumed_from else [keep],
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
    )
    stop_and_validate_between_steps(trainer)
    data = PairData(
        train=str(folder / "train.tsv"),
        validation=str(folder / validation),
        tokenizer=Words,
        batch_tokens=60,
        cache=str(folder / "cache"),
    )
    model = Recorder(end_in)
    checkpoint = str(folder / f"kept{resumed_from}" / "step=5.ckpt") if resumed_from else None
    status = 0
    try:
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except Terminated as ended:
        status = int(str(ended.code))
    sampler = data.sampler
    lists = [[sampler.batches(e).pairs(i).tolist() for i in range(len(sampler.batches(e)))] for e in (0, 1)]
    seen = [[epoch, lines] for epoch, lines in model.seen]
    return {"seen": seen, "validated": model.validated, "lists": lists, "status": status}


def main(folder: Path) -> None:
    """On two processes, each of which runs this."""
    warnings.simplefilter("ignore")
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    told = {
        "whole": fit(folder, 2),
        "resumed": fit(folder, 2, resumed_from=2),
        "resumed from one": fit(folder, 2, resumed_from=1),
        # fewer batches than processes, which agree nevertheless on what is kept
        "one sentence": fit(folder, 2, validation="one.tsv", end_in="neither"),
        "ended in training": fit(folder, 2, end_in="training"),
        "ended in validation": fit(folder, 2, end_in="validation"),
    }
    rank = os.environ.get("LOCAL_RANK", "0")
    (folder / f"rank{rank}.json").write_text(json.dumps(told))
    torch.distributed.barrier()  # the test reads when the first process ends


if __name__ == "__main__":
    main(Path(sys.argv[1]))
