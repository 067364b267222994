"""Two processes share an epoch: together they see all of it, and both go on where they stopped."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, os, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
os.environ["GLOO_SOCKET_IFNAME"] = "lo"

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from s2s.training.datamodule import PairData
from s2s_plugins.tokenizers.words import Words

folder = Path(sys.argv[1])


class Recorder(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.validated = [], []

    def training_step(self, batch, batch_idx):
        self.seen.append([self.current_epoch, batch.lines.tolist()])
        self.trainer.datamodule.batch_done()
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        self.validated += batch.lines.tolist()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(validation="train.tsv", **options):
    keep = ModelCheckpoint(folder / "kept", every_n_train_steps=5, save_top_k=-1, filename="{step}")
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", default_root_dir=folder, logger=False, max_epochs=2,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[keep], num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1, use_distributed_sampler=False,
    )
    data = PairData(
        train=str(folder / "train.tsv"), validation=str(folder / validation),
        tokenizer=Words, batch_tokens=60, cache=str(folder / "cache")
    )
    model = Recorder()
    trainer.fit(model, datamodule=data, **options)
    sampler = data.sampler
    lists = [[sampler.batches(e).pairs(i).tolist() for i in range(len(sampler.batches(e)))] for e in (0, 1)]
    return {"seen": model.seen, "validated": model.validated, "lists": lists}


told = {"whole": fit(), "resumed": fit(ckpt_path=str(folder / "kept" / "step=5.ckpt"), weights_only=True)}
told["one sentence"] = fit("one.tsv")  # fewer batches than processes
rank = os.environ.get("LOCAL_RANK", "0")
(folder / f"rank{rank}.json").write_text(json.dumps(told))
torch.distributed.barrier()  # the test reads when the first process ends
"""


def run(folder: Path) -> list[dict]:
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes(tmp_path: Path) -> None:
    words = ["a", "b", "c", "d", "e", "f", "g", "h"]
    lines = [f"{' '.join(words[: 1 + i % 8])}\t{' '.join(words[: 1 + i % 5])}\n" for i in range(75)]
    (tmp_path / "train.tsv").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "one.tsv").write_text("a b\tc\n", encoding="utf-8")
    told = run(tmp_path)
    ranks = [rank["whole"] for rank in told]
    assert ranks[0]["lists"] == ranks[1]["lists"]
    for epoch, batches in enumerate(ranks[0]["lists"]):
        own = [[lines for e, lines in rank["seen"] if e == epoch] for rank in ranks]
        assert len(own[0]) == len(own[1])
        together = [batch for pair in zip(*own, strict=True) for batch in pair]
        assert together[: len(batches)] == batches
        assert together[len(batches) :] == batches[: len(together) - len(batches)]
    # each line is validated once, by one of the two, after each epoch
    assert sorted(ranks[0]["validated"] + ranks[1]["validated"]) == sorted([*range(75)] * 2)

    assert [rank["one sentence"]["validated"] for rank in told] == [[0, 0], []]

    for rank in (0, 1):
        assert told[rank]["resumed"]["seen"] == ranks[rank]["seen"][5:]
