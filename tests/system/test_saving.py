"""What a training leaves when it cannot write, and who may write where another is at work."""

import errno
import io
import os
import platform
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import s2s
from s2s.errors import WriteError
from s2s.training.lightning_cli import TaskCLI
from s2s.training.run_folder import RunFolder
from tests.system.test_run_folder import options

__all__ = ["options"]


@pytest.fixture(autouse=True)
def without_limit() -> Iterator[None]:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    signal.signal(signal.SIGXFSZ, ignored)


class Full(Callback):
    """From the third epoch on the system lets no file grow beyond 1,000 bytes, as if its disk were full."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 2:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))


def test_a_full_disk_in_the_middle_of_training(options: dict[str, Any], tmp_path: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = tmp_path / "run"
    with pytest.raises(
        WriteError,
        match=rf"^cannot write {run}/checkpoints/last.ckpt: File too large; .*\. Training is saved up to epoch 2, "
        rf"step 12; to resume from there: s2s fit -c {run}/config.yaml --ckpt_path last$",
    ):
        s2s.fit(options, callbacks=[Full()])
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 12
    assert os.listdir(run / "checkpoints") == ["last.ckpt"]
    assert s2s.fit({**options, "ckpt_path": "last"}).bundle is not None
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 24


def test_what_others_cannot_write_is_told_as_well(options: dict[str, Any], tmp_path: Path) -> None:
    class Logging(Callback):
        def __init__(self, error: OSError) -> None:
            self.error = error

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                raise self.error

    log = str(tmp_path / "run" / "metrics.csv")
    for error in (OSError(errno.ENOSPC, "full", log), FileNotFoundError(errno.ENOENT, "gone", log)):
        with pytest.raises(
            WriteError, match=f"^cannot write {log}: .* Training is saved up to epoch 1, step 6"
        ):
            s2s.fit({**options, "overwrite": True}, callbacks=[Logging(error)])
    with pytest.raises(FileNotFoundError, match="gone"):  # of another file: that is no matter of writing
        s2s.fit(
            {**options, "overwrite": True}, callbacks=[Logging(FileNotFoundError(errno.ENOENT, "gone", "a"))]
        )


def test_a_disk_that_is_full_from_the_start(options: dict[str, Any], tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    with (
        pytest.raises(
            WriteError, match=r"cannot write .*: File too large; the limit on the size of files is reached"
        ) as failed,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):  # else files of pytest's
        s2s.fit(options)
    assert "ckpt_path" not in str(failed.value)  # there is nothing to go on from


def test_the_run_folder_vanishes(options: dict[str, Any], tmp_path: Path) -> None:
    class Vanishing(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 2:
                shutil.rmtree(tmp_path / "run")

    fitted = s2s.fit(options, callbacks=[Vanishing()])
    assert fitted.bundle is not None and s2s.Translator.load(fitted.bundle).translate(["a g"])


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"
)  # TensorBoard writes by a thread
def test_the_run_folder_vanishes_with_the_loggers_that_are_usual(
    options: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"

    class Vanishing(Callback):
        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 2:
                shutil.rmtree(run)

    usual = {**options, "trainer.logger": True, "overwrite": True}
    gone = rf"^cannot write {run}/events\..*: No such file .* create it \(mkdir -p\)"
    with pytest.raises(WriteError, match=gone):  # the next curve comes before the next checkpoint
        s2s.fit({**usual, "trainer.log_every_n_steps": 1}, callbacks=[Vanishing()])
    # The third epoch ends with step 18: its checkpoint makes the folder, and what is logged comes at 20.
    usual["trainer.log_every_n_steps"] = 10
    assert s2s.fit(usual, callbacks=[Vanishing()]).bundle is not None
    rows = (run / "metrics.csv").read_text().splitlines()
    assert len(rows) == 2 and "train_loss" in rows[0].split(",")
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["run"]["rows"] == 1
    s2s.fit({**usual, "overwrite": False, "ckpt_path": "last", "trainer.max_epochs": 6})
    assert (run / "metrics.csv").read_text().splitlines()[:2] == rows


def test_two_runs_in_one_folder(options: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    run = tmp_path / "run"
    other = RunFolder(run, "", overwrite=False)
    whose = rf"process {os.getpid()} on {platform.node()}"
    with pytest.raises(
        s2s.ConfigError,
        match=rf"^another run is using {run} \({whose}\)\. Let it end, stop it, or choose another folder: --run_folder",
    ):
        s2s.fit(options)
    assert os.listdir(run) == ["run.lock"]
    other.release()
    assert not run.exists()
    assert s2s.fit(options).bundle is not None
    assert "run.lock" not in os.listdir(run)


def test_a_run_that_was_killed_holds_nothing(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.lock").write_text("1 on a machine of long ago")
    assert s2s.fit(options).bundle is not None
    with pytest.raises(s2s.ConfigError, match="already holds a run"):
        s2s.fit(options)
    with pytest.raises(s2s.ConfigError, match="already holds a run"):  # and not that one is at work
        s2s.fit(options)


@pytest.mark.parametrize("spoils", ["checkpoint", "configuration"])
def test_a_run_that_does_not_begin_holds_nothing(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoils: str
) -> None:
    """Though its error, and with it all that it has made, is kept."""
    if spoils == "checkpoint":
        (tmp_path / "junk.ckpt").write_bytes(b"no checkpoint")
        wrong = {"ckpt_path": str(tmp_path / "junk.ckpt"), "accept_changes": True}
    else:
        wrong = {}
        monkeypatch.setattr(TaskCLI, "without_end", _no_configuration)
    with pytest.raises(s2s.errors.S2SError) as failed:
        s2s.fit({**options, **wrong})
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    assert s2s.fit(options).bundle is not None
    assert failed.value is not None


def _no_configuration(self: TaskCLI) -> str:
    raise s2s.ConfigError("made up")


def test_a_lock_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"

    def full(self: Path, *_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WriteError, match=f"^cannot write {run}/run.lock: No space left") as failed:
        RunFolder(run, "", overwrite=False)
    assert not run.exists() and failed.value is not None
    monkeypatch.undo()
    RunFolder(run, "", overwrite=False).release()
    assert not run.exists()
