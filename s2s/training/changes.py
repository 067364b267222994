"""What differs between the configuration that a run was begun with and the one that it is to go on with."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from s2s.untrusted import parse_yaml

_SHOWN = 200  # letters of a value: whoever made a checkpoint decides how many it has

HARMLESS = {
    # where training ends
    "trainer.max_epochs",
    "trainer.min_epochs",
    "trainer.max_steps",
    "trainer.min_steps",
    "trainer.max_time",
    "model.patience",
    # what it says, and where it writes
    "run_folder",
    "data.cache",
    "trainer.logger",
    "trainer.log_every_n_steps",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.default_root_dir",
    "trainer.profiler",
    "trainer.fast_dev_run",
    "model.show_translations",
    # what it runs on: other kernels are told of (TaskModule), other ranks are seen to (Sampler)
    "data.num_workers",
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.plugins",
    # what comes after it
    "data.test",
    "model.test_search",
    "trainer.limit_test_batches",
    # the text itself is held against the checkpoint, wherever it is
    "data.train",
}
"""Options that a run may go on with another value of, and is still the run."""

ENDS = {"trainer.max_epochs", "trainer.max_steps"}
"""Those of which a schedule that falls until the end depends."""


class Change(NamedTuple):
    """An option that differs."""

    key: str
    then: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key} was {_short(self.then)}, now {_short(self.now)}"


def changes(then: str, now: str) -> list[Change]:
    """What differs, but for what is harmless.

    Args:
        then: the configuration that the run was begun with, YAML of whomever the checkpoint is from.
        now: the one that it is to go on with.

    Raises:
        yaml.YAMLError: it is no YAML.
        ValueError: it holds what cannot be, or no mapping.
    """
    trees = [parse_yaml(text) for text in (then, now)]
    if not isinstance(trees[0], Mapping):
        raise ValueError("it is no mapping")
    harmless = HARMLESS - ENDS if trees[1].get("model", {}).get("schedule") == "cosine" else HARMLESS
    return [change for change in _differences("", *trees) if change.key not in harmless]


def _differences(key: str, then: Any, now: Any) -> Iterator[Change]:
    if not isinstance(then, Mapping) or not isinstance(now, Mapping):
        if then != now:
            yield Change(key, then, now)
    elif then.get("class_path") != now.get("class_path"):
        yield Change(key, then, now)
    else:
        # What only one of them has, an s2s of another version brought along.
        for name in then.keys() & now.keys():
            of_a_part = name in ("class_path", "init_args")
            yield from _differences(key if of_a_part else f"{key}.{name}".lstrip("."), then[name], now[name])


def _short(value: Any) -> str:
    name = value.get("class_path", value) if isinstance(value, Mapping) else value
    shown = "null" if name is None else str(name).lower() if isinstance(name, bool) else str(name)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
