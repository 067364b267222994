"""`s2s fit`, `validate` and `test`: LightningCLI behind a door that people like.

The task named in the configuration decides the LightningModule and the DataModule before the parser is built,
so these are fixed classes and only their parts vary. What LightningCLI does not do is done before it parses
(names, typos, recipes: options.py) and after it fails (one line for an error, below).
"""

import logging
import math
import os
import re
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

import yaml
from jsonargparse import ArgumentError, Namespace
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.callbacks import ProgressBar, Timer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from s2s.durable import CANNOT_WRITE, writing
from s2s.errors import ConfigError, Terminated, WriteError
from s2s.registry import Entry, catalogue
from s2s.registry.near_names import nearest, unknown
from s2s.registry.parts import kind_of_option, options
from s2s.resources import recipes
from s2s.streams import Enduring, streams
from s2s.training.callbacks import BestAndLast, DurableCheckpoints
from s2s.training.changes import other_text
from s2s.training.datamodule import KeepsTokenizers
from s2s.training.help import (
    choices,
    takes_part,
    type_hints,
)
from s2s.training.loop import stop_and_validate_between_steps
from s2s.training.memory import keep_freed_memory
from s2s.training.metrics_table import MetricsTable
from s2s.training.nameable import LIGHTNING, is_plain
from s2s.training.options import (
    DEFAULT_SEED,
    DEFAULT_TASK,
    LINKED,
    Config,
    Option,
    Vocabulary,
    Written,
    as_text,
    given_value,
    read_command_line,
    read_config,
    task_name,
)
from s2s.training.out_of_memory import train_in_parts_what_does_not_fit
from s2s.training.precision import AUTO, PRECISION, precision_here, precision_to_go_on, slow_precision
from s2s.training.restoring import tell_what_does_not_fit
from s2s.training.run_folder import (
    BUNDLE,
    CHECKPOINTS,
    METRICS,
    TOKENIZERS,
    Progress,
    RunFolder,
    lies_in,
    named_checkpoint,
    progress_of,
)
from s2s.training.scored_set import ScoredSet, name_of, set_of_run
from s2s.training.short_help import help_asked_for
from s2s.training.task import Task, TaskModule
from s2s.training.threads import no_more_threads_than_cores

MOST_SEED = 2**32 - 1
_ROUNDED = ("bf16-true", "16-true")
"""Precisions in which the weights themselves have 16 bits: small steps vanish, and they cannot be drawn on the CPU."""
RUNS = Path("runs")


