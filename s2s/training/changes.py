"""Differences between the configuration that a run was begun with and the one that it is resumed with."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from s2s.untrusted import parse_yaml

_SHOWN = 200  # characters of a value: an untrusted checkpoint may hold any number

HARMLESS = {
    # where training ends
    "trainer.max_epochs",
    "trainer.min_epochs",
    "trainer.max_steps",
    "trainer.min_steps",
    "trainer.max_time",
    "model.patience",
    # what it prints, and where it writes
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
    # what it runs on: TaskModule reports other kernels, Sampler handles another number of ranks
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
    # the text itself is compared with the checkpoint, wherever it is
    "data.train",
}
"""Options that may change when a run is resumed, without asking."""

ENDS = {"trainer.max_epochs", "trainer.max_steps"}
"""Options that the cosine schedule depends on."""


FIXED = {
    "seed_everything",
    "model.average_decay",
    "model.monitor",
    "data.batch_sentences",
    "data.batch_tokens",
    "data.tokenizer",
}
"""Options that the training order, the weights of a checkpoint or its best score depend on: a resumed run must have the
same values."""


class Change(NamedTuple):
    """An option that differs, and why it matters where that is not obvious."""

    key: str
    then: Any
    now: Any
    why: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether the option must not change within a run."""
        return self.key in FIXED or self.key.startswith("data.tokenizer.")

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.key} was {_short(self.then)}, now {_short(self.now)}{why}"


def changes(then: str, now: str) -> list[Change]:
    """The differences, except for harmless ones.

    Args:
        then: the configuration that the run was begun with, as untrusted YAML from the checkpoint.
        now: the one that it is resumed with.

    Raises:
        yaml.YAMLError: it is not YAML.
        ValueError: it holds invalid values, or no mapping.
    """
    before, after = _trees(then, now)
    cosine = after.get("model", {}).get("schedule") == "cosine"
    harmless = HARMLESS - ENDS if cosine else HARMLESS
    found = [change for change in _differences("", before, after) if change.key not in harmless]
    why = "the cosine schedule depends on when training ends"
    return [change._replace(why=why) if change.key in ENDS else change for change in found]


def other_text(then: str, now: str) -> list[Change]:
    """The change of the location of the training text, if any; arguments and errors as of `changes`."""
    why = "it must be the same text, line by line"
    found = _differences("", *_trees(then, now))
    return [change._replace(why=why) for change in found if change.key == "data.train"]


def _trees(then: str, now: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    before, after = parse_yaml(then), parse_yaml(now)
    if not isinstance(before, Mapping):
        raise ValueError("it is no mapping")
    return before, after


def _differences(key: str, then: Any, now: Any, *, options: bool = True) -> Iterator[Change]:
    """What differs below a key.

    Args:
        key: dotted.
        then: the old value.
        now: the new value.
        options: whether these are options by name: those that only one side has come from another version of s2s.
    """
    if not isinstance(then, Mapping) or not isinstance(now, Mapping):
        if then != now:
            yield Change(key, then, now)
        return
    part = "class_path" in then or "class_path" in now
    if part and then.get("class_path") != now.get("class_path"):
        yield Change(key, then, now)
        return
    for name in dict.fromkeys([*then, *now]):
        if (options or part) and not (name in then and name in now):
            continue
        below = key if part else f"{key}.{name}".lstrip(".")
        yield from _differences(
            below, then.get(name), now.get(name), options=not key or (part and name == "init_args")
        )


def _short(value: Any) -> str:
    name = value.get("class_path", value) if isinstance(value, Mapping) else value
    shown = "null" if name is None else str(name).lower() if isinstance(name, bool) else str(name)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
