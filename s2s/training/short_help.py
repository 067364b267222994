"""The help of `s2s fit`, `validate` and `test`: one page, or all options of a group where that is requested."""

import textwrap
from collections.abc import Sequence
from typing import Any

from pytorch_lightning import Trainer

from s2s.registry import catalogue
from s2s.registry.parts import kind_of_option, options
from s2s.resources import recipes
from s2s.training.help import (
    WIDTH,
    choices,
    explain_part_help,
    option_lines,
    with_options,
)
from s2s.training.options import (
    DEFAULT_SEED,
    DEFAULT_TASK,
    LINKED,
    read_command_line,
    task_name,
)
from s2s.training.task import Task

MOST_USED_TRAINER_OPTIONS = {
    "fit": [
        "max_epochs",
        "max_steps",
        "max_time",
        "precision",
        "accelerator",
        "devices",
        "accumulate_grad_batches",
        "gradient_clip_val",
        "val_check_interval",
        "limit_train_batches",
        "limit_val_batches",
        "fast_dev_run",
    ],
    "validate": ["precision", "accelerator", "devices", "limit_val_batches"],
    "test": ["precision", "accelerator", "devices", "limit_test_batches"],
}


MOST_USED_OPTIONS = {
    "validate": ["search", "metric", "show_translations", "validation"],
    "test": ["test_search", "metric", "test"],
}
"""Model and data options that are useful when scoring a run; those that a task lacks are not shown."""


TOLD_OF_TRAINER = {
    "max_epochs": "stop after this many epochs; -1: never; the default applies without max_steps and max_time",
    "val_check_interval": "validate every N batches (an integer) or after this share of an epoch (a fraction)",
    "precision": "32-true: float32; bf16-mixed: matrix products in bfloat16; auto: bf16-mixed on a GPU or a CPU with "
    "instructions for it, else 32-true; 16-mixed: float16, on a GPU; 64-true: float64",
    "gradient_clip_val": "largest norm of a step's gradient; 0: no clipping",
}
"""Help texts instead of Lightning's, which leave out the meaning or the unit."""


ALL_OF_FIT = "all others: s2s fit --help; "


def help_asked_for(command: str, argv: Sequence[str]) -> str | None:
    """What --help, --help.trainer or --OPTION.help ask for; None if the command line has none of them."""
    for index, word in enumerate(argv):
        key, equals, value = word.partition("=")
        following = argv[index + 1] if index + 1 < len(argv) else None
        if word in ("-h", "--help"):
            return _short_help(command, argv)
        if word == "--help.trainer":
            return "\n".join(["trainer", *_trainer_lines(task_of(argv))])
        if key.startswith("--") and key.endswith(".help"):
            name = value if equals else following
            return explain_part_help(
                key[2 : -len(".help")], None if name is None or name.startswith("-") else name
            )
    return None


def task_of(argv: Sequence[str]) -> type[Task]:
    """The task that a command line names which asks for help."""
    written = read_command_line([word for word in argv if word not in ("-h", "--help", "--help.trainer")])
    task: type[Task] = catalogue().load("task", task_name(written))
    return task


def _short_help(command: str, argv: Sequence[str]) -> str:
    task = task_of(argv)
    what = {"fit": "Train a model.", "validate": "Score a checkpoint on the validation set."}
    fits = command == "fit"
    checkpoint = "resume a run" if fits else "which checkpoint (default: best, else last)"
    lines = [
        f"usage: s2s {command} -c {'RECIPE' if fits else 'RUN/config.yaml'} [-c MORE.yaml ...] [--OPTION VALUE ...]",
        "",
        what.get(command, "Score a checkpoint on the test set."),
        "",
        "  -c RECIPE|FILE                  recipe by name, or YAML file; later ones override earlier ones",
        f"  --ckpt_path last|best|FILE      {checkpoint}",
        "  --run_folder FOLDER             checkpoints, logs, bundle (default: runs/RECIPE)",
        f"  --seed_everything INT           (default: {DEFAULT_SEED})",
        *textwrap.wrap(
            f"  --task TASK                     {choices('task')} (default: {DEFAULT_TASK})",
            WIDTH,
            subsequent_indent=" " * 34,
        ),
        *(["  --overwrite true                replace the run that is in the folder"] if fits else []),
        *(
            ["  --accept_changes true           resume with a changed configuration, without asking"]
            if fits
            else []
        ),
        "  --print_config                  print the whole configuration and stop",
        "",
        *textwrap.wrap(f"recipes: {', '.join(recipes()) or 'none'}", WIDTH, break_on_hyphens=False),
        "",
        f"model ({'' if fits else ALL_OF_FIT}options of a part: --model.encoder.help NAME)",
        *_group_lines(task, "model", task.module, command),
        "",
        "data",
        *_group_lines(task, "data", task.data, command),
        "",
        "trainer (all options: --help.trainer)",
        *_trainer_lines(task, MOST_USED_TRAINER_OPTIONS[command]),
    ]
    return "\n".join(lines)


def _trainer_lines(task: type[Task], only: Sequence[str] | None = None) -> list[str]:
    return option_lines(
        "--trainer.",
        Trainer,
        only,
        defaults=_defaults(task, "trainer"),
        told=TOLD_OF_TRAINER,
        brief=only is not None,
    )


def _defaults(task: type[Task], group: str) -> dict[str, Any]:
    """Defaults of a group's options that are not in the signature."""
    named = getattr(task.data, "default_parts", {}) if group == "data" else {}
    parts = {option: with_options(kind_of_option(option) or option, part) for option, part in named.items()}
    return {**parts, **{key.removeprefix(f"{group}."): value for key, value in task.defaults.items()}}


def _group_lines(task: type[Task], group: str, holder: type, command: str) -> list[str]:
    settable = [name for name in options(holder) if f"{group}.{name}" != LINKED]
    if command != "fit":  # the configuration of the run says all else
        settable = [name for name in settable if name in MOST_USED_OPTIONS[command]]
    return option_lines(f"--{group}.", holder, settable, defaults=_defaults(task, group))
