"""`s2s fit`, `validate` and `test`, and `s2s.fit`: they run the trainer and report to the user."""

import logging
import math
import os
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy  # noqa: F401, ICN001 - before torch, which drops a Ctrl-C while it imports numpy, and goes on without
import yaml
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import Timer
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from s2s.durable import CANNOT_WRITE, writing
from s2s.errors import ConfigError, Terminated, WriteError
from s2s.registry import catalogue
from s2s.streams import Enduring, streams
from s2s.training.callbacks import BestAndLast
from s2s.training.changes import other_text
from s2s.training.datamodule import KeepsTokenizers
from s2s.training.lightning_cli import TaskCLI
from s2s.training.memory import keep_freed_memory
from s2s.training.options import (
    Config,
    Option,
    Written,
    as_text,
    read_command_line,
    read_config,
    task_name,
)
from s2s.training.run_folder import (
    BUNDLE,
    CHECKPOINTS,
    TOKENIZERS,
    Progress,
    lies_in,
    named_checkpoint,
    progress_of,
)
from s2s.training.short_help import help_asked_for
from s2s.training.task import Task, TaskModule
from s2s.training.threads import no_more_threads_than_cores


@dataclass(frozen=True)
class Fitted:
    """What `s2s.fit` returns.

    Attributes:
        module: The trained LightningModule.
        score: The best value of the monitored metric; None if nothing was monitored.
        bundle: The folder that `s2s translate` and `s2s.Translator` load; None if the task writes none.
        run_folder: The folder with checkpoints, logs and the configuration of the run.
    """

    module: LightningModule = field(repr=False)
    score: float | None
    bundle: Path | None
    run_folder: Path


def fit(
    config: str | Path | Mapping[str, Any] | None = None,
    /,
    *,
    callbacks: Callback | Sequence[Callback] = (),
    **overrides: Any,
) -> Fitted:
    """Train, as `s2s fit -c config --key value` does.

    Args:
        config: A recipe's name, a YAML file, or a mapping; its keys may be dotted.
        callbacks: Lightning callbacks of your own, in addition to those of the task; one, or several.
        **overrides: Options, by their dotted keys (`**{"model.encoder.cell": "GRU"}`) or as mappings
            (`trainer={"max_epochs": 3}`).

    Raises:
        ConfigError: an option or a part that does not exist, or a value that does not fit.
    """
    written: list[Written] = []
    if isinstance(config, Mapping):
        written += _from_mapping(config)
    elif config is not None:
        written.append(read_config(str(config)))
    written += _from_mapping(overrides)
    with quiet():
        several = [callbacks] if isinstance(callbacks, Callback) else callbacks
        return _Run("fit", written, callbacks=several).fit()


def _from_mapping(tree: Mapping[str, Any]) -> list[Written]:
    dotted = {key: value for key, value in tree.items() if "." in key}
    nested = {key: value for key, value in tree.items() if "." not in key}
    written: list[Written] = [Config("", nested)] if nested else []
    written += [Option(key, as_text(value)) for key, value in dotted.items()]
    return written


def run(command: str, argv: Sequence[str], written: list[Written] | None = None) -> int:
    """Run `s2s fit`, `s2s validate` or `s2s test`.

    Args:
        command: which.
        argv: its command line.
        written: what `read_command_line` found in it; None: it is read here.
    """
    with quiet():
        if (asked := help_asked_for(command, argv)) is not None:
            print(asked)
            return 0
        printing = "--print_config" in argv
        if written is None:
            written = read_command_line([word for word in argv if word != "--print_config"])
        started = _Run(command, written, only_print=printing)
        if printing:
            print(started.config_text(), end="")
        elif command == "fit":
            started.fit()
        else:
            started.evaluate(command)
    return 0


