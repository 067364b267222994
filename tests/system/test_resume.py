"""A resumed run is the run: the next batch, the same weights, patience and best score, bit for bit."""

import csv
import json
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, GradientAccumulationScheduler

import s2s
from s2s.errors import Terminated
from s2s.training import cli, precision
from s2s_plugins.tasks.seq2seq import Seq2SeqTask

BATCHES = 10
"""Batches of an epoch: 150 pairs, 16 at most in each."""

PLATEAU = {"model.schedule": "plateau", "model.plateau_patience": 1}


class Validation(NamedTuple):
    """What a validation found, and left behind."""

    step: int
    batch: int
    loss: float
    drawn: float
    plateau: dict[str, float]
    waited: int


class Recorder(Checkpoint):
    """Keeps what each batch was and the weights after it; leaves the folder that a kill after some of them would.

    A `Checkpoint`, so that it is called where the real ones are called: after all others.
    """

    def __init__(self, folder: Path, save_after: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self.save_after = save_after
        self.batches: dict[int, list[int]] = {}
        self.weights: dict[int, torch.Tensor] = {}
        self.average: dict[str, torch.Tensor] = {}
        self.validations: list[Validation] = []
        self.best: float | None = None

    def killed(self, step: int) -> Path:
        """The folder of a run that ended without a word after a step, its checkpoint just written."""
        return self.folder / f"killed-{step}"

    def shipped(self) -> dict[str, Any]:
        """What the bundle says of its weights."""
        config = json.loads((self.folder / "bundle" / "config.json").read_text())
        return {name: config[name] for name in ("training", "scores")}

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        self.batches[step] = batch.lines.tolist()
        self.weights[step] = torch.cat([p.detach().flatten() for p in pl_module.parameters()]).clone()
        if step in self.save_after:
            checkpoints = self.killed(step) / "checkpoints"
            trainer.save_checkpoint(checkpoints / "last.ckpt", weights_only=False)
            if (self.folder / "checkpoints" / "best.ckpt").is_file():
                shutil.copy(self.folder / "checkpoints" / "best.ckpt", checkpoints)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        found = Validation(
            step=trainer.global_step,
            batch=trainer.fit_loop.total_batch_idx + 1,
            loss=float(trainer.callback_metrics["val_loss"]),
            drawn=float(torch.rand(())),
            plateau=pl_module.plateau.state_dict(),
            waited=trainer.early_stopping_callback.wait_count,
        )
        self.validations.append(found)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.average = {name: value.clone() for name, value in pl_module.state_dict().items()}


class KeepsCheckpoints(Recorder):
    """Leaves what a kill after one of the validations would: the run's own checkpoints."""

    def __init__(self, folder: Path, validations: int) -> None:
        super().__init__(folder)
        self.count = validations
        self.kept_at = 0

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_validation_end(trainer, pl_module)
        if len(self.validations) == self.count:
            self.kept_at = trainer.global_step
            shutil.copytree(self.folder / "checkpoints", self.killed(self.kept_at) / "checkpoints")


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


def train(
    corpus: Path,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    callbacks_of_the_user: tuple[pl.Callback, ...] = (),
    **more: Any,
) -> Recorder:
    """Train, with more options, as the recorder sees it."""
    real = Seq2SeqTask.callbacks

    def callbacks(folder: Path) -> list[pl.Callback]:
        return [*real(folder), recorder]

    with monkeypatch.context() as patch:
        patch.setattr(Seq2SeqTask, "callbacks", callbacks)
        fitted = s2s.fit(
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
            },
            callbacks=callbacks_of_the_user,
        )
    recorder.best = fitted.score
    return recorder


@pytest.fixture(scope="module")
def uninterrupted(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, Any]], Recorder]:
    """A run from beginning to end, made once for the same options; workers, which must not matter, left out."""
    made: dict[str, Recorder] = {}

    def run(options: dict[str, Any]) -> Recorder:
        options = {name: value for name, value in options.items() if name != "data.num_workers"}
        key = json.dumps(options, sort_keys=True)
        if key not in made:
            recorder = Recorder(tmp_path_factory.mktemp("whole"))
            made[key] = train(corpus, recorder, pytest.MonkeyPatch(), **options)
        return made[key]

    return run


