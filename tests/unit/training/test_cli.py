"""fit, validate and test from end to end, on a stand-in task."""

import csv
import io
import re
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import yaml
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint

import s2s
from s2s import cores, registry
from s2s.__main__ import main
from s2s.errors import ConfigError
from s2s.registry import Catalogue, Entry, catalogue
from s2s.registry.discovery import discover
from s2s.training.callbacks import BestAndLast
from s2s.training.parser_errors import plain_error
from tests.unit.test_streams import nobody_reads
from tests.unit.training import stand_in

RECIPE = """
task: Mini
model:
  encoder: {class_path: Recurrent, init_args: {cell: GRU, hidden_size: 5}}
  learning_rate: 1e-2
trainer: {max_epochs: 1, enable_progress_bar: false, enable_model_summary: false, log_every_n_steps: 1}
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is in the catalogue, and `mini.yaml` in the working folder."""
    monkeypatch.chdir(tmp_path)
    known = discover()
    mini = Entry("task", "Mini", f"{stand_in.__name__}:Mini", "made-up", "1")
    with_mini = Catalogue([*known.entries(), mini])
    monkeypatch.setattr(registry, "_catalogue", with_mini)
    monkeypatch.setattr("s2s.__main__.use_plugins", lambda **options: with_mini)
    Path("mini.yaml").write_text(RECIPE)


def weights(checkpoint: str) -> dict[str, torch.Tensor]:
    loaded = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert isinstance(loaded, dict)
    return loaded


def saved(path: str = "runs/mini/config.yaml") -> dict:
    return dict(yaml.safe_load(Path(path).read_text()))


def test_a_run_goes_into_the_folder_named_after_its_recipe() -> None:
    assert main(["fit", "-c", "mini.yaml"]) == 0
    there = {str(p.relative_to("runs/mini")) for p in Path("runs/mini").rglob("*") if p.is_file()}
    assert {"config.yaml", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= there
    assert not any("version" in name for name in there)


def test_the_saved_configuration_has_names_and_gives_the_same_run() -> None:
    main(["fit", "-c", "mini.yaml", "--model.encoder.cell", "LSTM"])
    encoder = saved()["model"]["encoder"]
    assert encoder["class_path"] == "Recurrent"
    assert encoder["init_args"]["cell"]["class_path"] == "LSTM"
    assert saved()["model"]["learning_rate"] == 0.01
    assert main(["fit", "-c", "runs/mini/config.yaml", "--run_folder", "again"]) == 0
    first, again = weights("runs/mini/checkpoints/last.ckpt"), weights("again/checkpoints/last.ckpt")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert saved("again/config.yaml") == {**saved(), "run_folder": "again"}


def test_later_files_and_options_override_earlier_ones() -> None:
    Path("second.yaml").write_text("model: {learning_rate: 0.5, encoder: {init_args: {cell: Elman}}}\n")
    main(["fit", "-c", "mini.yaml", "-c", "second.yaml", "--model.encoder.hidden_size", "2"])
    model = saved()["model"]
    assert model["learning_rate"] == 0.5
    assert model["encoder"]["init_args"]["cell"]["class_path"] == "Elman"
    assert model["encoder"]["init_args"]["hidden_size"] == 2


def test_a_task_brings_defaults_for_what_the_configuration_leaves_open() -> None:
    options = ["--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]
    assert main(["fit", "--task", "Mini", *options]) == 0
    assert saved("runs/mini/config.yaml")["model"]["encoder"]["init_args"]["hidden_size"] == 4


def test_a_second_run_does_not_write_into_the_first_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", "mini.yaml"]) == 0
    before = Path("runs/mini/checkpoints/last.ckpt").stat().st_mtime_ns
    assert main(["fit", "-c", "mini.yaml"]) == 2
    assert "runs/mini already holds a run. To resume it: --ckpt_path last" in capsys.readouterr().err
    assert Path("runs/mini/checkpoints/last.ckpt").stat().st_mtime_ns == before
    assert main(["fit", "-c", "mini.yaml", "--overwrite", "true"]) == 0
    assert Path("runs/mini/checkpoints/last.ckpt").stat().st_mtime_ns > before


def test_an_old_run_is_not_lost_to_a_typo() -> None:
    main(["fit", "-c", "mini.yaml"])
    with pytest.raises(ZeroDivisionError):
        main(["fit", "-c", "mini.yaml", "--data.size", "0", "--overwrite", "true"])
    assert Path("runs/mini/checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--trainer.val_check_interval", "30"],
            "trainer: `val_check_interval` (30) must be less than or equal",
        ),
        (
            ["--trainer.limit_train_batches", "0.1"],
            "trainer: You requested to check 0.1 of the `train_dataloader`",
        ),
        ([], None),
    ],
)
def test_an_old_run_is_not_lost_to_one_that_fails_before_its_first_step(
    options: list[str],
    told: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["fit", "-c", "mini.yaml"])
    Path("runs/mini/bundle").mkdir()
    Path("runs/mini/bundle/mine").touch()
    kept = contents("runs/mini")
    assert {"metrics.csv", "config.yaml", "bundle/mine"} < kept.keys()
    replacing = ["fit", "-c", "mini.yaml", "--overwrite", "true", "--model.learning_rate", "3", *options]
    if told is not None:
        assert main(replacing) == 2
        assert told in capsys.readouterr().err
    else:
        with monkeypatch.context() as patched:

            def fails(*_: object) -> None:
                raise ZeroDivisionError

            patched.setattr(stand_in.MiniModule, "training_step", fails)
            with pytest.raises(ZeroDivisionError):
                main(replacing)
    assert kept.items() <= contents("runs/mini").items()
    assert not Path("runs/mini/.replaced").exists()
    assert main(["fit", "-c", "mini.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"]) == 0


