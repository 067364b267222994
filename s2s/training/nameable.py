"""Which classes of Lightning a configuration may name, and with which options.

The parser would import any module that a configuration names before it checks what it found there. So names are checked
against this list first. User-defined classes come from plugins, whose code is trusted: they were installed, or named
with --plugin-dir.
"""

import datetime
import enum
import inspect
import os
import pathlib
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from s2s.errors import ConfigError
from s2s.registry import catalogue
from s2s.registry.near_names import unknown

LIGHTNING = {
    "trainer.callbacks": (
        "pytorch_lightning.callbacks",
        (
            "DeviceStatsMonitor",
            "EarlyStopping",
            "GradientAccumulationScheduler",
            "LearningRateMonitor",
            "ModelCheckpoint",
            "ModelSummary",
            "OnExceptionCheckpoint",
            "RichModelSummary",
            "RichProgressBar",
            "StochasticWeightAveraging",
            "TQDMProgressBar",
            "Timer",
        ),
    ),
    "trainer.logger": (
        "pytorch_lightning.loggers",
        ("CSVLogger", "MLFlowLogger", "TensorBoardLogger", "WandbLogger"),
    ),
    "trainer.profiler": (
        "pytorch_lightning.profilers",
        ("AdvancedProfiler", "PyTorchProfiler", "SimpleProfiler"),
    ),
    "trainer.strategy": ("pytorch_lightning.strategies", ("DDPStrategy",)),
    "trainer.plugins": (
        "pytorch_lightning.plugins.environments",
        ("LightningEnvironment", "SLURMEnvironment", "TorchElasticEnvironment"),
    ),
    "trainer.accelerator": ("pytorch_lightning.accelerators", ()),
}
"""Trainer options that hold objects: the module of their classes, and the classes that may be named."""

_PLAIN = {
    bool,
    int,
    float,
    str,
    bytes,
    type(None),
    Any,
    object,
    pathlib.Path,
    os.PathLike,
    datetime.timedelta,
}
_ANY = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_HOLDERS = {
    list,
    tuple,
    dict,
    typing.Union,
    types.UnionType,
    os.PathLike,
    Collection,
    Iterable,
    Mapping,
    Sequence,
}


def is_plain(annotation: Any) -> bool:
    """Whether an option of this annotation takes numbers, text, and lists and mappings of them, and nothing else."""
    if annotation in _PLAIN or annotation is inspect.Parameter.empty:
        return True
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return True
    if annotation in (list, tuple, dict) or origin in _HOLDERS:
        return all(one is Ellipsis or is_plain(one) for one in typing.get_args(annotation))
    return inspect.isclass(annotation) and issubclass(annotation, (bool, int, float, str))


def checked(key: str, value: Any) -> Any:
    """A checked value of an option that holds objects, with classes given by their full paths.

    Args:
        key: the option, `trainer.callbacks`.
        value: from the configuration: text or numbers, {class_path: NAME, init_args: {...}}, or a list of these.

    Raises:
        ConfigError: a class that may not be named, or an option of it that takes more than numbers and text.
    """
    if isinstance(value, list):
        # Objects given from Python are refused later, with what to do instead.
        if wrong := [one for one in value if one is None or isinstance(one, int | float | list)]:
            raise ConfigError(_unknown(key, str(wrong[0])))
        return [checked(key, one) for one in value]
    if isinstance(value, Mapping):
        refuse_classes_elsewhere(key, value.get("init_args"))
        strange = set(value) - {"class_path", "init_args"}
        if strange or not isinstance(value.get("class_path"), str):
            raise ConfigError(f"{key}: expected {{class_path: NAME, init_args: {{...}}}}, got {value!r:.200}")
        path, part = _class(key, value["class_path"])
        given = value.get("init_args") or {}
        if not isinstance(given, Mapping):
            raise ConfigError(f"{key}: init_args is {given!r:.100}, not a mapping of options")
        if part is not None:
            known = [name for name, one in inspect.signature(part).parameters.items() if one.kind not in _ANY]
            for option in given:
                if option not in known:
                    raise ConfigError(
                        f"{key}: {value['class_path']!r}: " + unknown("option", str(option), known)
                    )
            check_plain(f"{key}: {value['class_path']!r}", part, given)
            given = {**_words_of_defaults(part), **given}
        return {"class_path": path, "init_args": dict(given)} if given else path
    if not isinstance(value, str) or value in _words(key):
        return value
    return checked(key, {"class_path": value})