@pytest.mark.parametrize(
    ("options", "stops"),
    [
        ({"model.schedule": "cosine"}, (4, BATCHES, BATCHES + 7, 3 * BATCHES)),
        ({"data.num_workers": 2, **PLATEAU}, (4, BATCHES, BATCHES + 7, 3 * BATCHES)),
        ({"trainer.max_steps": 3 * BATCHES, **PLATEAU}, (BATCHES, 3 * BATCHES)),
    ],
    ids=["no workers, cosine", "two workers, plateau", "an end by steps"],
)
def test_a_resumed_run_is_the_run(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    stops: tuple[int, ...],
) -> None:
    # Inside the first epoch; at its end, before its validation; inside the second epoch; at the end of all, before the
    # last validation. And the epochs that are validated after that.
    validated = {4: [1, 2, 3], BATCHES: [1, 2, 3], BATCHES + 7: [2, 3], 3 * BATCHES: [3]}
    whole = train(corpus, Recorder(tmp_path, stops), monkeypatch, **options)
    last = max(whole.weights)
    assert last == 3 * BATCHES and [found.step for found in whole.validations] == [BATCHES, 2 * BATCHES, last]
    for stop in stops:
        rest = train(corpus, Recorder(whole.killed(stop)), monkeypatch, ckpt_path="last", **options)
        assert sorted(rest.batches) == list(range(stop + 1, last + 1)), "from the very next batch on"
        for step, weights in rest.weights.items():
            assert rest.batches[step] == whole.batches[step]
            assert torch.equal(weights, whole.weights[step]), (
                f"weights after step {step}, resumed after {stop}"
            )
        for name, value in rest.average.items():
            assert torch.equal(value, whole.average[name]), f"averaged {name}"
        assert rest.average or not rest.weights
        assert rest.validations == [whole.validations[epoch - 1] for epoch in validated[stop]]
        assert rest.best == whole.best and rest.shipped() == whole.shipped()
        ends = [
            torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True) for run in (rest, whole)
        ]
        assert (
            ends[0]["loops"]["fit_loop"]["epoch_progress"] == ends[1]["loops"]["fit_loop"]["epoch_progress"]
        )


