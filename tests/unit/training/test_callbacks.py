"""What accompanies a training, each part by itself."""

import errno
import math
import signal
import zipfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn

from s2s.errors import BundleError, ConfigError, Terminated
from s2s.evaluation.metric import Score
from s2s.training.callbacks import (
    DUE_STEPS,
    AverageWeights,
    BestAndLast,
    BundleWriter,
    DeferredSignals,
    Progress,
    StopEarly,
)
from s2s.training.datamodule import Example
from s2s.training.pace import Learnt, Measured
from s2s.training.task import TaskModule, _size
from s2s_plugins.cells.lstm import LSTM


class Line(pl.LightningModule):
    """One weight and a count."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("seen", torch.tensor(0))


@pytest.mark.parametrize("decay", [0.5, 0.998])
def test_the_average_forgets_its_first_weights_soon(decay: float) -> None:
    """Against the recurrence of TensorFlow's ExponentialMovingAverage, which begins with the first step's weights."""
    module, callback = Line(), AverageWeights(decay)
    callback.setup(None, module, "fit")
    values = np.random.default_rng(3).normal(size=(40, 2))
    expected = values[0]
    for step, value in enumerate(values):
        if step:
            kept = min(decay, (1 + step) / (10 + step))
            expected = kept * expected + (1 - kept) * value
        with torch.no_grad():
            module.weight.copy_(torch.tensor(value))
            module.seen.fill_(step)
        callback.on_train_batch_end(SimpleNamespace(global_step=step + 1), module, None, None, step)
    assert callback._average_model is not None
    average = callback._average_model.module
    # 40 roundings to float32 of numbers near 1
    np.testing.assert_allclose(average.weight.detach().numpy(), expected, atol=1e-5)
    assert int(average.seen) == 39


def test_ctrl_c_is_held_back_once(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupt = DeferredSignals()
    interrupt.hold()
    signal.raise_signal(signal.SIGINT)
    assert interrupt.asked == signal.SIGINT
    assert "Ctrl-C now stops at once" in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("hangups_are_heard")
def test_a_signal_of_a_terminal_that_is_gone_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.write", gone)
    signals = DeferredSignals()
    signals.hold()
    try:
        signal.raise_signal(signal.SIGHUP)
        assert signals.asked == signal.SIGHUP
    finally:
        signals.release()


@pytest.mark.usefixtures("hangups_are_heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_signals_of_a_cluster_are_held_back_however_many_come(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    signals = DeferredSignals()
    signals.hold()
    try:
        for again in (number, number, signal.SIGTERM):
            signal.raise_signal(again)
        assert signals.asked == number
        told = capfd.readouterr().err
        assert told.startswith(f"\n{number.name}: stopping after this batch") and told.count("\n") == 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signals.release()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_ctrl_c_did_before_is_put_back(before: signal.Handlers) -> None:
    pythons = signal.signal(signal.SIGINT, before)
    try:
        interrupt = DeferredSignals()
        interrupt.hold()
        ignored = before is signal.SIG_IGN  # then it stays without effect: a process in the background
        assert (signal.getsignal(signal.SIGINT) is signal.SIG_IGN) == ignored
        interrupt.release()
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, pythons)


def module_of(
    warmup_steps: int, batches: int, *, max_epochs: int = -1, max_steps: int = -1, accumulated: int = 1
) -> Any:
    module = TaskModule(
        learning_rate=0.1,
        weight_decay=0.0,
        adam_betas=(0.9, 0.99),
        warmup_steps=warmup_steps,
        schedule="constant",
        plateau_patience=1,
        patience=None,
        monitor="val_loss",
        higher_is_better=False,
        average_decay=0.0,
    )
    trainer: Any = SimpleNamespace(
        max_epochs=max_epochs,
        max_steps=max_steps,
        limit_train_batches=1.0,
        accumulate_grad_batches=accumulated,
        datamodule=SimpleNamespace(batches_per_epoch=lambda: batches),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    module._trainer = trainer
    return module


def test_a_warmup_longer_than_training_is_told() -> None:
    told = module_of(500, 3, max_epochs=30).long_warmup()
    assert told is not None
    assert "model.warmup_steps is 500" in told and "only 90 steps, 3 per epoch x 30 epochs" in told
    assert "--model.warmup_steps 9;" in told and "--data.batch_sentences" in told
    of_steps = module_of(40, 3, max_steps=45).long_warmup()
    assert of_steps is not None and "the whole training has only 45 steps, so most of it" in of_steps
    assert module_of(46, 3, max_epochs=30).long_warmup() is not None, "more than half"
    assert module_of(45, 3, max_epochs=30).long_warmup() is None
    assert module_of(45, 6, max_epochs=30, accumulated=2).long_warmup() is None
    assert module_of(500, 3).long_warmup() is None, "nobody knows how long"


class Able(TaskModule):
    """One that can start from a bundle."""

    def __init__(self, *, start_from: str | None = None) -> None: ...


def test_a_task_without_fine_tuning_recommends_none() -> None:
    module = module_of(1, 3)
    module.trainer.state = SimpleNamespace(fn=TrainerFn.FITTING)
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    other = {**checkpoint, "choices": {**module._choices(), "model.average_decay": 0.5}}
    with pytest.raises(
        ConfigError, match="set --model.average_decay 0.5, or start a new run: --run_folder ANOTHER$"
    ):
        module.on_load_checkpoint(other)
    module.__class__ = Able
    with pytest.raises(ConfigError, match="or start a new run from the bundle: --model.start_from BUNDLE$"):
        module.on_load_checkpoint(other)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [((3, 7), "21 parameters"), ((1,), "1 parameter"), ((313, 320), "0.1 million parameters")],
)
def test_the_size_of_a_model_is_told(sizes: tuple[int, ...], said: str) -> None:
    assert _size(math.prod(sizes)) == said


def test_the_bundle_is_told_with_the_digits_of_its_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = [Score(94.664, "", "accuracy", 7), Score(1.72349, "", "MASE", 7, decimals=3)]
    module: Any = SimpleNamespace(scores=scores, save_bundle=lambda folder, **of: None)
    trainer: Any = SimpleNamespace(fast_dev_run=False, is_global_zero=True, current_epoch=2, global_step=7)
    BundleWriter(tmp_path / "bundle", BestAndLast(tmp_path)).on_fit_end(trainer, module)
    assert capsys.readouterr().out == f"bundle: {tmp_path / 'bundle'} (epoch 2, accuracy 94.66, MASE 1.723)\n"


def test_the_checkpoint_that_is_shipped_is_read_with_care(tmp_path: Path) -> None:
    """As `s2s convert` reads it, mapped: it may be large, damaged or of another run."""
    module: Any = Line()
    module.load_scores = lambda checkpoint: setattr(module, "scores", checkpoint["scores"])
    shipped: dict[str, int] = {}
    module.save_bundle = lambda folder, **of: shipped.update(of)
    trainer: Any = SimpleNamespace(fast_dev_run=False, is_global_zero=True)
    checkpoints = BestAndLast(tmp_path / "run" / "checkpoints")
    writer = BundleWriter(tmp_path / "bundle", checkpoints)
    checkpoints.best.parent.mkdir(parents=True)
    good = {"state_dict": module.state_dict(), "epoch": 1, "global_step": 7, "scores": []}
    torch.save(good, checkpoints.best)
    writer.on_fit_end(trainer, module)
    assert shipped == {"epoch": 2, "step": 7}
    no_epoch = {name: value for name, value in good.items() if name != "epoch"}
    no_scores = {name: value for name, value in good.items() if name != "scores"}
    for spoilt, message in (
        (no_epoch, "best.ckpt is no checkpoint of `s2s fit`: it has no weights, epoch and step"),
        (no_scores, "no bundle is written: .*best.ckpt does not fit this run: 'scores'; use another"),
        (
            {**good, "state_dict": {}},
            "best.ckpt does not fit this run: .*Missing key.*; use another checkpoint: ",
        ),
    ):
        torch.save(spoilt, checkpoints.best)
        with pytest.raises(BundleError, match=message):
            writer.on_fit_end(trainer, module)
    torch.save({**good, "zeros": torch.zeros(10**6)}, checkpoints.best)
    with zipfile.ZipFile(checkpoints.best) as old:
        records = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(checkpoints.best, "w", zipfile.ZIP_DEFLATED) as new:
        for name, record in records.items():
            new.writestr(name, record)
    with pytest.raises(BundleError, match="best.ckpt is damaged.* in it is packed, which torch never does"):
        writer.on_fit_end(trainer, module)


def test_progress_says_what_is_counted() -> None:
    measured = Measured(0.5, 1234.0, 1.0, 0.0)
    for unit, likelihood, expected in (
        ("tokens", True, "loss 0.500, perplexity 1.6, 1,234 tokens/s"),
        ("texts", False, "loss 0.500, 1,234 texts/s"),
    ):
        module = SimpleNamespace(pace=SimpleNamespace(latest=measured), unit=unit, likelihood=likelihood)
        assert Progress._figures(module) == expected


def test_a_checkpoint_of_another_version_of_a_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of(1, 3)
    module.__class__ = Able
    module.model = LSTM(3, 4)
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["versions"] == {"cell LSTM": 1}
    module.trainer.state = SimpleNamespace(fn=TrainerFn.TESTING)
    module.on_load_checkpoint(checkpoint)
    monkeypatch.setattr(LSTM, "version", 2, raising=False)
    with pytest.raises(
        ConfigError,
        match="with version 1 of cell LSTM, but the installed version is 2.*model.start_from BUNDLE",
    ):
        module.on_load_checkpoint(checkpoint)
    module.on_load_checkpoint({**checkpoint, "versions": {}})  # one that was written when they were not noted


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([3.0, 2.0, 2.5, 2.5], ["stopped: val_loss did not improve in 2 validations (model.patience)"]),
        ([3.0, math.nan], ["stopped: val_loss is nan"]),
        ([3.0, 2.0, 1.0, 0.5], []),
    ],
)
def test_early_stopping_is_told(losses: list[float], said: list[str]) -> None:
    callback = StopEarly("val_loss", 2, higher_is_better=False)
    heard: list[str] = []
    trainer: Any = SimpleNamespace(
        should_stop=False,
        fast_dev_run=False,
        sanity_checking=False,
        state=SimpleNamespace(fn="fit"),
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
        current_epoch=0,
    )
    for loss in losses:
        trainer.callback_metrics = {"val_loss": torch.tensor(loss)}
        callback.on_validation_end(trainer, SimpleNamespace(say=heard.append))
    assert heard == said


@pytest.mark.parametrize("asked", [0, signal.SIGINT, signal.SIGTERM])
def test_several_ranks_stop_together(tmp_path: Path, asked: int) -> None:
    """At the first step at which they ask the first rank, whatever they have heard themselves."""
    broadcast: list[Any] = []

    def from_the_first(mine: Any) -> Any:
        broadcast.append(mine)
        return (asked if len(broadcast) > 1 else 0, False, trainer.global_step + 7)

    saved: list[int] = []
    trainer: Any = SimpleNamespace(
        world_size=2,
        fast_dev_run=False,
        is_last_batch=False,
        should_stop=False,
        accumulate_grad_batches=1,
        max_steps=-1,
        current_epoch=0,
        fit_loop=SimpleNamespace(validation_follows=False),
        strategy=SimpleNamespace(broadcast=from_the_first),
        save_checkpoint=lambda path, **_: saved.append(trainer.global_step),
    )
    checkpoints, module = BestAndLast(tmp_path), SimpleNamespace(say=lambda text: None)
    checkpoints.setup(trainer, module, "fit")
    checkpoints.on_fit_start(trainer, module)
    try:
        if not asked:
            signal.raise_signal(signal.SIGUSR1)  # heard by this rank, but not by the first
        for step in range(1, 8):
            trainer.global_step = step
            checkpoints.on_train_batch_end(trainer, module, None, None, step - 1)
        assert len(broadcast) == 1 and not saved
        trainer.global_step = 8
        stops = {0: nullcontext(), signal.SIGINT: pytest.raises(KeyboardInterrupt)}
        with stops.get(asked, pytest.raises(Terminated)):
            checkpoints.on_train_batch_end(trainer, module, None, None, 7)
        heard, due, following = broadcast[1]
        assert (heard, due) == (0 if asked else signal.SIGUSR1, False) and saved == [8] * bool(asked)
        assert 8 < following <= 8 + DUE_STEPS
    finally:
        checkpoints.teardown(trainer, module, "fit")


@pytest.mark.parametrize(("step_seconds", "steps"), [(3.0, 1), (0.25, 4), (0.001, DUE_STEPS)])
def test_ranks_ask_each_other_once_in_a_second_or_in_some_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_seconds: float, steps: int
) -> None:
    now = 0.0
    monkeypatch.setattr("s2s.training.callbacks.time.monotonic", lambda: now)
    asked_at: list[int] = []

    def broadcast(mine: Any) -> Any:
        asked_at.append(trainer.global_step)
        return mine

    trainer: Any = SimpleNamespace(
        world_size=2,
        is_last_batch=False,
        should_stop=False,
        accumulate_grad_batches=1,
        max_steps=-1,
        fit_loop=SimpleNamespace(validation_follows=False),
        strategy=SimpleNamespace(broadcast=broadcast),
    )
    checkpoints = BestAndLast(tmp_path)
    for step in range(1, 101):
        trainer.global_step, now = step, step * step_seconds
        checkpoints.on_train_batch_end(trainer, None, None, None, step - 1)
    gaps = [after - before for before, after in zip(asked_at[1:], asked_at[2:], strict=False)]
    assert gaps and set(gaps) == {steps}


def test_a_validation_is_left_after_its_batch_by_all_ranks_at_once(tmp_path: Path) -> None:
    """Each has the batches that all have; the step is saved, so that nothing is waited for."""
    trainer: Any = SimpleNamespace(
        world_size=2,
        fast_dev_run=False,
        current_epoch=0,
        global_step=5,
        num_val_batches=[3],
        strategy=SimpleNamespace(
            root_device=torch.device("cpu"),
            reduce=lambda mine, reduce_op: torch.tensor(2) if reduce_op == "min" else mine,
            broadcast=lambda mine: broadcast.append(mine) or signal.SIGTERM,
        ),
        save_checkpoint=lambda path, **_: None,
    )
    broadcast: list[int] = []
    said: list[str] = []
    checkpoints, module = BestAndLast(tmp_path), SimpleNamespace(say=said.append)
    checkpoints.on_validation_start(trainer, module)
    checkpoints.on_validation_batch_end(trainer, module, None, None, 0)
    assert not broadcast, "what is validated is in no checkpoint"
    checkpoints.save_last(trainer)
    checkpoints.on_validation_batch_end(trainer, module, None, None, 2)
    assert not broadcast, "another rank has no third batch"
    with pytest.raises(Terminated) as ended:
        checkpoints.on_validation_batch_end(trainer, module, None, None, 1)
    assert broadcast == [0] and ended.value.code == 143
    assert said == ["stopped; saved at epoch 1, step 5"]


@pytest.mark.parametrize(("patience", "stops"), [(2, True), (3, False)])
def test_a_run_that_had_stopped_stays_so_unless_it_has_more_patience(patience: int, stops: bool) -> None:
    def trainer(loss: float = 0.0) -> Any:
        return SimpleNamespace(
            state=SimpleNamespace(fn=TrainerFn.FITTING),
            should_stop=False,
            fast_dev_run=False,
            sanity_checking=False,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision),
            current_epoch=0,
            callback_metrics={"val_loss": torch.tensor(loss)},
        )

    said: list[str] = []
    module: Any = SimpleNamespace(say=said.append)
    before = StopEarly("val_loss", 2, higher_is_better=False)
    for loss in (1.0, 2.0, 3.0):
        before.on_validation_end(at_end := trainer(loss), module)
    assert at_end.should_stop and len(said) == 1
    after = StopEarly("val_loss", patience, higher_is_better=False)
    after.load_state_dict(before.state_dict())
    after.on_fit_start(going_on := trainer(), module)
    assert going_on.should_stop == stops
    assert said[1:] == said[:1] * stops
    after.on_validation_end(later := trainer(4.0), module)
    assert later.should_stop or stops


def test_a_best_score_without_its_checkpoint_is_forgotten(tmp_path: Path) -> None:
    trainer: Any = SimpleNamespace(world_size=2, fast_dev_run=False)
    for there, deleted, expected in ((True, False, 0.5), (True, True, None), (False, False, None)):
        checkpoints = BestAndLast(tmp_path)
        if there:
            checkpoints.best.touch()
        checkpoints.load_state_dict({"best_model_score": 0.5})
        if deleted:  # to make room for the run that begins
            checkpoints.best.unlink()
        checkpoints.on_fit_start(trainer, None)
        checkpoints.teardown(trainer, None, "fit")  # signals are this process's
        assert checkpoints.best_model_score == expected


def test_of_equal_figures_that_of_the_lower_loss_is_the_best(tmp_path: Path) -> None:
    """BLEU is 0 for some epochs, in which much is learnt."""
    module: Any = SimpleNamespace(monitor="val_BLEU", higher_is_better=True)
    saved: list[Path] = []

    def validated(checkpoints: BestAndLast, bleu: float, loss: float) -> bool:
        trainer: Any = SimpleNamespace(
            sanity_checking=False,
            fast_dev_run=False,
            state=SimpleNamespace(fn="fit"),
            callback_metrics={"val_BLEU": torch.tensor(bleu), "val_loss": torch.tensor(loss)},
            save_checkpoint=lambda path, weights_only: saved.append(path),
            global_step=1,
            strategy=SimpleNamespace(broadcast=lambda asked: asked),
        )
        before = saved.count(checkpoints.best)
        checkpoints.on_validation_end(trainer, module)
        return saved.count(checkpoints.best) > before

    checkpoints = BestAndLast(tmp_path)
    assert [validated(checkpoints, 0.0, loss) for loss in (3.0, 2.5, 2.5, 2.6)] == [True, True, False, False]
    checkpoints.best.touch()
    resumed = BestAndLast(tmp_path)
    resumed.load_state_dict(checkpoints.state_dict())
    assert [validated(resumed, *figures) for figures in ((0.0, 2.6), (0.0, 2.4), (1.0, 9.0), (0.5, 1.0))] == [
        False,
        True,
        True,
        False,
    ]
    module.higher_is_better = False
    assert [validated(resumed, figure, 1.0) for figure in (0.9, 1.1)] == [True, False]


def test_without_a_checkpoint_the_bundle_is_of_the_last_epoch(tmp_path: Path) -> None:
    shipped: dict[str, int] = {}
    module: Any = SimpleNamespace(scores=[], save_bundle=lambda folder, **of: shipped.update(of))
    # Lightning counts an epoch when it is over, and when training ends all are.
    trainer: Any = SimpleNamespace(fast_dev_run=False, is_global_zero=True, current_epoch=2, global_step=7)
    BundleWriter(tmp_path / "bundle", BestAndLast(tmp_path)).on_fit_end(trainer, module)
    assert shipped == {"epoch": 2, "step": 7}


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_waits_for_the_accelerator_once(monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    """A truth value of a tensor, or a number, is what makes the host wait."""
    module = module_of(1, 1)
    module.trainer.world_size = 1
    module.trainer.gradient_clip_val, module.trainer.gradient_clip_algorithm = 1.0, algorithm
    module.weight = nn.Parameter(torch.zeros(3))
    module.weight.grad = torch.tensor([6.0, 0.0, -8.0])  # the sum over two tokens
    module.step = [Learnt(None, 0, torch.tensor(3.0), torch.tensor(3.0), torch.tensor(2))]
    module.troubles.in_a_row = 5
    waits: list[str] = []

    def counted(name: str) -> Any:
        real = getattr(torch.Tensor, name)

        def call(tensor: torch.Tensor) -> Any:
            waits.append(name)
            return real(tensor)

        return call

    with monkeypatch.context() as patched:
        for name in ("__bool__", "__float__", "__int__", "item"):
            patched.setattr(torch.Tensor, name, counted(name))
        module.on_before_optimizer_step(None)
    assert waits == ["__bool__"]
    assert module.troubles.in_a_row == 0
    measured = module.pace.read()
    assert measured.gradient_norm == 5.0  # of the mean, before it is clipped
    assert measured.clipped_steps == (algorithm == "norm")
    expected = [0.6, 0.0, -0.8] if algorithm == "norm" else [1.0, 0.0, -1.0]
    torch.testing.assert_close(module.weight.grad, torch.tensor(expected), rtol=0, atol=1e-5)


def skipping(tmp_path: Path, *, ranks: int = 1, scaler: Any = None) -> tuple[Any, list[str]]:
    """A module whose step of two tokens is done, and what it says."""
    module = module_of(1, 1)
    said: list[str] = []
    module.say = said.append
    trainer = module.trainer
    trainer.world_size, trainer.global_step, trainer.is_global_zero = ranks, 6, True
    trainer.fast_dev_run, trainer.default_root_dir = False, str(tmp_path)
    trainer.gradient_clip_val = None
    trainer.gradient_clip_algorithm = None
    trainer.precision_plugin = SimpleNamespace(scaler=scaler)
    trainer.datamodule.examples = lambda batch: [Example(f"a.tsv:{batch}", {"source": "a", "target": "b"})]
    module.weight = nn.Parameter(torch.zeros(1))
    module.weight.grad = torch.ones(1)
    module.step = [Learnt(4, 0, torch.tensor(3.0), torch.tensor(3.0), torch.tensor(2))]
    return module, said


def test_a_bad_loss_of_another_rank_skips_the_step_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gradient may be finite; and what it was made of comes from there."""
    module, said = skipping(tmp_path, ranks=2)
    module.trainer.strategy.reduce = lambda sums, reduce_op: (sums + torch.tensor([2.0, math.inf])) / 2

    def gather(parts: list[Any], mine: Any) -> None:
        parts[:] = [mine, [Example("b.tsv:9", {"source": "c", "target": "d"})]]

    monkeypatch.setattr("s2s.training.task.distributed.all_gather_object", gather)
    module.on_before_optimizer_step(None)
    assert module.weight.grad is None and module.troubles.skipped_steps == 1
    kept = tmp_path / "bad_batches" / "step-7.jsonl"
    assert said == [f"step 7 skipped: its loss is inf; b.tsv:9, kept in {kept}"]
    assert kept.read_text() == '{"source": "c", "target": "d", "origin": "b.tsv:9"}\n'


def test_a_scale_of_float16_that_is_too_large_is_no_bad_batch(tmp_path: Path) -> None:
    module, said = skipping(tmp_path, scaler=object())
    module.weight.grad[0] = math.inf
    module.on_before_optimizer_step(None)
    assert module.weight.grad is None and module.troubles.skipped_steps == 1
    assert said == ["step 7 skipped: the norm of its gradient is inf; the float16 loss scale is lowered"]
    assert not list(tmp_path.iterdir())
