"""Classes that a configuration may name."""

import datetime
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import pytest
import torch
from pytorch_lightning.strategies import Strategy

from s2s.errors import ConfigError
from s2s.training.nameable import LIGHTNING, check_plain, checked, is_plain, refuse_classes_elsewhere

HOME = "pytorch_lightning.callbacks"


@pytest.mark.parametrize(
    "name", ["EarlyStopping", f"{HOME}.EarlyStopping", f"{HOME}.early_stopping.EarlyStopping"]
)
def test_a_listed_class_is_known_by_each_of_its_names(name):
    assert checked("trainer.callbacks", name) == f"{HOME}.EarlyStopping"
    spec = {"class_path": name, "init_args": {"monitor": "loss", "patience": 3}}
    assert checked("trainer.callbacks", [spec]) == [{**spec, "class_path": f"{HOME}.EarlyStopping"}]


def test_all_that_are_listed_are_there():
    for key, (_, names) in LIGHTNING.items():
        found = [checked(key, name) for name in names]
        paths = [one["class_path"] if isinstance(one, dict) else one for one in found]
        assert paths == [f"{LIGHTNING[key][0]}.{name}" for name in names]


def test_a_default_that_is_no_word_is_given_as_one():
    timer = checked("trainer.callbacks", {"class_path": "Timer", "init_args": {"duration": "00:00:01:00"}})
    assert timer["init_args"] == {"interval": "step", "duration": "00:00:01:00"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainer.strategy", "ddp_find_unused_parameters_true"),
        ("trainer.strategy", "auto"),
        ("trainer.accelerator", "gpu"),
        ("trainer.profiler", "simple"),
        ("trainer.logger", True),
        ("trainer.callbacks", None),
    ],
)
def test_words_of_lightning_stay_as_they_are(key, value):
    assert checked(key, value) == value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "trainer.callbacks",
            "EarlyStoping",
            "unknown callback 'EarlyStoping'; did you mean 'EarlyStopping'",
        ),
        (
            "trainer.callbacks",
            "LambdaCallback",
            "unknown callback 'LambdaCallback'.* Known: DeviceStatsMonitor.*",
        ),
        (
            "trainer.callbacks",
            "s2s_plugins.cells.lstm.LSTM",
            "unknown callback .*of your own, bring it in a plugin: --plug",
        ),
        ("trainer.strategy", "ddpp", "trainer.strategy: unknown strategy 'ddpp'; did you mean 'ddp'"),
        ("trainer.profiler", "evil.yaml", "trainer.profiler: unknown profiler 'evil.yaml'"),
        (
            "trainer.logger",
            {"class_path": 3},
            r"expected {class_path: NAME, init_args: {...}}, got {'class_path': 3}",
        ),
        ("trainer.logger", {"init_args": {"a": 1}}, "expected {class_path: NAME"),
        (
            "trainer.logger",
            {"class_path": "CSVLogger", "init_args": [1]},
            r"init_args is \[1\], not a mapping",
        ),
        (
            "trainer.callbacks",
            {"class_path": "EarlyStopping", "init_args": {"patiense": 3}},
            "'EarlyStopping': unknown option 'patiense'; did you mean 'patience'",
        ),
        (
            "trainer.logger",  # a class of a library that is not installed
            {"class_path": "WandbLogger", "init_args": {"project": "mine", "experiment": "os.system"}},
            "option 'experiment' is 'os.system', but takes an object",
        ),
        (
            "trainer.callbacks",
            {"class_path": "StochasticWeightAveraging", "init_args": {"avg_fn": "os.system"}},
            "option 'avg_fn' is 'os.system', but takes an object, which a configuration cannot give; leave it out",
        ),
    ],
)
def test_whatever_else_is_named_is_refused(key, value, message):
    with pytest.raises(ConfigError, match=message):
        checked(key, value)


@pytest.mark.parametrize(
    ("annotation", "plain"),
    [
        (int, True),
        (str | None, True),
        (str | pathlib.Path | None, True),
        (datetime.timedelta, True),
        (os.PathLike[str], True),
        (Literal["a", "b"] | bool, True),
        (dict[str, Any], True),
        (tuple[int, ...], True),
        (Sequence[float], True),
        (Callable[[int], int], False),
        (Callable[[int], int] | None, False),
        (list[Callable[[], int]], False),
        (Iterable[Strategy], False),
        (torch.device | str, False),
        (type[int], False),
        (Strategy, False),
    ],
)
def test_what_is_plain(annotation, plain):
    assert is_plain(annotation) is plain


class Part:
    def __init__(self, size: int, *, activation: Callable[[int], int] = abs, cell: Any = None) -> None: ...


def test_an_option_that_takes_a_function_is_given_none():
    check_plain("part", Part, {"size": 3, "activation": None})
    check_plain("part", Part, {"activation": "LSTM"}, {"activation": "cell"})  # a part of the catalogue
    with pytest.raises(ConfigError, match="part: option 'activation' is 'torch.relu', but takes an object"):
        check_plain("part", Part, {"activation": "torch.relu"})
    with pytest.raises(ConfigError, match="part: option 'cell': 'os.system' is not allowed here"):
        check_plain("part", Part, {"cell": [{"a": {"class_path": "os.system"}}]})
    refuse_classes_elsewhere("data.train", {"path": "a.tsv", "weights": [1, {"b": "class_path"}]})