@dataclass(frozen=True)
class Fitted:
    """What `s2s.fit` returns.

    Attributes:
        module: The trained LightningModule.
        score: The best value of what the checkpoints watch; None if nothing was watched.
        bundle: The folder that `s2s translate` and `s2s.Translator` load; None if the task ships none.
        run_folder: Checkpoints, logs and the configuration of the run.
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
        callbacks: Lightning callbacks of your own, beside those of the task; one, or several.
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


def run(command: str, argv: Sequence[str]) -> int:
    """Run `s2s fit`, `s2s validate` or `s2s test` with a command line."""
    with quiet():
        if (asked := help_asked_for(command, argv)) is not None:
            print(asked)
            return 0
        printing = "--print_config" in argv
        written = read_command_line([word for word in argv if word != "--print_config"])
        started = _Run(command, written, only_print=printing)
        if printing:
            print(started.config_text(), end="")
        elif command == "fit":
            started.fit()
        else:
            started.evaluate(command)
    return 0


class _Parser(LightningArgumentParser):
    """A parser whose errors are ours to tell."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "exit_on_error": False})

    def add_class_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Without `sub_configs`: a value that is the name of a file would be read as a configuration, unchecked."""
        return super().add_class_arguments(*args, **{**kwargs, "sub_configs": False})


class CommandLine(LightningCLI):
    """LightningCLI for one task.

    Args:
        task: The task, a class of kind `task`.
        written: Configurations and options, in order.
        command: `fit`, `validate` or `test`.
        callbacks: Callbacks beside those of the task and of the configuration.
        instantiate: False: read the configuration and stop there.
    """

    def __init__(
        self,
        task: type[Task],
        written: Sequence[Written],
        command: str,
        *,
        callbacks: Sequence[Callback] = (),
        instantiate: bool = True,
    ) -> None:
        self.task = task
        self.written = written
        self.command = command
        self.vocabulary = vocabulary(
            task, command, accelerator=given_value(written, "trainer.accelerator") or "auto"
        )
        self._callbacks = list(callbacks)
        self.keeper: RunFolder | None = None
        self._instantiate = instantiate
        super().__init__(
            task.module,
            task.data,
            run=False,
            save_config_callback=None,
            parser_class=_Parser,
            args=[],
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """A seed that is a number: a run that cannot be repeated is never what is wanted."""
        parser.add_argument("--seed_everything", type=int, default=DEFAULT_SEED)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The options of a run that belong to neither model, data nor trainer."""
        parser.add_argument("--task", type=str, default=DEFAULT_TASK)
        parser.add_argument("--run_folder", type=str | None, default=None)
        parser.add_argument("--ckpt_path", type=str | None, default=None)
        parser.add_argument("--overwrite", type=bool, default=False)
        parser.add_argument("--accept_changes", type=bool, default=False)
        if "seed" in options(self.task.data):
            parser.link_arguments("seed_everything", LINKED)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Check and replace names, parse, and turn the parser's errors into one line."""
        arguments = self.vocabulary.arguments(self.written)
        try:
            self.config = parser.parse_args(arguments)
        except (ArgumentError, TypeError, ValueError) as error:
            raise ConfigError(plain_error(str(error), self.command)) from error
        seed = self.config.seed_everything
        if not 0 <= seed <= MOST_SEED:
            raise ConfigError(f"seed_everything {seed} is impossible; it must be from 0 to {MOST_SEED}")

    @property
    def run_folder(self) -> Path:
        """Where checkpoints, logs and the bundle go."""
        if self.config.run_folder:
            return Path(self.config.run_folder)
        named = [item.name for item in self.written if isinstance(item, Config) and item.name]
        return RUNS / (named[0] if named else str(self.config.task).lower())

    def config_text(self) -> str:
        """The whole configuration as YAML, with catalogue names: what `-c` reads again."""
        config = self.config.clone()
        config.pop("config", None)
        # What is null is kept: it may override a default (`attention: null`).
        tree = yaml.safe_load(
            self.parser.dump(config, skip_link_targets=True, skip_unset=False, format="yaml")
        )
        for key in ("ckpt_path", "overwrite", "accept_changes"):  # how this run was started, not what it is
            tree.pop(key, None)
        tree["run_folder"] = str(self.run_folder)  # so that the file, given to -c, names the same run
        first = {key: tree.pop(key) for key in ("task", "run_folder", "model", "data") if key in tree}
        return str(
            yaml.safe_dump(self.vocabulary.names({**first, **tree}), sort_keys=False, allow_unicode=True)
        )

    def instantiate_classes(self) -> None:
        """Build module, data and trainer."""
        if self.command == "fit" and self.config.ckpt_path and given_value(self.written, PRECISION) == AUTO:
            begun = progress_of(str(named_checkpoint(self.config.ckpt_path, self.run_folder)))
            self.config.trainer.precision = precision_to_go_on(begun.config, self.config.trainer.precision)
        if not self._instantiate:
            return
        self._refuse_the_impossible()
        self.config_init: Namespace = self.parser.instantiate(self.config)
        self.datamodule = self._get(self.config_init, "data")
        self.model = self._get(self.config_init, "model")
        self.task.connect(self.model, self.datamodule)
        try:
            self.trainer = self.instantiate_trainer()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let another run have the folder."""
        if self.keeper is not None:
            self.keeper.release()

    def _refuse_the_impossible(self) -> None:
        """What Lightning takes without a word, and trains on nothing or not as it is told.

        Raises:
            ConfigError: no data, or a value that cannot be.
        """
        named = any(isinstance(item, Config) for item in self.written)
        empty = "train" in options(self.task.data) and not self.config.data.train
        if self.command == "fit" and not named and empty:
            raise ConfigError(
                f"no data: name a recipe (-c {', -c '.join(recipes())}) or give {self.task.reads}"
            )
        trainer = self.config.trainer
        checkpoints = [
            (
                "enable_checkpointing",
                trainer.enable_checkpointing is not False,
                "true: what is shipped is a checkpoint; for room, delete the folder checkpoints after training",
            ),
            (
                "barebones",
                not trainer.barebones,
                "false: it keeps no checkpoint to ship; without logs: --trainer.logger false",
            ),
        ]
        if self.command != "fit":
            limit = {"validate": "limit_val_batches", "test": "limit_test_batches"}[self.command]
            self._refuse([*checkpoints, (limit, trainer[limit] != 0, "above 0: there is nothing to score")])
            return
        self._refuse(
            [
                *checkpoints,
                ("max_epochs", trainer.max_epochs != 0, "at least 1, or -1 for no limit"),
                ("max_steps", trainer.max_steps != 0, "at least 1, or -1 for no limit"),
                ("limit_train_batches", trainer.limit_train_batches != 0, "above 0"),
                ("accumulate_grad_batches", trainer.accumulate_grad_batches >= 1, "at least 1"),
                (
                    "gradient_clip_val",
                    (trainer.gradient_clip_val or 0) >= 0,
                    "at least 0, which is no clipping",
                ),
                (
                    "overfit_batches",
                    not trainer.overfit_batches,
                    "0: limit the batches, and validate on the same text",
                ),
                (
                    "precision",
                    trainer.precision not in _ROUNDED,
                    "32-true, bf16-mixed or another that rounds no weights",
                ),
            ]
        )
        if (workers := self.config.data.get("num_workers") or 0) < 0:
            raise ConfigError(f"data.num_workers {workers} is impossible; it must be at least 0")
        ends = (trainer.max_epochs or -1) > 0 or trainer.max_steps > 0 or trainer.fast_dev_run
        if self.config.model.get("schedule") == "cosine" and not ends:
            raise ConfigError(
                "schedule 'cosine' falls until the end of training, and nothing says when that is; set "
                "trainer.max_epochs or trainer.max_steps, or choose model.schedule: inverse_sqrt, plateau or constant"
            )

    def _refuse(self, options_of_trainer: Sequence[tuple[str, bool, str]]) -> None:
        """Of each its name, whether its value is possible, and what is."""
        for name, possible, words in options_of_trainer:
            if not possible:
                value = as_text(self.config.trainer[name])
                raise ConfigError(f"trainer.{name} {value} is impossible; it must be {words}")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer, with the run folder's loggers and the task's callbacks."""
        folder = self.run_folder
        settings = {**self.config_init.trainer.as_dict(), **kwargs}
        settings["default_root_dir"] = settings["default_root_dir"] or str(folder)
        callbacks = settings["callbacks"] or []
        callbacks = [*(callbacks if isinstance(callbacks, list) else [callbacks])]
        ours = self.task.callbacks(folder)
        if settings["enable_progress_bar"] is False:
            ours = [callback for callback in ours if not isinstance(callback, ProgressBar)]
        callbacks += [*self._callbacks, *ours]
        table = MetricsTable(folder / METRICS)
        if self.command == "fit" and not settings["fast_dev_run"]:
            self.keeper = RunFolder(
                folder,
                self.config_text(),
                resume_from=named_checkpoint(self.config.ckpt_path, folder),
                overwrite=self.config.overwrite,
                start_from=self.config.get("model.start_from"),
                accept_changes=self.config.accept_changes,
                table=table,
            )
            callbacks.append(self.keeper)
        settings["callbacks"] = callbacks
        if settings["logger"] in (None, True):
            # No name and no version: the run folder itself, not version_0, version_1 below it.
            curves = TensorBoardLogger(folder, name="", version="", default_hp_metric=False)
            settings["logger"] = [curves, table] if self.command == "fit" else False
        plugins = settings["plugins"] or []
        settings["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), DurableCheckpoints()]
        try:
            trainer = Trainer(**settings)
        except (MisconfigurationException, ValueError) as error:
            raise ConfigError(f"trainer: {error}") from error
        alone = isinstance(trainer._accelerator_connector.cluster_environment, LightningEnvironment)
        if trainer.num_nodes > 1 and alone and "MASTER_ADDR" not in os.environ:
            raise ConfigError(
                f"trainer.num_nodes is {trainer.num_nodes}, and nothing says where the other machines are: start s2s "
                "on each with torchrun, by SLURM, or with MASTER_ADDR, MASTER_PORT and NODE_RANK set"
            )
        stop_and_validate_between_steps(trainer)
        train_in_parts_what_does_not_fit(trainer)
        tell_what_does_not_fit(trainer)
        return trainer

    def scored_set(self, checkpoint: str, scored: Progress) -> ScoredSet:
        """What a test of a checkpoint is of, and what its files are called."""
        test_set = yaml.safe_load(self.config_text())["data"].get("test")
        folder = Path(self.trainer.default_root_dir)
        name = name_of(test_set, set_of_run(self.run_folder), folder)
        return ScoredSet(name, test_set, checkpoint, scored.epoch, scored.step)

    def without_end(self) -> str | None:
        """That nobody said when training ends; None if somebody did."""
        trainer = self.config.trainer
        if trainer.fast_dev_run or trainer.max_epochs or trainer.max_time or trainer.max_steps != -1:
            return None
        if self.config.model.get("patience") is not None:
            return None
        return (
            "training goes on for 1000 epochs, for nothing says when it ends; set --trainer.max_epochs, "
            "--trainer.max_steps, --trainer.max_time or --model.patience"
        )

    def slow_precision(self) -> str | None:
        """That the precision asked for is slow on this machine; None if it is not."""
        trainer = self.config.trainer
        return slow_precision(trainer.precision, trainer.accelerator)

    def without_validation(self) -> str | None:
        """What a training that is not validated loses; None if it is validated, or if nothing is kept of it."""
        model, data, trainer = self.config.model, self.config.get("data"), self.config.trainer
        if trainer.fast_dev_run or "validation" not in options(self.task.data):
            return None
        if (data.validation and trainer.limit_val_batches != 0) or not data.get("train"):
            return None
        why = "trainer.limit_val_batches is 0" if data.validation else "data.validation names no text"
        idle = ["model.patience"] if model.get("patience") is not None else []
        idle += ["model.schedule plateau"] if model.get("schedule") == "plateau" else []
        if model.get("monitor") != self.parser.get_default("model.monitor"):
            idle.append("model.monitor")
        effect = f"; without effect: {', '.join(idle)}" if idle else ""
        return f"no validation ({why}): the last checkpoint is what is shipped{effect}"


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
        self._cli = CommandLine(
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
            print(f"going on from epoch {begun.epoch}, step {begun.step}: {checkpoint}", file=sys.stderr)
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
                print(f"To go on later: {_command_to_go_on(cli.run_folder)}", file=sys.stderr)
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
        # The tokenizers that the weights were trained with: of the checkpoint's own run, if it lies in one.
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
    """What Lightning finds out only when the batches are counted, or when something is logged, is the user's to mend.

    Raises:
        ConfigError: a part of the batches that is none, a validation after more than there are, a figure that is
            watched and not logged.
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
    """A run that cannot write says where it stands; what writes logs is not ours, and raises what the system says."""
    try:
        try:
            yield
        except OSError as error:
            # TensorBoard's is bytes, and what was opened already has but a number.
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
            f"{error}. Nothing is lost up to epoch {stands.epoch}, step {stands.step}; go on from there: "
            f"{_command_to_go_on(folder)}"
        ) from error


def _command_to_go_on(folder: Path) -> str:
    """It needs nothing of how the run was begun: by a command, the demo or in Python."""
    plugins = [word for path in catalogue().plugin_dirs for word in ("--plugin-dir", str(path))]
    return shlex.join(["s2s", *plugins, "fit", "-c", str(folder / "config.yaml"), "--ckpt_path", "last"])


@contextmanager
def _ctrl_c_as_before() -> Iterator[None]:
    """Lightning leaves Ctrl-C without effect when it was pressed, and else as it was inside of training."""
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
        return f"already at epoch {begun.epoch}, and its time is used up; raise --trainer.max_time"
    return f"already at epoch {begun.epoch}, step {begun.step}, where training stopped"


def vocabulary(task: type[Task], command: str, *, accelerator: object = "auto") -> Vocabulary:
    """The options of `s2s fit|validate|test` for a task, and what `auto` means on an accelerator."""
    keys = ["task", "run_folder", "ckpt_path", "overwrite", "accept_changes", "seed_everything"]
    parts: dict[str, str] = {}
    specs: list[str] = []
    several: list[str] = []
    open_ended: list[str] = []
    closed: list[str] = []
    lists: list[str] = []
    for group, holder in (("model", task.module), ("data", task.data), ("trainer", Trainer)):
        hints = type_hints(holder)
        for name in options(holder):
            key = f"{group}.{name}"
            if key == LINKED:
                continue
            keys.append(key)
            kind = kind_of_option(name)
            if key in LIGHTNING:
                open_ended.append(key)
                lists += [key] if "list[" in str(hints.get(name)) else []
            elif kind and takes_part(hints.get(name)):
                parts[key] = kind
                specs += [key] if "dict" in str(hints[name]) else []
                several += [key] if re.search("list|Sequence", str(hints[name])) else []
            elif not is_plain(hints.get(name, Any)):
                closed.append(key)
    return Vocabulary(
        keys,
        parts=parts,
        specs=specs,
        several=several,
        open_ended=open_ended,
        closed=closed,
        lists=lists,
        stand_ins={PRECISION: {AUTO: lambda: precision_here(accelerator)}},
        command=command,
    )


def plain_error(message: str, command: str) -> str:
    """The parser's nested message as one line: which option, what it takes, what it got.

    Args:
        message: The text of jsonargparse's exception.
        command: For the remedy.
    """
    message = message.replace("\n", " ")
    key = ".".join(re.findall(r'(?:Parser key|Key) "([^"]+)"', message))
    remedy = f"See: s2s {command} --help"
    strange = re.search(r"Option '([^']+)' is not accepted\..*?class_path='([^']+)'", message)
    if strange:
        option, path = strange.groups()
        if entry := _entry(path):
            known = options(catalogue().load(entry.kind, entry.name))
            return f"{key}: " + unknown(
                "option", option, known, f"See: s2s {command} --{key}.help {entry.name}"
            )
    if lacking := re.search(
        r"arguments are required: (\w+(?:, \w+)*).*?(?:Got|Given) value: \w+\(class_path='([^']+)'", message
    ):
        names, path = lacking.groups()
        part = entry.name if (entry := _entry(path)) else path
        given = " ".join(f"--{key}.{name} VALUE" for name in names.split(", "))
        return f"{key}: {part} needs {names}, without a default; give {given}. See: s2s {command} --{key}.help {part}"
    if other := re.search(r"([\w.]+)\] expects [^:]*: Expected '([\w.]+)' to be a [\w ]+ <class '", message):
        base, part = other.groups()
        told = f"{part.rpartition('.')[2]} is no {base.rpartition('.')[2]}; derive it from {base}"
        return f"{key}: {told}. See: s2s plugins check"
    innermost = re.split(r'Parser key "[^"]+":', message)[-1].strip()
    found = re.search(r"(?:Got|Given) value: (.+?)(?:\. Got value: |$)", innermost)
    if not found:
        return f"{key}: {innermost} {remedy}" if key else f"{' '.join(message.split())} {remedy}"
    got = found.group(1).strip()
    kind = kind_of_option(key)
    if kind and "Callable" in innermost:
        return f"{key}: expected {kind}, {choices(kind)}, got {got!r}. {remedy}"
    wanted, literals = _wanted(re.split(r"(?:Got|Given) value", innermost)[0])
    if key == PRECISION:  # a word of ours
        wanted, literals = f"{AUTO} or {wanted}", [AUTO, *literals]
    near = nearest(got, literals)
    return f"{key}: expected {wanted}, got {got!r}{f'; did you mean {near!r}?' if near else '.'} {remedy}"


def _entry(path: str) -> Entry | None:
    """Of a class, by its dotted path."""
    return next((one for one in catalogue().entries() if one.target.replace(":", ".") == path), None)


def _wanted(expectation: str) -> tuple[str, list[str]]:
    """The types and the values that the parser says it takes, and the values alone."""
    literals = [
        value.strip().strip("'")
        for values in re.findall(r"Literal\[([^\]]*)\]", expectation)
        for value in values.split(",")
    ]
    types = [path.rpartition(".")[2] for path in re.findall(r"<class '([\w.]+)'>", expectation)]
    types = ["null" if name == "NoneType" else name for name in types]
    return " or ".join(dict.fromkeys([*literals, *types])) or "another value", list(dict.fromkeys(literals))


_NOT_THE_USERS = [
    # Lightning 2.6 calls what jsonargparse 4.53 and torch 2.13 deprecate, and recommends workers that batches
    # made of stored ids do not need.
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
    """Without the warnings that no user can mend, and without Lightning's advertisements."""
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
