"""The run folder: used by one run at a time, and never overwritten or resumed by accident."""

import os
import platform
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_only

from s2s.durable import Lock, make_folder, write_durably, writing
from s2s.errors import BundleError, ConfigError
from s2s.inference.checkpoint import read_checkpoint
from s2s.training import bad_batches
from s2s.training.changes import changes
from s2s.training.datamodule import KeepsTokenizers
from s2s.training.metrics_table import MetricsTable
from s2s.training.scored_set import files_of_tests

CHECKPOINTS = "checkpoints"
RUN_LOCK = "run.lock"
BUNDLE = "bundle"
TOKENIZERS = "tokenizers"
METRICS = "metrics.csv"
REPLACED = ".replaced"
"""Where the replaced run is kept until the new one has made its first step."""
_OF_A_RUN = (CHECKPOINTS, BUNDLE, bad_batches.FOLDER, TOKENIZERS, METRICS, "config.yaml", "hparams.yaml")


class RunFolder(Callback):
    """Manages a run folder: locks it for one run at a time, and saves the run's configuration.

    The lock is held from construction until `release`.

    Args:
        folder: The folder.
        config_text: The contents of `config.yaml`; a resumed run rewrites it.
        resume_from: The checkpoint to resume from, if any; one in the folder belongs to the run there.
        overwrite: Whether an existing run may be deleted.
        start_from: The bundle that training starts from, if any.
        accept_changes: Whether the run may be resumed with a changed configuration.
        table: What the run has logged.

    Attributes:
        replaces: Whether there is a run that will be deleted once the new one has made a step.
        goes_on: Whether the existing run is resumed.

    Raises:
        BundleError: the checkpoint is damaged, or is no checkpoint.
        ConfigError: there is a run that may neither be resumed nor deleted, or that the new run starts from; or it is
            running now; or the configuration differs from that of the run to resume, and the changes are not accepted.
        WriteError: nothing can be written there.
    """

    def __init__(
        self,
        folder: Path,
        config_text: str,
        *,
        resume_from: str | None = None,
        overwrite: bool,
        start_from: str | None = None,
        accept_changes: bool = False,
        table: MetricsTable | None = None,
    ) -> None:
        self._folder = folder
        self._table = table
        self._config_text = config_text
        self._lock: Lock | None = None
        self._aside = False
        try:
            if getattr(rank_zero_only, "rank", 0) == 0:
                self._hold()
                self._put_back()  # a run that was to replace this one was killed before its first step
            self._decide(resume_from, overwrite, start_from)
            if resume_from is not None and not accept_changes:
                _ask_about_changes(resume_from, config_text)
        except BaseException:
            self.release()
            raise

    def _hold(self) -> None:
        path = self._folder / RUN_LOCK
        with writing(path):
            try:
                self._lock = Lock.of_new_file(path, folder_too=True)
            except BlockingIOError as error:
                raise ConfigError(
                    f"another run is using {self._folder} (process {_holder(path)}). Let it end, stop it, or choose "
                    "another folder: --run_folder ANOTHER"
                ) from error
            path.write_text(f"{os.getpid()} on {platform.node()}", encoding="utf-8")

    def _decide(self, resume_from: str | None, overwrite: bool, start_from: str | None) -> None:
        folder = self._folder
        there = any((folder / CHECKPOINTS).glob("*.ckpt")) or (folder / BUNDLE).is_dir()
        self._resume_from = resume_from
        self.goes_on = lies_in(resume_from, folder)
        self.replaces = there and not self.goes_on
        # Named before loggers open, which write files like these.
        self._old_logs = [*folder.glob("events.out.tfevents.*")] if self.replaces else []
        if self.replaces and overwrite and lies_in(start_from, folder):
            raise ConfigError(
                f"model.start_from is {start_from}, in the folder {folder} that --overwrite replaces; "
                "name another folder: --run_folder ANOTHER"
            )
        if self.replaces and not overwrite and resume_from is not None:
            raise ConfigError(
                f"{folder} holds a different run than {resume_from}. To keep it: --run_folder ANOTHER; to replace it: "
                "--overwrite true"
            )
        if self.replaces and not overwrite:
            raise ConfigError(
                f"{folder} already holds a run. To resume it: --ckpt_path last; to keep it: --run_folder ANOTHER; "
                "to replace it: --overwrite true"
            )

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the run's configuration, and how many rows of its table belong to the checkpoint."""
        rows = 0 if self._table is None else self._table.rows
        checkpoint["run"] = {"config": self._config_text, "rows": rows}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the old run aside and write the new one's files, on the first process.

        Most errors occur before this, or at the first step, up to which the old run can be restored.
        """
        if not trainer.is_global_zero:
            return
        if self.replaces:
            self.replaces = False
            self._put_aside()
        if self._table is not None:
            goes_on = self.goes_on and self._resume_from is not None
            self._table.keep(progress_of(str(self._resume_from)).rows if goes_on else 0)
        make_folder(self._folder)
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, KeepsTokenizers):
            data.save_tokenizers(self._folder / TOKENIZERS)
        write_durably(self._folder / "config.yaml", self._config_text)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Delete the replaced run after the first step of the new one."""
        if trainer.global_step > 0:
            self._delete_replaced()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Delete the replaced run also if there was nothing to train."""
        self._delete_replaced()

    def _delete_replaced(self) -> None:
        if self._aside:
            self._aside = False
            shutil.rmtree(self._folder / REPLACED)

    def _put_aside(self) -> None:
        aside = self._folder / REPLACED
        make_folder(aside)
        self._aside = True
        named = [self._folder / name for name in _OF_A_RUN]
        for old in [*named, *self._old_logs, *files_of_tests(self._folder)]:
            if old.exists():
                old.rename(aside / old.name)

    def _put_back(self) -> None:
        """Restore the old run, if one was put aside and not deleted."""
        aside = self._folder / REPLACED
        if not aside.is_dir():
            return
        for old in aside.iterdir():
            new = self._folder / old.name
            if new.is_dir():
                shutil.rmtree(new)
            old.replace(new)
        aside.rmdir()

    def release(self) -> None:
        """Unlock the folder for other runs; it is removed if it is empty."""
        if self._aside:
            self._aside = False
            with suppress(OSError):  # the next run in the folder tries again
                self._put_back()
        if self._lock is not None:
            self._lock.remove()
            self._lock = None
            with suppress(OSError):
                self._folder.rmdir()


def _holder(path: Path) -> str:
    with suppress(OSError):  # it may end just now
        return path.read_text(encoding="utf-8", errors="replace") or "?"
    return "?"


def lies_in(path: str | None, folder: Path) -> bool:
    """Whether a path is given and is inside a folder."""
    return path is not None and Path(path).resolve().is_relative_to(folder.resolve())


def named_checkpoint(wanted: str | None, run_folder: Path) -> str | None:
    """`last` and `best` are looked up in the run folder; anything else is a path."""
    if wanted is None:
        return None
    path = run_folder / CHECKPOINTS / f"{wanted}.ckpt" if wanted in ("last", "best") else Path(wanted)
    if not path.is_file():
        there = sorted(str(p) for p in (run_folder / CHECKPOINTS).glob("*.ckpt"))
        raise ConfigError(f"ckpt_path: no checkpoint {path}. {_instead(there, run_folder)}")
    return str(path)


def _instead(there: list[str], run_folder: Path) -> str:
    if there:
        return f"There are: {', '.join(there)}"
    if (run_folder / "config.yaml").is_file():
        return (
            f"There are none: the run in {run_folder} ended before its first checkpoint; start it again with the same "
            "command without --ckpt_path"
        )
    missing = "" if run_folder.is_dir() else f", which is not in {Path.cwd()}"
    return (
        f"There are none; name the run: -c FOLDER/config.yaml, or --run_folder FOLDER (now {run_folder}{missing}); a "
        "run started in another folder needs --run_folder"
    )


class Progress(NamedTuple):
    """Progress of a checkpoint: its epoch, from 1, and the optimizer steps done.

    Also what `RunFolder` saves of the run: its configuration, and the number of rows of its table.
    """

    epoch: int
    step: int
    config: str
    rows: int


def progress_of(checkpoint: str) -> Progress:
    """Read the progress of a checkpoint.

    Raises:
        BundleError: it is damaged, or is no checkpoint.
    """
    loaded = read_checkpoint(Path(checkpoint))
    run = loaded.get("run", {})  # none of a Trainer without a run folder
    return Progress(
        int(loaded["epoch"]) + 1, int(loaded["global_step"]), run.get("config", ""), run.get("rows", 0)
    )


def _ask_about_changes(checkpoint: str, now: str) -> None:
    """Ask on a terminal whether a run may be resumed with a changed configuration.

    Raises:
        BundleError: the checkpoint is damaged, or is no checkpoint.
        ConfigError: there is no terminal, or the answer is no.
    """
    then = progress_of(checkpoint).config
    try:
        found = changes(then, now) if then else []
    except (ValueError, yaml.YAMLError) as error:
        raise BundleError(
            f"{checkpoint} is damaged: the configuration in it cannot be read "
            f"({getattr(error, 'problem', None) or error}); resume from another checkpoint of the run, or get it again"
        ) from error
    if not found:
        return
    fixed = [change.key for change in found if change.is_fixed]
    if fixed:
        raise ConfigError(
            f"the configuration differs from that of the run to resume: {'; '.join(map(str, found))}. Within a run "
            f"{' and '.join(fixed)} cannot change: set the old value, or start a new run with --model.start_from BUNDLE"
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(
            f"the configuration differs from that of the run to resume: {'; '.join(map(str, found))}. Set the old "
            "values, or resume anyway: --accept_changes true; or start a new run with --model.start_from BUNDLE"
        )
    if getattr(rank_zero_only, "rank", 0) != 0:
        return  # the first asks
    print("The configuration differs from that of the run to resume:", file=sys.stderr)
    for change in found:
        print(f"  {change}", file=sys.stderr)
    print("Resume anyway? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError(
            "not resumed; set the old values, or start a new run with --model.start_from BUNDLE"
        )