def test_an_old_run_is_put_back_where_the_new_one_was_killed_before_its_first_step() -> None:
    main(["fit", "-c", "mini.yaml"])
    kept = contents("runs/mini")
    aside = Path("runs/mini/.replaced")
    aside.mkdir()
    for name in ("checkpoints", "config.yaml", "metrics.csv"):
        Path("runs/mini", name).rename(aside / name)
    Path("runs/mini/config.yaml").write_text("that of the new run")
    assert main(["fit", "-c", "mini.yaml"]) == 2  # there is a run
    assert contents("runs/mini") == kept


def test_an_old_run_is_not_lost_to_a_model_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(self: stand_in.MiniModule) -> None:
        raise ConfigError("no such model")

    main(["fit", "-c", "mini.yaml"])
    Path("runs/mini/bundle").mkdir()
    kept = contents("runs/mini")
    assert any("tfevents" in name for name in kept)
    with monkeypatch.context() as patched:
        patched.setattr(stand_in.MiniModule, "configure_model", impossible)
        overwriting = ["fit", "-c", "mini.yaml", "--overwrite", "true", "--model.learning_rate", "3"]
        assert main(overwriting) == 2
    assert kept.items() <= contents("runs/mini").items()
    assert Path("runs/mini/bundle").is_dir()

    assert main(overwriting) == 0
    after = contents("runs/mini")
    assert not Path("runs/mini/bundle").exists()
    assert saved()["model"]["learning_rate"] == 3
    assert not {name for name in kept if "tfevents" in name} & after.keys()
    assert any("tfevents" in name for name in after)  # the new run's own
    lines = after["metrics.csv"].decode().splitlines()
    assert (
        len(lines) == len(kept["metrics.csv"].decode().splitlines())
        and after["metrics.csv"] != kept["metrics.csv"]
    )


def contents(folder: str) -> dict[str, bytes]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_bundle_alone_is_a_run_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/mini/bundle").mkdir(parents=True)
    assert main(["fit", "-c", "mini.yaml"]) == 2
    assert "runs/mini already holds a run" in capsys.readouterr().err


def test_the_score_is_that_of_the_runs_own_checkpoints(tmp_path: Path) -> None:
    class Ours(BestAndLast):
        def on_validation_end(self, *arguments: object) -> None:
            self.best_model_score = 0.25

    fitted = s2s.fit(
        "mini.yaml", run_folder="py", callbacks=[ModelCheckpoint(tmp_path / "users"), Ours(tmp_path)]
    )
    assert fitted.score == 0.25


def pairs(name: str, count: int) -> str:
    Path(name).write_text("".join(f"{a} {b}\t{b} {a}\n" for a in "abcdef" for b in "ghij"[:count]))
    return name


SMALL = {
    "model.embedding": {"class_path": "Lookup", "init_args": {"size": 4}},
    "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 2, "cell": "GRU"}},
    "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4, "cell": "GRU"}},
    "data.tokenizer": "Characters",
    "trainer": {"max_steps": 1, "logger": False, "accelerator": "cpu"},
    "run_folder": "pairs",
}


def test_a_run_is_scored_with_its_own_tokenizers_and_without_its_training_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    s2s.fit({**SMALL, "data.train": pairs("train.tsv", 4), "data.validation": pairs("some.tsv", 1)})
    assert "no validation" not in capsys.readouterr().err
    assert {path.name for path in Path("pairs/tokenizers").iterdir()} == {"config.json", "tokenizer"}
    Path("train.tsv").unlink()
    shutil.rmtree("runs/cache")
    options = ["-c", "pairs/config.yaml", "--data.train", "null"]
    assert main(["test", *options, "--data.test", "some.tsv"]) == 0
    assert "BLEU  cased" in "".join(capsys.readouterr())
    # A checkpoint that lies elsewhere belongs to the folder that is named.
    shutil.copy("pairs/checkpoints/last.ckpt", "copy.ckpt")
    assert main(["validate", *options, "--ckpt_path", "copy.ckpt"]) == 0
    assert main(["validate", *options, "--data.validation", "null"]) == 2
    assert "s2s: error: data.validation is not set" in capsys.readouterr().err


def test_what_training_starts_from_is_not_overwritten() -> None:
    config = {**SMALL, "data.train": pairs("train.tsv", 4)}
    s2s.fit(config)
    kept = contents("pairs")
    again = {**config, "overwrite": True, "model.start_from": str(Path("pairs/bundle").resolve())}
    with pytest.raises(
        ConfigError, match="start_from is .*bundle, in the folder pairs that --overwrite replaces"
    ):
        s2s.fit(again)
    assert contents("pairs") == kept
    assert s2s.fit(again, run_folder="other").bundle == Path("other/bundle")
    assert contents("other/tokenizers") == contents("pairs/tokenizers")