def test_a_precision_that_a_machine_chose_is_kept_on_another(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`auto` is bfloat16 where the run begins; it goes on where `auto` would be float32."""
    asked = {"trainer.precision": "auto", "trainer.accelerator": "cpu", "trainer.max_steps": 6}
    monkeypatch.setattr(precision, "bfloat16_is_fast", lambda: True)
    whole = train(corpus, Recorder(tmp_path, (4,)), monkeypatch, **asked)
    monkeypatch.setattr(precision, "bfloat16_is_fast", lambda: False)
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    begun_here = train(corpus, Recorder(tmp_path / "here"), monkeypatch, **asked)
    assert not torch.equal(begun_here.weights[5], whole.weights[5])
    assert "precision: 32-true\n" in (tmp_path / "here" / "config.yaml").read_text()
    capsys.readouterr()
    words = [
        "-c",
        "demo",
        "--trainer.accelerator",
        "cpu",
        "--run_folder",
        str(whole.killed(4)),
        "--print_config",
    ]
    cli.run("fit", [*words, "--ckpt_path", "last"])
    assert "precision: bf16-mixed\n" in capsys.readouterr().out
    rest = train(corpus, Recorder(whole.killed(4)), monkeypatch, ckpt_path="last", **asked)
    assert sorted(rest.weights) == [5, 6]
    assert all(torch.equal(weights, whole.weights[step]) for step, weights in rest.weights.items())
    assert "precision: bf16-mixed\n" in (rest.folder / "config.yaml").read_text()
    assert (
        "s2s: trainer.precision bf16-mixed is many times slower than float32 on this processor, because torch has "
        "no bfloat16 kernels for it; faster: --trainer.precision 32-true --accept_changes true"
    ) in capsys.readouterr().err


def test_another_configuration_is_told_and_waits_for_a_word(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(corpus, Recorder(tmp_path, (4,)), monkeypatch, **{"trainer.max_steps": 4})

    def go_on(**options: Any) -> Recorder:
        return train(corpus, Recorder(tmp_path / "killed-4"), monkeypatch, ckpt_path="last", **options)

    others = {"trainer.precision": "bf16-mixed", "model.encoder.dropout": 0.1, "trainer.max_steps": 5}
    with pytest.raises(
        s2s.ConfigError,
        match="the configuration differs from that of the run to resume: "
        "(model.encoder.dropout was 0.3, now 0.1|; |trainer.precision was null, now bf16-mixed){3}"
        r"\. Set the old values, or resume anyway: --accept_changes true; or start a new run with --model.start_from",
    ):
        go_on(**others)
    assert max(go_on(accept_changes=True, **others).weights) == 5
    # now it is what the run is; what says where it ends, and with what help, is nobody's concern
    assert max(go_on(**{**others, "trainer.max_steps": 6, "data.num_workers": 1}).weights) == 6
    # what cannot be is refused whatever is accepted
    for cannot, kind, message in (
        ({"data.batch_sentences": 8}, s2s.DataError, "other training data"),
        (
            {"model.monitor": "val_perplexity"},
            s2s.ConfigError,
            "model.monitor is val_perplexity.* begun with val_BLEU",
        ),
        ({"seed_everything": 3}, s2s.DataError, "comes from seed 1, here the seed is 3"),
        (
            {"model.average_decay": 0.5},
            s2s.ConfigError,
            "average_decay is 0.5.* begun with 0.9.* set --model.av",
        ),
    ):
        with pytest.raises(kind, match=message):
            go_on(accept_changes=True, **others, **cannot)
        (key,) = cannot
        with pytest.raises(
            s2s.ConfigError, match=f"Within a run {key} cannot change: set the old value, or start"
        ):
            go_on(**others, **cannot)
    with pytest.raises(
        s2s.ConfigError,
        match=r"last.ckpt has the weights of another model: model.encoder\S+ is \[\d.* in the checkpoint and \[\d.* in",
    ):
        go_on(accept_changes=True, **others, **{"model.encoder.hidden_size": 7})


def test_another_learning_rate_holds_from_the_first_step_on(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = train(corpus, Recorder(tmp_path, (4,)), monkeypatch, **{"trainer.max_steps": 4})
    optimizer = {"model.learning_rate": 0.0, "model.weight_decay": 0.5, "model.adam_betas": (0.1, 0.2)}
    gone_on = train(
        corpus,
        Recorder(begun.killed(4), (6,)),
        monkeypatch,
        ckpt_path="last",
        accept_changes=True,
        **optimizer,
        **{"trainer.max_steps": 6},
    )
    for step in (5, 6):
        assert torch.equal(gone_on.weights[step], begun.weights[4]), "a rate of 0 moves no weight"
    checkpoint = torch.load(gone_on.killed(6) / "checkpoints" / "last.ckpt", weights_only=True)
    (group,) = checkpoint["optimizer_states"][0]["param_groups"]
    assert (group["lr"], group["weight_decay"], tuple(group["betas"])) == (0.0, 0.5, (0.1, 0.2))


def test_other_kernels_are_told(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are the machine's, so the run goes on; but they round otherwise, and nobody would know why it differs."""
    folder = Recorder(tmp_path, (4,)).killed(4)
    for slow, steps, recorder, told in (
        (False, 4, Recorder(tmp_path, (4,)), False),
        (False, 5, Recorder(folder), False),
        (True, 6, Recorder(folder), True),
        (True, 7, Recorder(folder), False),
    ):
        monkeypatch.setattr("s2s.nn.kernels.mkl_is_slow", lambda slow=slow: slow)
        resumed = {"ckpt_path": "last"} if steps > 4 else {}
        train(corpus, recorder, monkeypatch, **resumed, **{"trainer.max_steps": steps})
        assert max(recorder.weights) == steps
        found = capsys.readouterr()
        assert ("not bit for bit" in found.out + found.err) == told
        if told:
            assert "float32 products by oneDNN instead of torch's own" in found.out + found.err


@pytest.mark.parametrize("interval", [1.0, 4])
def test_a_resume_from_the_run_s_own_checkpoints(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    """Those are written after a validation, which the plateau schedule has seen by then; steps are accumulated.

    A validation that is due inside an accumulated step comes at its end.
    """
    options = {
        **PLATEAU,
        "model.learning_rate": 0.05,
        "trainer.accumulate_grad_batches": 3,
        "trainer.max_epochs": 4,
        "trainer.val_check_interval": interval,
    }
    ends = [6, 9] if interval == 4 else [BATCHES]  # of 10 batches, after 4 and 8 or after all
    whole = KeepsCheckpoints(tmp_path, 2 * len(ends))
    train(corpus, whole, monkeypatch, **options)
    batches = [found.batch for found in whole.validations]
    expected = [epoch * BATCHES + end for epoch in range(4) for end in ends]
    assert batches == expected + [4 * BATCHES] * (interval == 4)
    for which in ("best", "last"):
        checkpoint = whole.killed(whole.kept_at) / "checkpoints" / f"{which}.ckpt"
        step = torch.load(checkpoint, weights_only=True)["global_step"]
        if which == "last":
            assert step == whole.kept_at
        rest = train(corpus, Recorder(tmp_path / which), monkeypatch, ckpt_path=str(checkpoint), **options)
        # A step's weights are seen while the batches of the next one accumulate, too, if it has more than one.
        assert sorted({*rest.weights, step}) == list(range(step, max(whole.weights) + 1))
        for later, weights in rest.weights.items():
            if later > step:
                assert torch.equal(weights, whole.weights[later]), f"weights after step {later}"
        assert rest.validations == [found for found in whole.validations if found.step > step]


def test_a_checkpoint_of_a_validation_that_is_made_up_for(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was due when the run was killed, is run when it goes on, and the run is killed again right after it."""
    options = {**PLATEAU, "trainer.val_check_interval": 0.5}
    stop = 2 * BATCHES + BATCHES // 2
    whole = train(corpus, Recorder(tmp_path, (stop,)), monkeypatch, **options)
    again = Recorder(whole.killed(stop))
    train(corpus, again, monkeypatch, ckpt_path="last", **{**options, "trainer.max_steps": stop})
    assert not again.batches and [found.step for found in again.validations] == [stop]
    rest = train(corpus, Recorder(again.folder), monkeypatch, ckpt_path="last", **options)
    assert sorted(rest.batches) == list(range(stop + 1, 3 * BATCHES + 1))
    assert again.validations + rest.validations == whole.validations[-2:]
    counts = []
    for run in (rest, whole):
        loops = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["loops"]["fit_loop"]
        counts.append({name: count for name, count in loops.items() if name.endswith("progress")})
    assert counts[0] == counts[1]


class StopInAStep(pl.Callback):
    """Tells the trainer to stop, as a limit of time does, in the second of three accumulated batches."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.fit_loop.total_batch_idx == 4:
            trainer.should_stop = True


def logged(folder: Path, since: int) -> list[dict[str, str]]:
    """The rows of metrics.csv from a step on, which are counted from 0; without the pace, which always differs."""
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) >= since]
    return [{name: value for name, value in row.items() if name != "tokens_per_second"} for row in rows]


@pytest.mark.parametrize("every", [1, 2])
def test_a_stop_inside_an_accumulated_step_waits_for_its_end(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """And is validated, though it be in an epoch that is not."""
    options = {
        "trainer.accumulate_grad_batches": 3,
        "trainer.max_epochs": 2,
        "trainer.check_val_every_n_epoch": every,
        "trainer.logger": True,
        "trainer.log_every_n_steps": 1,
    }
    whole = train(corpus, Recorder(tmp_path / "whole"), monkeypatch, **options)
    part = train(corpus, Recorder(tmp_path / "part"), monkeypatch, (StopInAStep(),), **options)
    assert [(found.step, found.batch) for found in part.validations] == [(2, 6)]
    training = part.shipped()["training"]
    assert training["epoch"] == 1 and training["step"] == max(part.weights) == 2
    rest = train(corpus, Recorder(tmp_path / "part"), monkeypatch, ckpt_path="last", **options)
    assert sorted(rest.weights) == list(range(2, max(whole.weights) + 1))
    assert all(
        torch.equal(weights, whole.weights[step]) for step, weights in rest.weights.items() if step > 2
    )
    assert logged(rest.folder, 2) == logged(whole.folder, 2) != []


STEPS = {"trainer.max_epochs": -1, "model.monitor": "val_loss"}


@pytest.mark.parametrize(
    ("steps", "options", "validated"),
    [
        (BATCHES + 7, {}, [BATCHES, BATCHES + 7]),
        (4, {}, [4]),
        (BATCHES, {}, [BATCHES]),
        (BATCHES + 7, {"trainer.val_check_interval": 4}, [4, 8, BATCHES + 4, BATCHES + 7]),
        (BATCHES + 4, {"trainer.val_check_interval": 4}, [4, 8, BATCHES + 4]),
        (BATCHES + 7, {"trainer.check_val_every_n_epoch": 3}, [BATCHES + 7]),
        (
            5,
            {"trainer.accumulate_grad_batches": 3},
            [4, 5],
        ),  # an epoch has 3 steps of 3 batches, and one of one
        (2 * BATCHES, {"trainer.max_epochs": 2}, [BATCHES, 2 * BATCHES]),
        (BATCHES, {"trainer.max_epochs": 1, "trainer.val_check_interval": 4}, [4, 8, BATCHES]),
        (
            3 * BATCHES,
            {"trainer.max_epochs": 3, "trainer.check_val_every_n_epoch": 2},
            [2 * BATCHES, 3 * BATCHES],
        ),
        (
            4,
            {"trainer.max_epochs": 1, "trainer.accumulate_grad_batches": 3, "trainer.val_check_interval": 6},
            [2, 4],
        ),
        (4, {"trainer.limit_val_batches": 0}, []),
        (4, {"data.validation": None}, []),
    ],
)
def test_an_end_is_validated_once(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
    options: dict[str, Any],
    validated: list[int],
) -> None:
    limit = {} if "trainer.max_epochs" in options else {"trainer.max_steps": steps}
    options = {**STEPS, **options, **limit, "trainer.logger": True}
    run = train(corpus, Recorder(tmp_path), monkeypatch, **options)
    assert [found.step for found in run.validations] == validated
    assert run.shipped()["training"]["step"] == steps, "a loss that falls is best at the end"
    checkpoints = tmp_path / "checkpoints"
    assert (checkpoints / "best.ckpt").is_file() == bool(validated)
    for path in checkpoints.iterdir():
        assert torch.load(path, weights_only=True)["global_step"] == steps
    if validated:
        with open(tmp_path / "metrics.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["val_loss"]]
        assert [int(row["step"]) for row in rows] == [step - 1 for step in validated]  # counted from 0


def test_a_run_that_ended_by_its_steps_goes_on(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With more of them; with the same there is nothing to do, or the validation alone, if it was killed before it."""
    end, last = {"trainer.max_steps": 14, **STEPS}, 2 * BATCHES + 3
    end |= {"trainer.logger": True, "trainer.log_every_n_steps": 2}
    whole = train(corpus, Recorder(tmp_path / "w"), monkeypatch, **{**end, "trainer.max_steps": last})
    part = train(corpus, Recorder(tmp_path / "part", (14,)), monkeypatch, **end)
    killed = train(corpus, Recorder(part.killed(14)), monkeypatch, ckpt_path="last", **end)
    assert not killed.batches and killed.validations == part.validations[1:] != []
    assert killed.shipped() == part.shipped()
    again = train(corpus, Recorder(part.folder), monkeypatch, ckpt_path="last", **end)
    assert "already at step 14 of 14; raise --trainer.max_steps" in capsys.readouterr().err
    assert not again.batches and not again.validations and again.shipped() == part.shipped()
    for folder in (part.folder, killed.folder):
        more = {**end, "trainer.max_steps": last, "ckpt_path": "last"}
        rest = train(corpus, Recorder(folder), monkeypatch, **more)
        assert rest.batches == {step: lines for step, lines in whole.batches.items() if step > 14}
        assert all(torch.equal(weights, whole.weights[step]) for step, weights in rest.weights.items())
        assert rest.validations == whole.validations[1:] and rest.shipped() == whole.shipped()
        assert logged(folder, 14) == logged(whole.folder, 14) != []


def test_a_changing_number_of_accumulated_batches(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's callback changes the trainer's setting, which is then another than the run was begun with."""
    callbacks = (GradientAccumulationScheduler({1: 2}),)
    part = train(corpus, Recorder(tmp_path), monkeypatch, callbacks, **{"trainer.max_epochs": 2})
    assert max(part.weights) == BATCHES + BATCHES // 2
    assert part.shipped()["training"]["step"] in (BATCHES, max(part.weights))
    rest = train(corpus, Recorder(tmp_path), monkeypatch, callbacks, ckpt_path="last")
    assert max(rest.weights) == BATCHES + BATCHES


class CtrlC(Recorder):
    """Presses Ctrl-C, or ends the job, in the middle of a batch, or of a validation."""

    def __init__(
        self,
        folder: Path,
        before_batch: int = -1,
        in_validation: int = -1,
        number: signal.Signals = signal.SIGINT,
    ) -> None:
        super().__init__(folder)
        self.before_batch = before_batch
        self.in_validation = in_validation
        self.number = number

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.fit_loop.total_batch_idx == self.before_batch:
            self.press()

    def press(self) -> None:
        os.kill(os.getpid(), self.number)
        for worker in multiprocessing.active_children():  # a terminal, or a cluster, does so
            os.kill(worker.pid or 0, self.number)

    def on_validation_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if len(self.validations) == self.in_validation:
            self.press()


@pytest.mark.parametrize(
    ("pressed", "options", "saved", "validated"),
    [
        ({"before_batch": 12}, {}, "epoch 2, step 13", [20, 30]),
        ({"before_batch": 12}, {"data.num_workers": 2}, "epoch 2, step 13", [20, 30]),
        (
            {"before_batch": 12, "number": signal.SIGTERM},
            {"data.num_workers": 2},
            "epoch 2, step 13",
            [20, 30],
        ),
        ({"before_batch": 13}, {"trainer.accumulate_grad_batches": 3}, "epoch 2, step 6", [8, 12]),
        # begun anew: at an epoch's end all is saved before it is validated
        ({"in_validation": 1}, {}, "epoch 2, step 20", [20, 30]),
        (
            {"in_validation": 1, "number": signal.SIGUSR1},
            {"trainer.val_check_interval": 4},
            "epoch 1, step 8",
            [8, 14, 18, 24, 28, 30],
        ),
    ],
    ids=[
        "batch",
        "batch with workers",
        "SIGTERM with workers",
        "accumulated step",
        "validation",
        "SIGUSR1 in a validation inside an epoch",
    ],
)
def test_ctrl_c_loses_nothing(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    uninterrupted: Callable[[dict[str, Any]], Recorder],
    pressed: dict[str, Any],
    options: dict[str, Any],
    saved: str,
    validated: list[int],
) -> None:
    """After it, training goes on to the same end; `validated` are the steps that are validated then."""
    options = {**options, **PLATEAU}
    whole = uninterrupted(options)
    capsys.readouterr()
    number = pressed.get("number", signal.SIGINT)
    handlers = [signal.getsignal(each) for each in signal.valid_signals()]
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated) as ended:
        train(corpus, CtrlC(tmp_path / "part", **pressed), monkeypatch, **options)
    if number != signal.SIGINT:
        assert ended.value.args == (128 + number,)
    told = capsys.readouterr().err
    assert f"stopped; saved at {saved}" in told and "config.yaml --ckpt_path last" in told
    assert [signal.getsignal(each) for each in signal.valid_signals()] == handlers
    rest = train(corpus, Recorder(tmp_path / "part"), monkeypatch, ckpt_path="last", **options)
    assert f"resuming from {saved}" in capsys.readouterr().err
    step = int(saved.rpartition(" ")[2])
    assert {*range(step + 1, max(whole.weights) + 1)} == {*rest.weights} - {step}
    for later, weights in rest.weights.items():
        if later > step:
            assert torch.equal(weights, whole.weights[later]), f"weights after step {later}"
    for name, value in whole.average.items():
        assert torch.equal(rest.average[name], value), f"averaged {name}"
    assert [found.step for found in rest.validations] == validated
    assert rest.validations == whole.validations[-len(validated) :]
    assert rest.best == whole.best and rest.shipped() == whole.shipped()


class Killed(Recorder):
    """Dies after the first validation."""

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        super().on_validation_end(trainer, pl_module)
        raise RuntimeError("killed")


def test_a_validation_that_is_made_up_for_is_stopped_again(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    uninterrupted: Callable[[dict[str, Any]], Recorder],
) -> None:
    """First by Ctrl-C, so that it begins once more; then the run is killed when it is done, and goes on after it."""
    whole = uninterrupted(PLATEAU)
    part = tmp_path / "part"
    for more in ({}, {"ckpt_path": "last"}):
        with pytest.raises(KeyboardInterrupt):
            train(corpus, CtrlC(part, in_validation=0), monkeypatch, **PLATEAU, **more)
        assert "stopped; saved at epoch 1, step 10" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="killed"):
        train(corpus, killed := Killed(part), monkeypatch, ckpt_path="last", **PLATEAU)
    assert "validation after epoch 1, step 10" in capsys.readouterr().err
    rest = train(corpus, Recorder(part), monkeypatch, ckpt_path="last", **PLATEAU)
    assert killed.validations + rest.validations == whole.validations
    assert not killed.weights and sorted(rest.weights) == list(range(BATCHES + 1, 3 * BATCHES + 1))
    assert torch.equal(rest.weights[3 * BATCHES], whole.weights[3 * BATCHES])
    assert rest.best == whole.best and rest.shipped() == whole.shipped()


def test_a_finished_run_says_so(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(corpus, Recorder(tmp_path), monkeypatch, **{"trainer.max_epochs": 2})
    assert "bundle: " in capsys.readouterr().out
    train(corpus, Recorder(tmp_path), monkeypatch, ckpt_path="last", **{"trainer.max_epochs": 2})
    assert "already at epoch 2 of 2; raise --trainer.max_epochs" in capsys.readouterr().err
