"""The kit of tasks against tasks that are wrong, each in one way: the right check must say so.

Each training takes a third of a second, so that a sound task is put through the kit elsewhere: tests/conformance.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from s2s import registry
from s2s.registry import Catalogue, Entry
from s2s.registry.discovery import discover
from s2s.testing import KITS
from s2s.training.callbacks import BundleWriter, Progress
from s2s.training.task import Task
from s2s_plugins.tasks.seq2seq import Seq2SeqModule, Seq2SeqTask


class UndocumentedModule(Seq2SeqModule):
    """An option that nobody explains."""

    def __init__(self, *, depth: int = 2) -> None:
        super().__init__()


class Undocumented(Seq2SeqTask):
    module = UndocumentedModule


class WithoutAModule(Seq2SeqTask):
    module = None  # type: ignore[assignment]


class PlainModule(Seq2SeqTask):
    module = pl.LightningModule  # type: ignore[assignment]


class PlainData(Seq2SeqTask):
    data = pl.LightningDataModule  # type: ignore[assignment]


class KeepsNoCheckpoints(Seq2SeqTask):
    @classmethod
    def callbacks(cls, folder: Path) -> list[pl.Callback]:
        return [Progress()]


class MisspeltDefault(Seq2SeqTask):
    defaults = {**Task.defaults, "model.lerning_rate": 0.1}


class DefaultIsAnObject(Seq2SeqTask):
    defaults = {**Task.defaults, "model.metric": object()}


class OwnDefaultsAlone(Seq2SeqTask):
    defaults = {"model.learning_rate": 0.1}


class OptionsAreMissing(Seq2SeqTask):
    @classmethod
    def sample_options(cls, folder: Path) -> dict[str, Any]:
        return {"data.tokenizer": "Words"}


class FailingModule(Seq2SeqModule):
    def batch_loss(self, batch: Any) -> Any:
        raise ZeroDivisionError("nothing to divide by")


class Failing(Seq2SeqTask):
    module = FailingModule


class StoppingModule(Seq2SeqModule):
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.trainer.should_stop = True


class Stopping(Seq2SeqTask):
    module = StoppingModule
    defaults = {**Task.defaults, "trainer.min_epochs": 0}


class IdleModule(Seq2SeqModule):
    def batch_loss(self, batch: Any) -> Any:
        loss = super().batch_loss(batch)
        return loss._replace(total=loss.total * 0)


class Idle(Seq2SeqTask):
    module = IdleModule


class DivergingModule(Seq2SeqModule):
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        next(self.parameters()).data.fill_(torch.nan)


class Diverging(Seq2SeqTask):
    module = DivergingModule


class CheckpointsElsewhere(Seq2SeqTask):
    @classmethod
    def callbacks(cls, folder: Path) -> list[pl.Callback]:
        return [ModelCheckpoint(folder / "elsewhere", save_last=True)]


class MeanOverSentencesModule(Seq2SeqModule):
    def batch_loss(self, batch: Any) -> Any:
        loss = super().batch_loss(batch)
        return loss._replace(total=loss.total / len(batch.lines))


class MeanOverSentences(Seq2SeqTask):
    module = MeanOverSentencesModule


class CountsPaddingModule(Seq2SeqModule):
    def batch_loss(self, batch: Any) -> Any:
        return super().batch_loss(batch)._replace(tokens=torch.tensor(batch.gold.ids.numel()))


class CountsPadding(Seq2SeqTask):
    module = CountsPaddingModule


class MeanInTheStepModule(Seq2SeqModule):
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.batch_loss(batch)
        return super().training_step(batch, batch_idx) / loss.tokens


class MeanInTheStep(Seq2SeqTask):
    module = MeanInTheStepModule


class DrawsElsewhereModule(Seq2SeqModule):
    def batch_loss(self, batch: Any) -> Any:
        loss = super().batch_loss(batch)
        return loss._replace(total=loss.total * (1 + random.SystemRandom().random()))


class DrawsElsewhere(Seq2SeqTask):
    module = DrawsElsewhereModule


class ForgetsModule(Seq2SeqModule):
    batches = 0

    def batch_loss(self, batch: Any) -> Any:
        self.batches += 1
        loss = super().batch_loss(batch)
        return loss._replace(total=loss.total * self.batches)


class Forgets(Seq2SeqTask):
    module = ForgetsModule


class MonitorsNothingModule(Seq2SeqModule):
    def on_validation_epoch_end(self) -> None:
        self.validated({"val_loss": 1.0}, [])


class MonitorsNothing(Seq2SeqTask):
    module = MonitorsNothingModule


class KeepsTheLastAlone(Seq2SeqTask):
    @classmethod
    def callbacks(cls, folder: Path) -> list[pl.Callback]:
        return [ModelCheckpoint(folder / "checkpoints", save_last=True, save_top_k=0)]


class ShipsNothingModule(Seq2SeqModule):
    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        pass


class ShipsNothing(Seq2SeqTask):
    module = ShipsNothingModule


class ShipsRubbishModule(Seq2SeqModule):
    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{")


class ShipsRubbish(Seq2SeqTask):
    module = ShipsRubbishModule


class ShipsOthersModule(Seq2SeqModule):
    def save_bundle(self, folder: Path, *, epoch: int, step: int) -> None:
        kept = {name: value.clone() for name, value in self.state_dict().items()}
        next(self.parameters()).data.mul_(1.01)
        super().save_bundle(folder, epoch=epoch, step=step)
        self.load_state_dict(kept)


class ShipsOthers(Seq2SeqTask):
    module = ShipsOthersModule


class ShipsNoBundle(Seq2SeqTask):
    """Which is allowed."""

    @classmethod
    def callbacks(cls, folder: Path) -> list[pl.Callback]:
        return [one for one in super().callbacks(folder) if not isinstance(one, BundleWriter)]


WRONG: list[tuple[type[Seq2SeqTask], str, str]] = [
    (
        Undocumented,
        "constructor",
        "UndocumentedModule does not tell of 'depth'; expected a line in its Args section",
    ),
    (WithoutAModule, "constructor", "module of WithoutAModule is None; expected a class"),
    (PlainModule, "protocol", "module of PlainModule is LightningModule; expected a TaskModule"),
    (PlainData, "protocol", "has no batches_per_epoch, batch_done, seed, batch_sentences; expected methods"),
    (
        KeepsNoCheckpoints,
        "protocol",
        r"callbacks \['Progress'\]; expected .* one that writes checkpoints among them",
    ),
    (
        MisspeltDefault,
        "defaults",
        "a default for 'model.lerning_rate'; expected an option of module, data or",
    ),
    (
        DefaultIsAnObject,
        "defaults",
        "the default <object .*'model.metric'; expected what a configuration can hold",
    ),
    (OwnDefaultsAlone, "defaults", r"no default for trainer.gradient_clip_val, .*\{\*\*Task.defaults"),
    (
        OptionsAreMissing,
        "training",
        "cannot be trained: data.train is not set.*; expected .*sample_options",
    ),
    (
        Failing,
        "training",
        r"in training: ZeroDivisionError: nothing to divide by \(\S+test_tasks.py, line \d+: raise .*\); "
        "expected no error",
    ),
    (Stopping, "training", "1 steps of training; expected 2"),
    (Idle, "training", "the same weights after two steps; expected other ones"),
    (Diverging, "training", "weights that are not finite after two steps; expected numbers"),
    (CheckpointsElsewhere, "training", "no checkpoints/last.ckpt in the run's folder; expected one"),
    (
        MeanOverSentences,
        "loss",
        "total .* of all sentences in one batch, .* one by one; expected the same sum",
    ),
    (
        CountsPadding,
        "loss",
        r"\d+ tokens in a batch of all sentences, 52 one by one; expected the same number",
    ),
    (
        MeanInTheStep,
        "gradient",
        "the gradient of .* after two accumulated batches.*Return sums from batch_loss",
    ),
    (DrawsElsewhere, "repeatable", "another .* of a second run; expected the same bits"),
    (Forgets, "resuming", "another .* of a resumed run; expected the same bits. Put into state_dict"),
    (
        MonitorsNothing,
        "validation",
        "val_BLEU None after a validation, which gave .*val_loss; expected a number",
    ),
    (KeepsTheLastAlone, "validation", r"the best score None where val_BLEU is [\d.]+; expected that value"),
    (ShipsNothing, "bundle", "no bundle, though BundleWriter is among callbacks; expected a folder"),
    (ShipsRubbish, "bundle", "from the bundle: BundleError: .*; expected answers"),
    (ShipsOthers, "bundle", "another .* in the bundle; expected the same bits. Save self.model as it is"),
]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All of them are in the catalogue, as if a plugin had brought them."""
    tasks = [task for task, _, _ in WRONG] + [ShipsNoBundle]
    entries = {Entry("task", one.__name__, f"{__name__}:{one.__name__}", "made-up", "1") for one in tasks}
    monkeypatch.setattr(registry, "_catalogue", Catalogue([*discover().entries(), *entries]))
    yield


@pytest.mark.parametrize(
    ("task", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_task_fails(task: type[Seq2SeqTask], check: str, message: str) -> None:
    (run,) = (one for one in KITS["task"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(task)


def test_a_task_need_not_ship_a_bundle() -> None:
    (run,) = (one for one in KITS["task"] if one.name == "bundle")
    run(ShipsNoBundle)


def test_every_check_has_a_task_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["task"]}
