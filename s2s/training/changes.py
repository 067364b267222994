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


FIXED = {
    "seed_everything",
    "model.average_decay",
    "model.monitor",
    "data.batch_sentences",
    "data.batch_tokens",
    "data.tokenizer",
}
"""What the order of training, the weights of a checkpoint or its best figure depend on: no run goes on with another
value."""


class Change(NamedTuple):
    """An option that differs, and why it matters where that is not plain."""

    key: str
    then: Any
    now: Any
    why: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether it must be what it was."""
        return self.key in FIXED or self.key.startswith("data.tokenizer.")

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        return f"{self.key} was {_short(self.then)}, now {_short(self.now)}{why}"


def changes(then: str, now: str) -> list[Change]:
    """What differs, but for what is harmless.

    Args:
        then: the configuration that the run was begun with, YAML of whomever the checkpoint is from.
        now: the one that it is to go on with.

    Raises:
        yaml.YAMLError: it is no YAML.
        ValueError: it holds what cannot be, or no mapping.
    """
    before, after = _trees(then, now)
    cosine = after.get("model", {}).get("schedule") == "cosine"
    harmless = HARMLESS - ENDS if cosine else HARMLESS
    found = [change for change in _differences("", before, after) if change.key not in harmless]
    why = "the learning rate of the cosine schedule falls to the end"
    return [change._replace(why=why) if change.key in ENDS else change for change in found]


def other_text(then: str, now: str) -> list[Change]:
    """Where the training text is to be read, if not where it was; arguments and errors as of `changes`."""
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
        then: what stood there.
        now: what stands there.
        options: whether it is options by name: what only one of them has, an s2s of another version brought along.
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
