"""A short training of a tiny model, for attacks on training."""

import contextlib
import io
import random
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback

import s2s
from s2s.training.cli import Fitted

BATCHES = 8
"""Per epoch: 48 pairs, 6 in each."""


def write_pairs(folder: Path) -> None:
    """A corpus of word sequences and their reverses."""
    chance = random.Random(3)
    lines = []
    for _ in range(6 * BATCHES):
        words = [chance.choice("abcdefgh") * chance.randint(1, 2) for _ in range(chance.randint(1, 9))]
        lines.append(f"{' '.join(words)}\t{' '.join(reversed(words))}\n")
    (folder / "pairs.tsv").write_text("".join(lines), encoding="utf-8")


def train(
    shared: Path, run: Path, callbacks: Sequence[Callback] = (), *, dropout: float = 0.2, **more: Any
) -> Fitted:
    """Train without output.

    Args:
        shared: folder of `write_pairs`, also used for the cache.
        run: folder of the run.
        callbacks: in addition to those of the task.
        dropout: of the embedding and between layers.
        **more: options by dotted keys.
    """
    given = {
        "model.embedding": {"class_path": "Lookup", "init_args": {"size": 8, "dropout": dropout}},
        "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4, "dropout": dropout}},
        "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8, "dropout": dropout}},
        "model.warmup_steps": 3,
        "model.learning_rate": 0.01,
        "data.train": str(shared / "pairs.tsv"),
        "data.tokenizer": "Words",
        "data.batch_sentences": 6,
        "data.cache": str(shared / "cache"),
        "trainer.max_epochs": 2,
        "trainer.logger": False,
        "run_folder": str(run),
        **more,
    }
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return s2s.fit(given, callbacks=callbacks)


def last_checkpoint(run: Path) -> dict[str, Any]:
    """The last checkpoint of a run."""
    loaded: dict[str, Any] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return loaded


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two trees of checkpoint contents are not bitwise equal."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [line for key in one for line in differences(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [
            line
            for place, (a, b) in enumerate(zip(one, other, strict=True))
            for line in differences(a, b, f"{path}/{place}")
        ]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [path]
    return [] if one == other else [path]
