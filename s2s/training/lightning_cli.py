"""LightningCLI for one task: parses its options and builds its parts.

The task named in the configuration determines the LightningModule and the DataModule before the parser is built,
so these are fixed classes and only their parts vary. What LightningCLI lacks is done before it parses (names,
typos, recipes: options.py) and after it fails (errors in one line: parser_errors.py).
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, Namespace
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import TensorBoardLogger

from s2s.errors import ConfigError
from s2s.registry.parts import build, kind_of_option, options
from s2s.training.callbacks import DurableCheckpoints
from s2s.training.help import takes_part, type_hints
from s2s.training.impossible import refuse_the_impossible
from s2s.training.loop import stop_and_validate_between_steps
from s2s.training.metrics_table import MetricsTable
from s2s.training.nameable import LIGHTNING, is_plain
from s2s.training.options import (
    DEFAULT_SEED,
    DEFAULT_TASK,
    LINKED,
    Config,
    Vocabulary,
    Written,
    file_of,
    given_value,
)
from s2s.training.out_of_memory import train_in_parts_what_does_not_fit
from s2s.training.parser_errors import plain_error
from s2s.training.precision import AUTO, PRECISION, precision_here, precision_to_go_on, slow_precision
from s2s.training.restoring import tell_what_does_not_fit
from s2s.training.run_folder import METRICS, Progress, RunFolder, named_checkpoint, progress_of
from s2s.training.scored_set import ScoredSet, name_of, set_of_run
from s2s.training.task import Task

MOST_SEED = 2**32 - 1
RUNS = Path("runs")


class _Parser(LightningArgumentParser):
    """A parser that raises its errors instead of exiting, so that we can report them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "exit_on_error": False})

    def add_class_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Disable `sub_configs`, which would read any value that is a file name as an unchecked configuration."""
        return super().add_class_arguments(*args, **{**kwargs, "sub_configs": False})


class TaskCLI(LightningCLI):
    """LightningCLI for one task.

    Args:
        task: The task, a class of kind `task`.
        written: Configurations and options, in order.
        command: `fit`, `validate` or `test`.
        callbacks: Callbacks beside those of the task and of the configuration.
        instantiate: False: only read the configuration.
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
        """The seed, always a number, so that every run is reproducible."""
        parser.add_argument("--seed_everything", type=int, default=DEFAULT_SEED)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options of a run that belong to neither model, data nor trainer."""
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
            told = plain_error(str(error), self.command)
            file = file_of(self.written, told.partition(":")[0])
            raise ConfigError(f"{file}: {told}" if file else told) from error
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
        """The whole configuration as YAML, with catalogue names, so that `-c` can read it."""
        config = self.config.clone()
        config.pop("config", None)
        # Null values are kept: they may override a default (`attention: null`).
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
        refuse_the_impossible(self.task, self.config, self.command, self.written)
        self.config_init: Namespace = self.parser.instantiate(
            self.config, instantiators=[(build, object, True)]
        )
        self.datamodule = self._get(self.config_init, "data")
        self.model = self._get(self.config_init, "model")
        self.task.connect(self.model, self.datamodule)
        try:
            self.trainer = self.instantiate_trainer()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Unlock the run folder for other runs."""
        if self.keeper is not None:
            self.keeper.release()

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
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise ConfigError(f"trainer: {error}") from error
        alone = isinstance(trainer._accelerator_connector.cluster_environment, LightningEnvironment)
        if trainer.num_nodes > 1 and alone and "MASTER_ADDR" not in os.environ:
            raise ConfigError(
                f"trainer.num_nodes is {trainer.num_nodes}, but no cluster environment is set up: start s2s on "
                "each machine with torchrun, by SLURM, or with MASTER_ADDR, MASTER_PORT and NODE_RANK set"
            )
        stop_and_validate_between_steps(trainer)
        train_in_parts_what_does_not_fit(trainer)
        tell_what_does_not_fit(trainer)
        return trainer

    def scored_set(self, checkpoint: str, scored: Progress) -> ScoredSet:
        """Describes what a test scores, and how its output files are named."""
        test_set = yaml.safe_load(self.config_text())["data"].get("test")
        folder = Path(self.trainer.default_root_dir)
        name = name_of(test_set, set_of_run(self.run_folder), folder)
        return ScoredSet(name, test_set, checkpoint, scored.epoch, scored.step)

    def without_end(self) -> str | None:
        """A note if no limit of training is set, else None."""
        trainer = self.config.trainer
        if trainer.fast_dev_run or trainer.max_epochs or trainer.max_time or trainer.max_steps != -1:
            return None
        if self.config.model.get("patience") is not None:
            return None
        return (
            "no training limit is set, so training runs for 1000 epochs; set --trainer.max_epochs, "
            "--trainer.max_steps, --trainer.max_time or --model.patience"
        )

    def slow_precision(self) -> str | None:
        """A note if the configured precision is slow on this machine, else None."""
        trainer = self.config.trainer
        return slow_precision(trainer.precision, trainer.accelerator)

    def without_validation(self) -> str | None:
        """A note on the effects of training without validation; None if there is validation, or nothing is saved."""
        model, data, trainer = self.config.model, self.config.get("data"), self.config.trainer
        if trainer.fast_dev_run or "validation" not in options(self.task.data):
            return None
        if (data.validation and trainer.limit_val_batches != 0) or not data.get("train"):
            return None
        why = "trainer.limit_val_batches is 0" if data.validation else "data.validation is not set"
        idle = ["model.patience"] if model.get("patience") is not None else []
        idle += ["model.schedule plateau"] if model.get("schedule") == "plateau" else []
        if model.get("monitor") != self.parser.get_default("model.monitor"):
            idle.append("model.monitor")
        effect = f"; without effect: {', '.join(idle)}" if idle else ""
        return f"no validation ({why}): the bundle is made from the last checkpoint{effect}"


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