def test_training_without_validation_says_what_that_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"data\.train is not set"):
        s2s.fit({**SMALL})
    assert "no validation" not in capsys.readouterr().err  # first things first
    train = pairs("train.tsv", 4)
    idle = {"model.patience": 2, "model.schedule": "plateau", "model.monitor": "val_loss"}
    s2s.fit({**SMALL, **idle, "data.train": train})
    assert (
        "s2s: no validation (data.validation is not set): the bundle is made from the last checkpoint; "
        "without effect: model.patience, model.schedule plateau, model.monitor\n"
    ) in capsys.readouterr().err
    s2s.fit({**SMALL, "data.train": train, "run_folder": "second"})
    assert "the bundle is made from the last checkpoint\n" in capsys.readouterr().err


def test_null_is_saved_because_it_may_override_a_default() -> None:
    main(["fit", "-c", "mini.yaml", "--trainer.log_every_n_steps", "null", "--model.second_encoder", "null"])
    assert saved()["model"]["second_encoder"] is None
    assert saved()["trainer"]["log_every_n_steps"] is None


def test_resuming_goes_on_in_the_same_folder_and_keeps_its_log() -> None:
    main(["fit", "-c", "mini.yaml"])
    first = Path("runs/mini/metrics.csv").read_text()
    assert main(["fit", "-c", "mini.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"]) == 0
    both = Path("runs/mini/metrics.csv").read_text()
    assert both.startswith(first) and len(both) > len(first)
    assert torch.load("runs/mini/checkpoints/last.ckpt", weights_only=True)["epoch"] == 1


def small_run(folder: str, seed: int = 1) -> dict:
    """Trains in a folder, and tells how."""
    config = {
        **SMALL,
        "trainer": {"max_steps": 2, "accelerator": "cpu", "log_every_n_steps": 1, "val_check_interval": 1},
        "data.train": pairs("train.tsv", 4),
        "data.validation": pairs("some.tsv", 1),
        "data.batch_sentences": 4,
        "model.monitor": "val_loss",
        "run_folder": folder,
        "seed_everything": seed,
    }
    s2s.fit(config)
    return config


def validated(folder: str) -> list[int]:
    """The steps, from 0, whose validations are in the run's table."""
    rows = csv.DictReader(Path(folder, "metrics.csv").read_text().splitlines())
    return [int(row["step"]) for row in rows if row["val_loss"]]


def test_a_refused_resume_leaves_the_run_as_it_was() -> None:
    one = small_run("one")
    shutil.copy("one/checkpoints/last.ckpt", "one/early.ckpt")
    s2s.fit({**one, "trainer.max_steps": 4}, ckpt_path="last")
    kept = contents("one")
    refused = {**one, "trainer.max_steps": 6, "ckpt_path": "one/early.ckpt"}
    with pytest.raises(ConfigError, match="trainer.accumulate_grad_batches was 1, now 2"):
        s2s.fit(refused, **{"trainer.accumulate_grad_batches": 2})
    assert kept.items() <= contents("one").items()
    s2s.fit(refused)
    assert validated("one") == [0, 1, 2, 3, 4, 5]


def test_a_checkpoint_of_another_run_is_not_mixed_with_the_run_that_is_there() -> None:
    one, _ = small_run("one"), small_run("two", seed=2)
    best = torch.load("two/checkpoints/best.ckpt", weights_only=True)
    kept = contents("two")
    assert kept["checkpoints/best.ckpt"] and best["global_step"] == 2
    going_on = {**one, "run_folder": "two", "ckpt_path": "one/checkpoints/last.ckpt", "trainer.max_steps": 3}
    with pytest.raises(
        ConfigError, match="two holds a different run than one/checkpoints/last.ckpt. To keep"
    ):
        s2s.fit(going_on)
    assert contents("two") == kept
    fitted = s2s.fit(going_on, overwrite=True)
    assert validated("two") == [2]
    shipped = yaml.safe_load(Path("two/bundle/config.json").read_text())["training"]
    assert shipped["step"] == 3 and shipped["seed"] == 1
    best = torch.load("two/checkpoints/best.ckpt", weights_only=True)
    assert best["global_step"] == 3 and fitted.score is not None


def test_a_checkpoint_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    going_on = ["fit", "-c", "mini.yaml", "--ckpt_path", "last"]
    assert main(going_on) == 2
    assert (
        "no checkpoint runs/mini/checkpoints/last.ckpt. There are none; name the run"
        in capsys.readouterr().err
    )
    assert main([*going_on, "--run_folder", "elsewhere"]) == 2
    assert f"(now elsewhere, which is not in {Path.cwd()}); a run started in" in capsys.readouterr().err
    Path("runs/mini").mkdir(parents=True)
    Path("runs/mini/config.yaml").touch()
    assert main(going_on) == 2
    assert "There are none: the run in runs/mini ended before its first checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["validate", "test"])