class _Run:
    def __init__(
        self,
        command: str,
        written: list[Written],
        *,
        callbacks: Sequence[Callback] = (),
        only_print: bool = False,
    ) -> None:
        task: type[Task] = catalogue().load("task", task_name(written))
        defaults = _from_mapping(task.defaults)
        self._cli = TaskCLI(
            task, [*defaults, *written], command, callbacks=callbacks, instantiate=not only_print
        )

    def config_text(self) -> str:
        return self._cli.config_text()

    def fit(self) -> Fitted:
        try:
            with streams(output=Enduring), no_more_threads_than_cores():
                return self._fit()
        finally:
            self._cli.release()

    def _fit(self) -> Fitted:
        cli = self._cli
        checkpoint = named_checkpoint(cli.config.ckpt_path, cli.run_folder)
        if (loss := cli.without_validation()) is not None and cli.trainer.is_global_zero:
            print(f"s2s: {loss}", file=sys.stderr)
        if (endless := cli.without_end()) is not None and cli.trainer.is_global_zero:
            print(f"s2s: {endless}", file=sys.stderr)
        if (slow := cli.slow_precision()) is not None and cli.trainer.is_global_zero:
            print(f"s2s: {slow}{'' if checkpoint is None else ' --accept_changes true'}", file=sys.stderr)
        begun = None if checkpoint is None else progress_of(checkpoint)
        if begun is not None and cli.trainer.is_global_zero:
            print(f"resuming from epoch {begun.epoch}, step {begun.step}: {checkpoint}", file=sys.stderr)
            with suppress(ValueError, yaml.YAMLError):  # who accepts changes accepts that they cannot be read
                for change in other_text(begun.config, cli.config_text()):
                    print(f"s2s: {change}", file=sys.stderr)
        if isinstance(cli.trainer.accelerator, CPUAccelerator):
            keep_freed_memory()
        cli.model.goes_on = checkpoint is not None
        try:
            with _ctrl_c_as_before(), _told_how_to_go_on(cli.run_folder), _trainers_limits():
                cli.trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as ended:
            told = isinstance(ended, Terminated)
            if not told and not cli.trainer.interrupted:
                raise
            saved = (cli.run_folder / CHECKPOINTS / "last.ckpt").is_file()
            if saved and cli.trainer.is_global_zero:
                print(f"To resume later: {_command_to_go_on(cli.run_folder)}", file=sys.stderr)
            if told:
                launcher = cli.trainer.strategy.launcher
                if isinstance(launcher, _SubprocessScriptLauncher):
                    # As Lightning does after Ctrl-C: they may wait for this process.
                    launcher.kill(signal.SIGKILL)
                raise
            raise KeyboardInterrupt from None  # Ctrl-C, which Lightning makes an exit of
        if begun is not None and cli.trainer.global_step == begun.step and cli.trainer.is_global_zero:
            print(f"nothing left to train: {_limits_reached(begun, cli.trainer)}", file=sys.stderr)
        # A ModelCheckpoint of the user's may come first.
        callbacks = cli.trainer.checkpoint_callbacks
        callback = next((c for c in callbacks if isinstance(c, BestAndLast)), cli.trainer.checkpoint_callback)
        best = getattr(callback, "best_model_score", None)
        bundle = cli.run_folder / BUNDLE
        return Fitted(
            module=cli.model,
            score=None if best is None else float(best),
            bundle=bundle if bundle.is_dir() else None,
            run_folder=cli.run_folder,
        )

    def evaluate(self, command: str) -> None:
        cli = self._cli
        # A run without validation has no best checkpoint, and ships its last.
        kept = [
            name for name in ("best", "last") if (cli.run_folder / CHECKPOINTS / f"{name}.ckpt").is_file()
        ]
        checkpoint = named_checkpoint(cli.config.ckpt_path or [*kept, "best"][0], cli.run_folder)
        assert checkpoint is not None
        # The tokenizers that the weights were trained with: those of the checkpoint's own run, if it is in one.
        for run in (Path(checkpoint).parent.parent, cli.run_folder):
            if isinstance(cli.datamodule, KeepsTokenizers) and (run / TOKENIZERS).is_dir():
                cli.datamodule.load_tokenizers(run / TOKENIZERS)
                break
        scored = progress_of(checkpoint)
        if cli.trainer.is_global_zero:
            print(f"checkpoint: {checkpoint} (epoch {scored.epoch}, step {scored.step})")
            if (slow := cli.slow_precision()) is not None:
                print(f"s2s: {slow}", file=sys.stderr)
        if isinstance(cli.model, TaskModule):
            cli.model.scored_set = cli.scored_set(checkpoint, scored)
        evaluate = getattr(cli.trainer, command)
        # What callbacks keep is for training only.
        warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks used to")
        said = {"test": "on_test_epoch_end", "validate": "on_validation_epoch_end"}[command]
        with _trainers_limits(), no_more_threads_than_cores():
            evaluate(
                cli.model,
                datamodule=cli.datamodule,
                ckpt_path=checkpoint,
                weights_only=True,
                verbose=getattr(type(cli.model), said)
                is getattr(LightningModule, said),  # else the task tells its scores
            )


