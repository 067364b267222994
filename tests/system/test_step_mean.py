"""The gradient of a step is that of the mean over all its real tokens: of accumulated batches and of all ranks."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import s2s
from s2s.nn import Seq2Seq
from s2s_plugins.tasks.seq2seq import Seq2SeqModule

PAIRS = [
    ("a b c d e f", "x"),
    ("b", "y z x y z"),
    ("c c", "x x"),
    ("d a", "z z z z y y x"),
    ("e", "y"),
    ("f a b", "x y"),
]


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """A model without dropout, and pairs of very different lengths."""
    (tmp_path / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS))
    return {
        "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
        "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
        "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8}},
        "data.train": str(tmp_path / "pairs.tsv"),
        "data.tokenizer": "Words",
        "data.batch_sentences": 1,
        "data.cache": str(tmp_path / "cache"),
        "trainer.max_steps": 1,
        "trainer.logger": False,
        "trainer.accelerator": "cpu",
    }


@pytest.mark.parametrize(("accumulated", "clip"), [(1, 0.05), (3, 0)])
def test_gradient_of_accumulated_batches(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulated: int, clip: float
) -> None:
    seen: list[Any] = []
    found: dict[str, Any] = {}
    batch_loss = Seq2SeqModule.batch_loss

    def record_batch(self: Seq2SeqModule, batch: Any) -> Any:
        if not seen:
            found["before"] = {name: value.clone() for name, value in self.state_dict().items()}
        seen.append(batch)
        return batch_loss(self, batch)

    def record_gradient(self: Seq2SeqModule, *_: Any, **__: Any) -> None:
        found["gradient"] = {
            name: p.grad.clone() for name, p in self.named_parameters() if p.grad is not None
        }

    monkeypatch.setattr(Seq2SeqModule, "batch_loss", record_batch)
    monkeypatch.setattr(
        Seq2SeqModule, "configure_gradient_clipping", record_gradient
    )  # after the mean is made
    options |= {"trainer.accumulate_grad_batches": accumulated, "trainer.gradient_clip_val": clip}
    module = s2s.fit({**options, "run_folder": str(tmp_path)}).module
    assert len(seen) == accumulated

    module.load_state_dict(found["before"])
    module.zero_grad()
    assert isinstance(module.model, Seq2Seq)
    losses = [module.model.loss(batch.source, batch.inputs, batch.gold.ids) for batch in seen]
    tokens = sum(int(batch.gold.lengths.sum()) for batch in seen)
    (sum(loss.total for loss in losses) / tokens).backward()
    if clip:
        assert torch.nn.utils.clip_grad_norm_(module.parameters(), clip) > clip
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(found["gradient"][name], parameter.grad, rtol=1e-5, atol=1e-7)


def test_two_ranks_are_two_accumulated_batches(options: dict[str, Any], tmp_path: Path) -> None:
    """Two processes with a batch each, and one with both, end at the same weights (to rounding of float32).

    So they do with a decoder whose weights are in a loop over time, and get their gradients when it is gone through:
    ranks exchange gradients as they come. And with weights that are not used at first: ranks wait for each gradient.
    """
    attention = {"class_path": "Coverage", "init_args": {"after_steps": 2}}
    cell = {"cell": "GRU", "hidden_size": 8}
    decoder = {"class_path": "InputFeeding", "init_args": {**cell, "attention": attention}}
    options = {**options, "trainer.max_steps": 3, "model.warmup_steps": 0, "model.decoder": decoder}
    s2s.fit({**options, "run_folder": str(tmp_path / "one"), "trainer.accumulate_grad_batches": 2})
    words = [f"--{key}={value}" for key, value in options.items() if isinstance(value, str | int)]
    words += ["--model.decoder=InputFeeding", "--model.decoder.cell=GRU"]
    words += ["--model.decoder.attention=Coverage", "--model.decoder.attention.after_steps=2"]
    for part, size in (("encoder.hidden_size", 4), ("decoder.hidden_size", 8), ("embedding.size", 8)):
        words.append(f"--model.{part}={size}")
    command = [sys.executable, "-m", "s2s", "fit", *words, "--run_folder", str(tmp_path / "two")]
    ddp = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    done = subprocess.run([*command, *ddp], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    weights = [
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in ("one", "two")
    ]
    for name, value in weights[0].items():
        # AdamW's first steps divide a gradient by its own size: where it is all but zero, rounding decides its sign.
        close = torch.isclose(value.float(), weights[1][name].float(), rtol=1e-4, atol=1e-6)
        assert close.float().mean() > 0.99, name