def test_scoring_a_checkpoint(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "-c", "mini.yaml"])
    assert main([command, "-c", "mini.yaml"]) == 0
    assert "loss" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.encoder.cell", "LSTN"], "unknown cell 'LSTN'; did you mean 'LSTM'?"),
        (["--model.encodr", "Recurrent"], "unknown option 'model.encodr'; did you mean 'model.encoder'?"),
        (["--model.encoder.hidden_sze", "4"], "model.encoder: unknown option 'hidden_sze'; did you mean"),
        (
            ["--model.encoder.cell.reset_befor", "true"],
            "model.encoder.cell: unknown option 'reset_befor'; did you",
        ),
        (["--model.encoder.hidden_size", "x"], "model.encoder.hidden_size: expected int, got 'x'."),
        (["--model.learning_rate", "fast"], "model.learning_rate: expected float, got 'fast'."),
        (
            ["--model.encoder", "null"],
            "model.encoder: expected encoder, one of Convolutional, GNMT, Recurrent, Transformer, got 'None'.",
        ),
        (["--trainer.max_epochs", "many"], "trainer.max_epochs: expected int or null, got 'many'."),
        (
            ["--trainer.precision", "bf16-mixd"],
            "trainer.precision: expected auto or 64 or 32 or 16 or transformer-engine",
        ),
        (
            ["--trainer.accelerator", "gpuu"],
            "trainer.accelerator: unknown accelerator 'gpuu'; did you mean 'gpu'?",
        ),
        (
            ["--trainer.callbacks", "[{class_path: EarlyStoppin}]"],
            "trainer.callbacks: unknown callback 'EarlyStoppin'; did you mean 'EarlyStopping'?",
        ),
        (
            ["--trainer.callbacks", "[LearningRateMonitor, 3]"],
            "trainer.callbacks: unknown callback '3'. Known: DeviceStatsMonitor, ",
        ),
        (
            ["--trainer.callbacks", "[{class_path: EarlyStopping, init_args: {monitor: loss, patience: x}}]"],
            "trainer.callbacks: 'EarlyStopping': patience: expected int, got 'x'. See: s2s fit --help\n",
        ),
        (
            ["--trainer.callbacks", "[LearningRateMonitor, EarlyStopping]"],
            "trainer.callbacks: 'EarlyStopping' needs monitor, without a default; give {class_path: EarlyStopping, "
            "init_args: {monitor: VALUE}}. See: s2s fit --help\n",
        ),
        (
            [
                *("--task", "Seq2Seq"),
                *("--data.tokenizer", "SentencePiece", "--data.tokenizer.symbols", "[<a>, 3]"),
            ],
            "data.tokenizer.symbols: expected str, got '3' in ['<a>', 3]. See: s2s fit --help\n",
        ),
        (
            ["--task", "Seq2Seq", "--model.adam_betas", "[0.9]"],
            "model.adam_betas: expected a list of 2, got '[0.9]'. See: s2s fit --help\n",
        ),
        (
            ["--trainer.devices", "[0, x]"],
            "trainer: `devices` selected with `CPUAccelerator` should be an int > 0.",
        ),
        (["--seed_everything", "-1"], "seed_everything -1 is impossible; it must be from 0 to 4294967295"),
        (["--task", "Mni"], "unknown task 'Mni'; did you mean 'Mini'?"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", "mini.yaml", *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"s2s: error: {message}")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: {warmup_step: 5}", "mine.yaml: unknown option 'model.warmup_step'; did you mean"),
        (
            "model: {encoder: {class_path: Recurrent, init_args: {hiden_size: 5}}}",
            "mine.yaml: encoder 'Recurrent'",
        ),
        ("model: {warmup_steps: many}", "mine.yaml: model.warmup_steps: expected int, got 'many'."),
        ("{model.warmup_steps: many}", "mine.yaml: model.warmup_steps: expected int, got 'many'."),
        ("model: {warmup_steps: 5}", "model.warmup_steps: expected int, got 'much'."),
    ],
)
def test_a_mistake_in_a_file_is_told_with_the_file(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the command line, or a later file, gives the wrong value."""
    Path("mine.yaml").write_text(text)
    Path("other.yaml").write_text("model: {patience: 3}")
    files = ["-c", "demo", "-c", "mine.yaml", "-c", "other.yaml"]
    assert main(["fit", *files, *(["--model.warmup_steps", "much"] if "much" in told else [])]) == 2
    assert capsys.readouterr().err.startswith(f"s2s: error: {told}")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "NoCell",
            "model.encoder.cell: NoCell is no RecurrentCell; derive it from s2s.nn.cell.RecurrentCell. See: ",
        ),
        (
            "WantsMore",
            "cell 'WantsMore': constructor argument 'alpha' of WantsMore has no default and no type; ",
        ),
        (
            "WantsTwo",
            "model.encoder.cell: WantsTwo needs alpha, beta, without a default; give --model.encoder.cell.alpha VALUE "
            "--model.encoder.cell.beta VALUE. See: s2s fit --model.encoder.cell.help WantsTwo",
        ),
    ],
)
def test_a_cell_that_is_none_is_told_what_it_lacks(
    name: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry("cell", name, f"{stand_in.__name__}:{name}", "made-up", "1")
    known = Catalogue([*registry.catalogue().entries(), entry])
    monkeypatch.setattr(registry, "_catalogue", known)
    monkeypatch.setattr("s2s.__main__.use_plugins", lambda **options: known)
    assert main(["fit", "-c", "mini.yaml", "--model.encoder.cell", name]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"s2s: error: {told}")
    assert printed.count("\n") == 1


def test_another_class_where_null_is_allowed_is_told_what_it_is_not() -> None:
    message = (
        'Parser key "data.tokenizer":\n  Does not validate against any of the Union subtypes\n  Subtypes: '
        "[collections.abc.Callable[[], s2s.text.tokenizer.Tokenizer], <class 'NoneType'>]\n  Errors:\n    - Type "
        "collections.abc.Callable[[], s2s.text.tokenizer.Tokenizer] expects a function or a callable class: Expected "
        "'own.Tok' to be a subclass of <class 'Tokenizer'>.. Got value: Namespace(class_path='own.Tok')\n    - "
        "Expected a <class 'NoneType'>\n  Given value type: <class 'str'>\n  Given value: own.Tok"
    )
    assert plain_error(message, "fit") == (
        "data.tokenizer: Tok is no Tokenizer; derive it from s2s.text.tokenizer.Tokenizer. See: s2s plugins check"
    )


def test_what_lacks_an_option_is_named_where_null_is_allowed_too() -> None:
    message = (
        'Parser key "model.decoder":\n  Type collections.abc.Callable expects a callable class: Parser key "attention":'
        "\n    Does not validate against any of the Union subtypes\n    Errors:\n      - Type Callable expects a "
        "callable class: the following arguments are required: must, may\n      - Expected a <class 'NoneType'>\n"
        "    Given value type: <class 'Namespace'>\n    Given value: Namespace(class_path='own.Need', init_args="
        "Namespace(must=None)). Got value: Namespace(class_path='s2s_plugins.decoders.recurrent.RecurrentDecoder')"
    )
    assert plain_error(message, "fit") == (
        "model.decoder.attention: own.Need needs must, may, without a default; give --model.decoder.attention.must "
        "VALUE --model.decoder.attention.may VALUE. See: s2s fit --model.decoder.attention.help own.Need"
    )


def test_a_parser_message_of_another_kind_is_still_one_line() -> None:
    assert plain_error("something\n  else", "fit") == "something else See: s2s fit --help"


def test_help_fits_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", "mini.yaml", "--help"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 70
    assert max(len(line) for line in printed.splitlines()) <= 110
    for line in (
        "  --model.encoder ENCODER         What reads the sequence (default: Recurrent)",
        "  --data.size INT                 How many (default: 8)",
        "  --trainer.max_epochs INT        stop after this many epochs; -1: never; the default applies without",
    ):
        assert line in printed.splitlines()
    assert "Callable" not in printed
    main(["fit", "--help.trainer"])
    assert "--trainer.detect_anomaly true|false" in capsys.readouterr().out


def test_help_of_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--model.encoder.cell.help=LSTM"], ["--model.encoder.cell.help", "LSTM"]):
        assert main(["fit", *words]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("cell LSTM, from s2s ")
        assert "--model.encoder.cell.forget_bias NUMBER" in printed
    assert main(["fit", "--model.encoder.cell.help"]) == 0
    assert f"one of {', '.join(registry.catalogue().names('cell'))}" in capsys.readouterr().out
    assert main(["fit", "--model.encoder.cell.help=LSTN"]) == 2


def test_the_configuration_can_be_printed_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", "mini.yaml", "--print_config", "--model.tie_head", "true"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["tie_head"] is True
    assert printed["model"]["encoder"]["class_path"] == "Recurrent"
    assert not Path("runs").exists()


def test_fit_from_python_takes_the_same_path() -> None:
    fitted = s2s.fit("mini.yaml", **{"model.encoder.cell": "LSTM", "trainer.max_epochs": 2}, run_folder="py")
    assert fitted.run_folder == Path("py")
    assert isinstance(fitted.module, stand_in.MiniModule)
    assert fitted.score is not None and fitted.score >= 0
    assert fitted.bundle is None
    main(["fit", "-c", "mini.yaml", "--model.encoder.cell", "LSTM", "--trainer.max_epochs", "2"])
    shell, python = weights("runs/mini/checkpoints/last.ckpt"), weights("py/checkpoints/last.ckpt")
    assert all(torch.equal(shell[name], python[name]) for name in shell)


def test_fit_takes_a_mapping_with_dotted_keys_too() -> None:
    config = {"task": "Mini", "model.encoder.cell": "GRU", "trainer": {"max_epochs": 1, "logger": False}}
    s2s.fit(config, trainer={"enable_progress_bar": False}, run_folder="py")
    assert saved("py/config.yaml")["model"]["encoder"]["init_args"]["cell"]["class_path"] == "GRU"


def test_fit_takes_paths_and_callbacks() -> None:
    class Counter(Callback):
        batches = 0

        def on_train_batch_end(self, *arguments: object) -> None:
            self.batches += 1

    counter = Counter()
    s2s.fit(Path("mini.yaml"), run_folder=Path("py"), callbacks=[counter])
    assert counter.batches == 2  # 8 sequences in batches of 4
    assert Path("py/checkpoints/last.ckpt").is_file()


def test_no_more_threads_than_a_container_may_keep_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Threads(Callback):
        seen: ClassVar[set[int]] = set()

        def on_train_batch_end(self, *arguments: object) -> None:
            self.seen.add(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        monkeypatch.setattr(cores, "container_cores", lambda: 1.0)
        s2s.fit("mini.yaml", run_folder="py", callbacks=Threads())
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert Threads.seen == {1}


def test_ctrl_c_tells_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupt(Callback):
        def on_train_epoch_end(self, *arguments: object) -> None:
            raise KeyboardInterrupt

    main(["fit", "-c", "mini.yaml"])
    real = stand_in.Mini.callbacks
    monkeypatch.setattr(stand_in.Mini, "callbacks", lambda folder: [Interrupt(), *real(folder)])
    assert main(["fit", "-c", "mini.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "3"]) == 130
    told = capsys.readouterr().err
    (command,) = re.findall("To resume later: s2s (.*)\n", told)
    assert told.endswith("s2s: stopped\n")
    monkeypatch.setattr(stand_in.Mini, "callbacks", real)
    assert main(shlex.split(command)) == 0
    assert "resuming from epoch" in capsys.readouterr().err


def test_fit_says_what_a_configuration_cannot_hold() -> None:
    with pytest.raises(ConfigError, match="holds an object that a configuration cannot hold"):
        s2s.fit("mini.yaml", trainer={"callbacks": [Callback()]})


def test_fit_raises_what_the_command_prints() -> None:
    with pytest.raises(
        ConfigError, match="unknown option 'model.lerning_rate'; did you mean 'model.learning_rate'"
    ):
        s2s.fit("mini.yaml", **{"model.lerning_rate": 1})


def test_a_run_warns_of_nothing_that_its_user_cannot_mend() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        main(["fit", "-c", "mini.yaml"])
    assert [str(w.message) for w in caught] == []


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("y\n", True), ("YES\n", True), ("\n", False), ("no\n", False)]
)
def test_at_a_terminal_another_configuration_is_asked_about(
    answer: str, goes_on: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    main(["fit", "-c", "mini.yaml"])
    going_on = ["fit", "-c", "mini.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"]
    other = ["--model.learning_rate", "0.5", "--model.second_encoder", "Recurrent"]
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", Terminal())
    status = main([*going_on, *other[:2]])
    told = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert told.startswith(
        "The configuration differs from that of the run to resume:\n  model.learning_rate was 0.01, now 0.5\n"
        "Resume anyway? [y/N] "
    )
    assert status == (0 if goes_on else 2)
    assert ("not resumed; set the old values, or start a new run" in told) != goes_on
    # the same configuration is nothing to ask about
    monkeypatch.setattr("sys.stdin", Terminal(""))
    again = [*going_on[:-1], "3", *(other[:2] if goes_on else [])]
    assert main(again) == 0


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (5, "what it holds under its names is not what `s2s fit` saves; get it again"),
        ({"config": 1}, "what it holds under its names is not what `s2s fit` saves; get it again"),
        (
            {"config": "a: 1", "rows": "x"},
            "what it holds under its names is not what `s2s fit` saves; get it",
        ),
        ({"config": "a: ["}, "the configuration in it cannot be read (expected the node content, but found"),
        ({"config": "[" * 100_000}, "the configuration in it cannot be read (it is nested too deeply)"),
        (
            {"config": "a: &a [*a]"},
            "the configuration in it cannot be read (it has more than 1,000,000 values",
        ),
        ({"config": "5"}, "the configuration in it cannot be read (it is no mapping)"),
        ({"config": "a: !!bool x"}, "the configuration in it cannot be read (it holds a value that its tag"),
    ],
)
def test_a_checkpoint_whose_run_is_spoilt_is_refused(
    run: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["fit", "-c", "mini.yaml"])
    loaded = torch.load("runs/mini/checkpoints/last.ckpt", weights_only=True)
    torch.save({**loaded, "run": run}, "r.ckpt")
    capsys.readouterr()
    assert main(["fit", "-c", "mini.yaml", "--ckpt_path", "r.ckpt", "--run_folder", "other"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"s2s: error: r.ckpt is damaged: {message}") and told.count("\n") == 1


def test_what_a_checkpoint_says_is_told_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "-c", "mini.yaml"])
    loaded = torch.load("runs/mini/checkpoints/last.ckpt", weights_only=True)
    aliases = "task: &a [x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcde", "bcdef", strict=True)
    )
    torch.save({**loaded, "run": {"config": aliases + "model: *f", "rows": 0}}, "r.ckpt")
    capsys.readouterr()
    assert main(["fit", "-c", "mini.yaml", "--ckpt_path", "r.ckpt", "--run_folder", "other"]) == 2
    told = capsys.readouterr().err
    assert "the configuration differs from that of the run to resume: " in told and len(told) < 2_000


def test_without_a_terminal_another_configuration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "-c", "mini.yaml"])
    kept = contents("runs/mini")
    other = ["fit", "-c", "mini.yaml", "--ckpt_path", "last", "--model.encoder", "Transformer"]
    assert main(other) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "s2s: error: the configuration differs from that of the run to resume: model.encoder was "
    )
    assert (
        "Recurrent, now Transformer. Set the old values, or resume anyway: --accept_changes true; or" in told
    )
    assert contents("runs/mini") == kept


@pytest.mark.usefixtures("hangups_are_heard")
@pytest.mark.parametrize(("sent", "status"), [("SIGTERM", 143), ("SIGUSR1", 138), ("SIGHUP", 129)])
def test_the_end_of_a_job_tells_how_to_go_on(
    sent: str, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class End(Callback):
        def on_train_epoch_end(self, *arguments: object) -> None:
            signal.raise_signal(signal.Signals[sent])

    main(["fit", "-c", "mini.yaml"])
    real = stand_in.Mini.callbacks
    monkeypatch.setattr(stand_in.Mini, "callbacks", lambda folder: [End(), *real(folder)])
    monkeypatch.setattr(catalogue(), "plugin_dirs", [Path("my cells.py")])
    assert main(["fit", "-c", "mini.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "3"]) == status
    told = capsys.readouterr().err
    command = r"s2s --plugin-dir 'my cells.py' fit -c \S+ --ckpt_path last"
    assert re.search(rf"To resume later: {command}\ns2s: stopped by {sent}\n$", told)
    assert signal.getsignal(signal.Signals[sent]) is signal.SIG_DFL


def test_a_training_that_nobody_listens_to_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody_reads() as pipe, nobody_reads() as errors:
        monkeypatch.setattr(sys, "stdout", pipe)
        monkeypatch.setattr(sys, "stderr", errors)
        assert main(["fit", "-c", "mini.yaml"]) == 0
    assert Path("runs/mini/checkpoints/last.ckpt").is_file()


def test_a_training_without_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    fitted = s2s.fit({**SMALL, "data.train": pairs("train.tsv", 4), "trainer.enable_progress_bar": False})
    assert fitted.bundle is not None
    told = capsys.readouterr()
    assert "model: " in told.err and "model: " not in told.out


def test_a_run_whose_time_is_used_up_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    limits = ["--trainer.max_epochs", "100000", "--trainer.max_time", "00:00:00:01"]
    assert main(["fit", "-c", "mini.yaml", *limits]) == 0
    assert main(["fit", "-c", "mini.yaml", *limits, "--ckpt_path", "last"]) == 0
    assert "and the maximum time is used up; raise --trainer.max_time" in capsys.readouterr().err


def test_a_callback_is_added_to_those_of_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    keeping = "{class_path: ModelCheckpoint, init_args: {save_top_k: -1}}"
    Path("more.yaml").write_text("trainer: {callbacks: [LearningRateMonitor]}")
    for given in (
        [f"--trainer.callbacks+={keeping}"],
        ["--trainer.callbacks+", f"[{keeping}, ModelSummary]"],
    ):
        assert main(["fit", "-c", "mini.yaml", "-c", "more.yaml", *given, "--print_config"]) == 0
        callbacks = yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"]
        names = [callback["class_path"].rpartition(".")[2] for callback in callbacks]
        assert names[:2] == ["LearningRateMonitor", "ModelCheckpoint"]
        assert callbacks[1]["init_args"]["save_top_k"] == -1
    assert names[2:] == ["ModelSummary"]
    assert main(["fit", "-c", "mini.yaml", "--trainer.callbacks+=os.system"]) == 2
    assert "trainer.callbacks: unknown callback 'os.system'" in capsys.readouterr().err
    assert main(["fit", "-c", "mini.yaml", "--trainer.max_steps+=1"]) == 2
    assert "unknown option 'trainer.max_steps+'; did you mean 'trainer.max_steps'?" in capsys.readouterr().err


def test_a_timer_is_named_without_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", "mini.yaml", "--trainer.callbacks", "[Timer]"]) == 0
    assert saved()["trainer"]["callbacks"][0]["class_path"] == "pytorch_lightning.callbacks.Timer"
    assert main(["fit", "-c", "runs/mini/config.yaml", "--ckpt_path", "last"]) == 0
    assert "nothing left to train" in capsys.readouterr().err


def test_machines_that_nothing_is_said_of_are_not_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert main(["fit", "-c", "mini.yaml", "--trainer.num_nodes", "2"]) == 2
    assert "trainer.num_nodes is 2, but no cluster environment is" in capsys.readouterr().err
    assert not Path("runs/mini").exists()


def test_a_figure_that_is_watched_and_not_logged_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    watching = "[{class_path: EarlyStopping, init_args: {monitor: val_bleu}}]"
    assert main(["fit", "-c", "mini.yaml", "--trainer.callbacks", watching]) == 2
    assert "trainer: Early stopping conditioned on metric `val_bleu`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "limit"), [("validate", "limit_val_batches"), ("test", "limit_test_batches")]
)
def test_a_score_of_nothing_is_refused(command: str, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", "-c", "mini.yaml"])
    capsys.readouterr()
    assert main([command, "-c", "mini.yaml", f"--trainer.{limit}", "0"]) == 2
    assert (
        f"trainer.{limit} 0 is impossible; it must be above 0, or there is nothing" in capsys.readouterr().err
    )
    assert main([command, "-c", "mini.yaml", "--trainer.enable_checkpointing", "false"]) == 2
    assert "trainer.enable_checkpointing false is impossible; it must be true" in capsys.readouterr().err
    assert main([command, "-c", "mini.yaml", f"--trainer.{limit}", "0.1"]) == 2
    assert f"Please increase the `{limit}` argument" in capsys.readouterr().err


def test_numbers_of_numpy_and_a_single_callback_are_taken() -> None:
    class Count(Callback):
        steps = 0

        def on_train_batch_end(self, *_: object) -> None:
            self.steps += 1

    count = Count()
    sizes = {"model.learning_rate": np.float32(0.5), "trainer.max_epochs": np.int64(1)}
    s2s.fit("mini.yaml", callbacks=count, **sizes)
    assert count.steps == 2 and saved("runs/mini/config.yaml")["model"]["learning_rate"] == 0.5


def test_the_scored_checkpoint_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "-c", "mini.yaml", "--trainer.max_epochs", "2"]) == 0
    capsys.readouterr()
    assert main(["validate", "-c", "mini.yaml", "--ckpt_path", "last"]) == 0
    assert "checkpoint: runs/mini/checkpoints/last.ckpt (epoch 2, step 4)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.max_epochs", "0"], "trainer.max_epochs 0 is impossible; it must be at least 1"),
        (
            ["--model.schedule", "cosine", "--trainer.max_epochs", "-1", "--model.patience", "3"],
            "schedule 'cosine' needs to know when training ends, but epochs and steps are unlimited; set",
        ),
        (["--trainer.max_steps", "0"], "trainer.max_steps 0 is impossible; it must be at least 1"),
        (
            ["--trainer.limit_train_batches", "0"],
            "trainer.limit_train_batches 0 is impossible; it must be above",
        ),
        (["--trainer.accumulate_grad_batches", "0"], "trainer.accumulate_grad_batches 0 is impossible"),
        (
            ["--trainer.overfit_batches", "2"],
            "trainer.overfit_batches 2 is impossible; it must be 0: instead, limit the",
        ),
        (
            ["--trainer.enable_checkpointing", "false"],
            "trainer.enable_checkpointing false is impossible; it must be true: the bundle is made from a checkpoint",
        ),
        (
            ["--trainer.barebones", "true"],
            "trainer.barebones true is impossible; it must be false: it saves no checkpoint for the bundle",
        ),
        (
            ["--model.metric", "[BLEU, ChrF]"],
            "model.metric is [BLEU, ChrF], but takes one metric, one of BLEU",
        ),
        (
            ["--trainer.precision", "bf16-true"],
            "trainer.precision bf16-true is impossible; it must be 32-true, bf",
        ),
        (["--data.num_workers", "-1"], "data.num_workers -1 is impossible; it must be at least 0"),
        (["--data.train", "{path: 3}"], "path of a corpus is 3; it must be the name of a file"),
        (["--model.weight_decay", "-1"], "model.weight_decay -1.0 is impossible; it must be 0 or more"),
        (
            ["--model.adam_betas", "[0.9, 1.0]"],
            "model.adam_betas (0.9, 1.0) is impossible; it must be at least 0",
        ),
        (
            ["--model.patience", "-1"],
            "model.patience -1 is impossible; it must be at least 0, or null: never",
        ),
        (
            ["--model.plateau_patience", "-1"],
            "model.plateau_patience -1 is impossible; it must be at least 0",
        ),
        (["--trainer.gradient_clip_val", "-1.5"], "trainer.gradient_clip_val -1.5 is impossible"),
        (["--model.learning_rate", "-1"], "model.learning_rate -1.0 is impossible; it must be 0 or more"),
        (["--model.warmup_steps", "-5"], "model.warmup_steps -5 is impossible; it must be at least 0"),
        (
            ["--model.average_decay", "1.5"],
            "model.average_decay 1.5 is impossible; it must be at least 0 and",
        ),
        (["--model.test_search", "{class_path: Beam, init_args: {size: 0}}"], "beam size 0 is impossible"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "-c", "demo", *options]) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs/demo").exists()


def test_a_training_without_recipe_or_data_is_told_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit"]) == 2
    names = "-c aeslc, -c aeslc-lm, -c airline-passengers, -c default, "
    told = capsys.readouterr().err
    assert told.startswith(f"s2s: error: no data: name a recipe ({names}")
    assert told.endswith(") or give text: --data.train SOURCE,TARGET\n")


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("LanguageModel", "text: --data.train TEXTS.txt"),
        ("SequenceLabelling", "words with their labels: --data.train WORDS.conllu"),
        ("SequenceClassification", "texts with their classes: --data.train TEXTS.tsv"),
        ("Forecast", "a series: --data.train SERIES.csv"),
    ],
)
def test_each_task_says_what_it_reads(task: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--task", task]) == 2
    assert capsys.readouterr().err.endswith(f") or give {wanted}\n")


INTERRUPTED = """
import sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy.matrixlib":
            sys.meta_path.remove(self)
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
from s2s.__main__ import main
sys.exit(main(["fit", "--model.there_is_no_such_option", "1"]))
"""


def test_an_interrupt_while_numpy_is_imported_ends_the_program() -> None:
    # torch drops it, and training would fail later for lack of half of numpy.
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "s2s: stopped\n")
