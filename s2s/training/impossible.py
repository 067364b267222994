"""Checks for option values that Lightning accepts silently although they make no sense."""

from collections.abc import Sequence

from jsonargparse import Namespace

from s2s.errors import ConfigError
from s2s.registry.parts import options
from s2s.resources import recipes
from s2s.training.options import Config, Written, as_text
from s2s.training.task import Task

_ROUNDED = ("bf16-true", "16-true")
"""Precisions whose weights are 16-bit: small updates are rounded away, and the CPU cannot initialize such weights."""


def refuse_the_impossible(
    task: type[Task], config: Namespace, command: str, written: Sequence[Written]
) -> None:
    """Reject values that Lightning accepts silently, but with which it trains on nothing or not as configured.

    Raises:
        ConfigError: there is no data, or a value is invalid.
    """
    named = any(isinstance(item, Config) for item in written)
    empty = "train" in options(task.data) and not config.data.train
    if command == "fit" and not named and empty:
        raise ConfigError(f"no data: name a recipe (-c {', -c '.join(recipes())}) or give {task.reads}")
    trainer = config.trainer
    checkpoints = [
        (
            "enable_checkpointing",
            trainer.enable_checkpointing is not False,
            "true: the bundle is made from a checkpoint; to save space, delete the folder checkpoints after training",
        ),
        (
            "barebones",
            not trainer.barebones,
            "false: it saves no checkpoint for the bundle; to turn off logging: --trainer.logger false",
        ),
    ]
    if command != "fit":
        limit = {"validate": "limit_val_batches", "test": "limit_test_batches"}[command]
        _refuse(
            trainer, [*checkpoints, (limit, trainer[limit] != 0, "above 0, or there is nothing to score")]
        )
        return
    _refuse(
        trainer,
        [
            *checkpoints,
            ("max_epochs", trainer.max_epochs != 0, "at least 1, or -1 for no limit"),
            ("max_steps", trainer.max_steps != 0, "at least 1, or -1 for no limit"),
            ("limit_train_batches", trainer.limit_train_batches != 0, "above 0"),
            ("accumulate_grad_batches", trainer.accumulate_grad_batches >= 1, "at least 1"),
            (
                "gradient_clip_val",
                (trainer.gradient_clip_val or 0) >= 0,
                "0 (no clipping) or more",
            ),
            (
                "overfit_batches",
                not trainer.overfit_batches,
                "0: instead, limit the training batches and validate on the same text",
            ),
            (
                "precision",
                trainer.precision not in _ROUNDED,
                "32-true, bf16-mixed or another that does not round the weights",
            ),
        ],
    )
    if (workers := config.data.get("num_workers") or 0) < 0:
        raise ConfigError(f"data.num_workers {workers} is impossible; it must be at least 0")
    ends = (trainer.max_epochs or -1) > 0 or trainer.max_steps > 0 or trainer.fast_dev_run
    if config.model.get("schedule") == "cosine" and not ends:
        raise ConfigError(
            "schedule 'cosine' needs to know when training ends, but epochs and steps are unlimited; set "
            "trainer.max_epochs or trainer.max_steps, or choose model.schedule: inverse_sqrt, plateau or constant"
        )


def _refuse(trainer: Namespace, options_of_trainer: Sequence[tuple[str, bool, str]]) -> None:
    """Raise for the first option that is not possible; each entry is (name, whether it is possible, what must be)."""
    for name, possible, words in options_of_trainer:
        if not possible:
            value = as_text(trainer[name])
            raise ConfigError(f"trainer.{name} {value} is impossible; it must be {words}")
