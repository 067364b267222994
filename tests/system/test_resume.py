"""A resumed run is the run: the next batch, the same weights, patience and best score, bit for bit."""

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

import s2s
from s2s_plugins.tasks.seq2seq import Seq2SeqTask

BATCHES = 10
"""Batches of an epoch: 150 pairs, 16 at most in each."""


class Recorder(Checkpoint):
    """Keeps what each batch was and the weights after it; writes a checkpoint after some of them.

    A `Checkpoint`, so that it is called where the real ones are called: after all others.
    """

    def __init__(self, folder: Path, save_after: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self.save_after = save_after
        self.batches: dict[int, list[int]] = {}
        self.weights: dict[int, torch.Tensor] = {}
        self.average: dict[str, torch.Tensor] = {}
        self.scores: list[float] = []

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        self.batches[step] = batch.lines.tolist()
        self.weights[step] = torch.cat([p.detach().flatten() for p in pl_module.parameters()]).clone()
        if step in self.save_after:
            trainer.save_checkpoint(self.folder / f"step-{step}.ckpt", weights_only=False)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.scores.append(float(trainer.callback_metrics["val_loss"]))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.average = {name: value.clone() for name, value in pl_module.state_dict().items()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of a word sequence and its reverse."""
    chance = random.Random(5)
    folder = tmp_path_factory.mktemp("corpus")
    for split, size in (("train", 150), ("validation", 12)):
        lines = []
        for _ in range(size):
            words = [chance.choice("abcdefgh") * chance.randint(1, 2) for _ in range(chance.randint(1, 9))]
            lines.append(f"{' '.join(words)}\t{' '.join(reversed(words))}\n")
        (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


def train(corpus: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Recorder:
    real = Seq2SeqTask.callbacks

    def callbacks(folder: Path) -> list[pl.Callback]:
        return [*real(folder), recorder]

    with monkeypatch.context() as patch:
        patch.setattr(Seq2SeqTask, "callbacks", callbacks)
        s2s.fit(
            {
                "model.embedding": {"class_path": "Lookup", "init_args": {"size": 12, "dropout": 0.2}},
                "model.encoder": {
                    "class_path": "Recurrent",
                    "init_args": {"hidden_size": 6, "dropout": 0.3, "layers": 2},
                },
                "model.decoder": {
                    "class_path": "InputFeeding",
                    "init_args": {"cell": "GRU", "hidden_size": 12, "dropout": 0.3, "variational": True},
                },
                "model.warmup_steps": 3,
                "model.average_decay": 0.9,
                "model.patience": 50,
                "data.train": str(corpus / "train.tsv"),
                "data.validation": str(corpus / "validation.tsv"),
                "data.tokenizer": {
                    "class_path": "SentencePiece",
                    "init_args": {"vocabulary_size": 30, "byte_fallback": False, "sampling_alpha": 0.2},
                },
                "data.batch_sentences": 16,
                "data.cache": str(corpus / "cache"),
                "trainer.max_epochs": 3,
                "trainer.logger": False,
                "run_folder": str(recorder.folder),
                **more,
            }
        )
    return recorder


@pytest.mark.parametrize(
    ("workers", "schedule"),
    [(0, "cosine"), (2, "plateau")],
    ids=["no workers, cosine", "two workers, plateau"],
)
def test_a_resumed_run_is_the_run(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, schedule: str
) -> None:
    options = {"data.num_workers": workers, "model.schedule": schedule}
    stops = (
        4,
        BATCHES,
        BATCHES + 7,
    )  # inside the first epoch, at its end (before validation), inside the second
    whole = train(corpus, Recorder(tmp_path, stops), monkeypatch, **options)
    last = max(whole.weights)
    assert last >= 3 * BATCHES - 3 and len(whole.scores) == 3
    for stop in stops:
        rest = train(
            corpus,
            Recorder(tmp_path / "resumed"),
            monkeypatch,
            ckpt_path=str(tmp_path / f"step-{stop}.ckpt"),
            **options,
        )
        assert min(rest.batches) == stop + 1, "the very next batch"
        for step in range(stop + 1, last + 1):
            assert rest.batches[step] == whole.batches[step]
            assert torch.equal(rest.weights[step], whole.weights[step]), (
                f"weights after step {step}, resumed after {stop}"
            )
        assert max(rest.batches) == last
        for name, value in whole.average.items():
            assert torch.equal(rest.average[name], value), f"averaged {name}"
        assert rest.scores == whole.scores[-len(rest.scores) :]


def test_other_data_are_refused(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(corpus, Recorder(tmp_path, (4,)), monkeypatch, **{"trainer.max_steps": 4})
    with pytest.raises(s2s.DataError, match="other training data"):
        train(
            corpus,
            Recorder(tmp_path / "resumed"),
            monkeypatch,
            ckpt_path=str(tmp_path / "step-4.ckpt"),
            **{"data.batch_sentences": 8},
        )


@pytest.mark.parametrize(
    ("name", "value", "before"),
    [
        ("trainer.precision", "bf16-mixed", "32-true"),
        ("model.average_decay", 0.5, "0.9"),
        ("trainer.accumulate_grad_batches", 2, "1"),
    ],
)
def test_another_way_of_computing_is_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, before: str
) -> None:
    train(corpus, Recorder(tmp_path, (4,)), monkeypatch, **{"trainer.max_steps": 4})
    with pytest.raises(s2s.ConfigError, match=f"{name} is {value}.* begun with {before}.* --{name} {before}"):
        train(
            corpus,
            Recorder(tmp_path / "resumed"),
            monkeypatch,
            ckpt_path=str(tmp_path / "step-4.ckpt"),
            **{name: value},
        )


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_resume_from_the_run_s_own_checkpoints(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Those are written after a validation, which the plateau schedule has seen by then; steps are accumulated."""
    options = {
        "model.schedule": "plateau",
        "model.plateau_patience": 1,
        "model.learning_rate": 0.05,
        "trainer.accumulate_grad_batches": 3,
        "trainer.max_epochs": 4,
    }
    whole = train(corpus, Recorder(tmp_path), monkeypatch, **options)
    part = train(corpus, Recorder(tmp_path / "part"), monkeypatch, **{**options, "trainer.max_epochs": 2})
    checkpoint = tmp_path / "part" / "checkpoints" / f"{which}.ckpt"
    step = torch.load(checkpoint, weights_only=True)["global_step"]
    if which == "last":
        assert step == max(part.weights)
    rest = train(corpus, Recorder(tmp_path / "rest"), monkeypatch, ckpt_path=str(checkpoint), **options)
    assert rest.weights and min(rest.weights) == step + 1 or step + 1 in rest.weights
    for later, weights in rest.weights.items():
        if later > step:
            assert torch.equal(weights, whole.weights[later]), f"weights after step {later}"
    assert max(rest.weights) == max(whole.weights)


class CtrlC(Recorder):
    """Presses Ctrl-C, and remembers when: in the middle of a batch, or of a validation."""

    def __init__(self, folder: Path, before_batch: int = -1, in_validation: int = -1) -> None:
        super().__init__(folder)
        self.before_batch = before_batch
        self.in_validation = in_validation

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.fit_loop.total_batch_idx == self.before_batch:
            os.kill(os.getpid(), signal.SIGINT)

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if len(self.scores) == self.in_validation:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("pressed", "options", "saved"),
    [
        ({"before_batch": 12}, {}, "epoch 2, step 13"),
        ({"before_batch": 12}, {"data.num_workers": 2}, "epoch 2, step 13"),
        ({"before_batch": 13}, {"trainer.accumulate_grad_batches": 3}, "epoch 2, step 6"),
        ({"in_validation": 1}, {}, "epoch 2, step 20"),
        ({"in_validation": 1}, {"trainer.val_check_interval": 4}, "epoch 1, step 8"),
    ],
    ids=["batch", "batch with workers", "accumulated step", "validation", "validation inside an epoch"],
)
def test_ctrl_c_loses_nothing(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pressed: dict[str, int],
    options: dict[str, Any],
    saved: str,
) -> None:
    whole = train(corpus, Recorder(tmp_path / "whole"), monkeypatch, **options)
    capsys.readouterr()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(corpus, CtrlC(tmp_path / "part", **pressed), monkeypatch, **options)
    assert f"stopped; saved at {saved}" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is handler
    rest = train(corpus, Recorder(tmp_path / "part"), monkeypatch, ckpt_path="last", **options)
    assert f"going on from {saved}" in capsys.readouterr().err
    step = int(saved.rpartition(" ")[2])
    assert min(later for later in rest.weights if later > step) == step + 1
    for later, weights in rest.weights.items():
        if later > step:
            assert torch.equal(weights, whole.weights[later]), f"weights after step {later}"
    for name, value in whole.average.items():
        assert torch.equal(rest.average[name], value), f"averaged {name}"


def test_a_finished_run_says_so(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(corpus, Recorder(tmp_path), monkeypatch, **{"trainer.max_epochs": 2})
    assert "bundle: " in capsys.readouterr().out
    train(corpus, Recorder(tmp_path), monkeypatch, ckpt_path="last", **{"trainer.max_epochs": 2})
    assert "already at epoch 2 of 2; raise --trainer.max_epochs" in capsys.readouterr().err