def _words_of_defaults(part: Any) -> dict[str, str]:
    """Enum defaults of options declared as `str`, converted to strings, because the parser accepts nothing else."""
    defaults = {name: one.default for name, one in inspect.signature(part).parameters.items()}
    hints = _hints(part)
    return {
        name: str(default.value)
        for name, default in defaults.items()
        if isinstance(default, enum.Enum) and hints.get(name) is str
    }


def _class(key: str, name: str) -> tuple[str, Any]:
    """The import path and the class of an allowed name; class None: it is a plugin's, which the parser may import."""
    home, names = LIGHTNING[key]
    if name.partition(".")[0] in _plugins():
        return name, None
    module = import_module(home)
    for one in names:
        part = getattr(module, one)
        if name in (one, f"{home}.{one}", f"{part.__module__}.{part.__qualname__}"):
            return f"{home}.{one}", part
    raise ConfigError(_unknown(key, name))


def _unknown(key: str, name: str) -> str:
    what = key.rpartition(".")[2].removesuffix("s")
    told = unknown(what, name, [*LIGHTNING[key][1], *_words(key)])
    return f"{key}: {told} To use a class of your own, bring it in a plugin: --plugin-dir"


def _plugins() -> set[str]:
    """Top-level modules of plugins from other distributions and folders."""
    modules = {plugin.module.partition(".")[0] for plugin in catalogue().plugins if plugin.status == "ok"}
    return modules - {"s2s_plugins", ""}


def _words(key: str) -> set[str]:
    """Keywords that Lightning accepts instead of a class."""
    if key == "trainer.accelerator":
        from pytorch_lightning.accelerators import AcceleratorRegistry

        return {"auto", "gpu", *AcceleratorRegistry.available_accelerators()}
    if key == "trainer.strategy":
        from pytorch_lightning.strategies import StrategyRegistry

        return {"auto", *StrategyRegistry.available_strategies()}
    return {"simple", "advanced", "pytorch"} if key == "trainer.profiler" else set()


def check_plain(
    what: str, part: Callable[..., Any], given: Mapping[str, Any], parts: Mapping[str, str] = {}
) -> None:  # noqa: B006
    """Check that options are given numbers and text only: for a function, the parser would import one.

    Args:
        what: owner of the options, for the message.
        part: a class.
        given: values by option.
        parts: options that take parts of the catalogue, which are checked elsewhere.

    Raises:
        ConfigError: one takes something else.
    """
    hints = _hints(part)
    for option, value in given.items():
        if option in parts:
            continue
        if value is not None and not is_plain(hints.get(option, Any)):
            raise ConfigError(
                f"{what}: option {option!r} is {value!r:.100}, but takes an object, which a configuration cannot give; "
                "leave it out, or give it a value in a class of your own"
            )
        refuse_classes_elsewhere(f"{what}: option {option!r}", value)


def _hints(part: Callable[..., Any]) -> dict[str, Any]:
    # An annotation whose type is not installed, such as an object of a logger's library, is not plain.
    function = part.__init__ if inspect.isclass(part) else part
    hints: dict[str, Any] = {}
    for name, annotation in inspect.get_annotations(function).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints |= typing.get_type_hints(alone, vars(sys.modules[function.__module__]))
        except NameError:
            hints[name] = Callable
    return hints


def refuse_classes_elsewhere(key: str, value: Any) -> None:
    """Check that no part of a value is written like an object.

    Raises:
        ConfigError: one is.
    """
    for mapping in _mappings(value):
        if "class_path" in mapping or "dict_kwargs" in mapping:
            path = mapping.get("class_path", "dict_kwargs")
            raise ConfigError(
                f"{key}: {path!r:.100} is not allowed here; only numbers, text, lists and mappings of them are. "
                "Parts are given to the options that take them. See: s2s plugins list"
            )


def _mappings(value: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(value, Mapping):
        yield value
        for one in value.values():
            yield from _mappings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _mappings(one)