@contextmanager
def _trainers_limits() -> Iterator[None]:
    """Turn Lightning's late configuration errors, raised when it counts batches or logs, into a `ConfigError`.

    Raises:
        ConfigError: a limit that leaves no batch, a validation interval longer than the epoch, or a monitored metric
            that is not logged.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    except (ValueError, RuntimeError) as error:
        if (
            not str(error)
            .lstrip()
            .startswith(("`val_check_interval`", "Early stopping conditioned on metric"))
        ):
            raise
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error


@contextmanager
def _told_how_to_go_on(folder: Path) -> Iterator[None]:
    """Report the last saved step if a run cannot write; loggers are not ours, and raise the system's own errors."""
    try:
        try:
            yield
        except OSError as error:
            # TensorBoard's file name is bytes, and for a file that is already open it is only a number.
            named = isinstance(error.filename, (str, bytes, Path))
            path = os.fsdecode(error.filename) if named else None
            if error.errno not in CANNOT_WRITE and not lies_in(path, folder):
                raise
            with writing(path or folder):
                raise
    except WriteError as error:
        last = folder / CHECKPOINTS / "last.ckpt"
        if not last.is_file():
            raise
        stands = progress_of(str(last))
        raise WriteError(
            f"{error}. Training is saved up to epoch {stands.epoch}, step {stands.step}; to resume from there: "
            f"{_command_to_go_on(folder)}"
        ) from error


def _command_to_go_on(folder: Path) -> str:
    """The command that resumes a run, no matter whether it was started by a command, the demo or in Python."""
    plugins = [word for path in catalogue().plugin_dirs for word in ("--plugin-dir", str(path))]
    return shlex.join(["s2s", *plugins, "fit", "-c", str(folder / "config.yaml"), "--ckpt_path", "last"])


@contextmanager
def _ctrl_c_as_before() -> Iterator[None]:
    """Restore the Ctrl-C handler: Lightning leaves its own in place, or ignores Ctrl-C once it was pressed."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _limits_reached(begun: Progress, trainer: Trainer) -> str:
    if 0 < trainer.max_steps <= begun.step:
        return f"already at step {begun.step} of {trainer.max_steps}; raise --trainer.max_steps"
    if trainer.max_epochs is not None and 0 < trainer.max_epochs <= begun.epoch:
        return f"already at epoch {begun.epoch} of {trainer.max_epochs}; raise --trainer.max_epochs"
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    if any((timer.time_remaining() or math.inf) <= 0 for timer in timers):
        return f"already at epoch {begun.epoch}, and the maximum time is used up; raise --trainer.max_time"
    return f"already at epoch {begun.epoch}, step {begun.step}, where training stopped"


_NOT_THE_USERS = [
    # Lightning 2.6 calls functions that jsonargparse 4.53 and torch 2.13 deprecate, and recommends workers, which
    # batches made of stored ids do not need.
    r".*jsonargparse.*",
    r".*does not have many workers.*",
    # All ranks compute the same scores from what all of them have decoded.
    r"It is recommended to use `self\.log\(.*sync_dist=True.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r"Total length of `list` across ranks is zero.*",  # no validation text was given, and that is allowed
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*Experiment logs directory .* exists and is not empty.*",
    r"The number of training batches .* is smaller than the logging interval.*",
    r"`max_epochs` was not set\. Setting it to 1000 epochs.*",  # `without_end` says it
]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings that users can do nothing about, and Lightning's advertisements."""
    log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    seeds = logging.getLogger("lightning_fabric.utilities.seed")
    levels = log.level, seeds.level
    with warnings.catch_warnings():
        for message in _NOT_THE_USERS:
            warnings.filterwarnings("ignore", message=message)
        log.setLevel(logging.WARNING)
        seeds.setLevel(logging.WARNING)
        try:
            yield
        finally:
            log.setLevel(levels[0])
            seeds.setLevel(levels[1])
