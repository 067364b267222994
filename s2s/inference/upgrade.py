"""Upgrades of bundles with an older version of a part, by the part's own class.

A class may define for this (see `s2s.registry.versions`):

    version: int
    upgrade(options: dict, weights: dict[str, Tensor], version: int) -> (options, weights)     a classmethod

`upgrade` is called for each module of the class in the model: with the options that the bundle states, with the weights
and buffers of that module by their names in it, and with their version. A shared weight belongs to the part that comes
first in the model (a tied output layer's to the embedding). For a part without weights, such as a search strategy, it
is called once with none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from s2s.errors import BundleError
from s2s.registry import catalogue
from s2s.registry.parts import kind_of_option, nested_kinds, read_spec
from s2s.registry.versions import version_of

Weights = dict[str, Tensor]

VERSIONS = "versions"
"""Entry of a bundle's configuration: "cell LSTM" -> {"version": 1, "modules": their names in the model}."""

MODEL_PARTS = ("embedding", "encoder", "bridge", "decoder", "head")
"""Entries of the configuration of an encoder-decoder model that name parts."""

_MODULES = {"embedding": ["source_embedding", "target_embedding"]}
"""Where the model's parts are, if not under their names in the configuration."""

_OUTSIDE = {
    "search": "search",
    "tokenizer": "tokenizer",
    "source_tokenizer": "tokenizer",
    "target_tokenizer": "tokenizer",
    "piece_tokenizer": "tokenizer",
}
"""Parts of a bundle outside of the model, and their kinds."""


@dataclass
class Named:
    """A part that a bundle's configuration names.

    Attributes:
        kind: of part.
        name: in the catalogue.
        holder: the mapping that contains its spec.
        key: of the spec in that mapping.
        top: the entry of the model's configuration that it is, or is nested in; "" outside of the model.
    """

    kind: str
    name: str
    holder: dict[str, Any]
    key: str
    top: str

    @property
    def label(self) -> str:
        """Its label in the record and in messages."""
        return f"{self.kind} {self.name}"

    @property
    def nested(self) -> bool:
        """Whether it is inside of another part."""
        return bool(self.top) and self.key != self.top

    def load(self) -> Any:
        """The installed class."""
        return catalogue().load(self.kind, self.name)

    def options(self) -> dict[str, Any]:
        """What the configuration states now."""
        return read_spec(self.kind, self.holder[self.key])[1]

    def set_options(self, options: Mapping[str, Any]) -> None:
        """State something else."""
        self.holder[self.key] = (
            {"class_path": self.name, "init_args": dict(options)} if options else self.name
        )


class Noted(NamedTuple):
    """What a bundle records about a part: its version, and its modules in the model; None: not recorded."""

    version: int = 1
    modules: list[str] | None = None


def record(config: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """The record of a bundle's parts, see `VERSIONS`."""
    noted = {}
    for named in named_parts(config):
        part = named.load()
        modules = [name for name, module in model.named_modules() if type(module) is part]
        noted[named.label] = Noted(version_of(part), modules)._asdict()
    return noted


def upgraded(
    folder: Path, config: dict[str, Any], read_weights: Callable[[], Weights]
) -> tuple[dict[str, Any], Weights | None]:
    """Configuration and weights as the installed parts want them.

    Args:
        folder: of the bundle, for messages.
        config: of the bundle; it is left as it is.
        read_weights: reads its weights; called if they are needed.

    Returns:
        The configuration itself and None where every part is of the installed version.

    Raises:
        BundleError: a part is newer than the installed one, or cannot be brought up to date.
    """
    noted = _noted(folder, config)
    if not any([_is_older(folder, named, noted) for named in named_parts(config)]):
        return config, None
    config, weights = copy.deepcopy(config), read_weights()
    alike: dict[tuple[str, str], list[Named]] = {}
    for named in named_parts(config):
        if _is_older(folder, named, noted):
            alike.setdefault((named.label, named.top), []).append(named)
    groups = [(_modules(folder, group[0], noted, weights), group) for group in alike.values()]
    # What is inside of another part comes before it, which may move it.
    for modules, group in sorted(groups, key=lambda each: -min(map(_depth, each[0]), default=0)):
        _upgrade(folder, group, modules, weights, noted)
    config[VERSIONS] = {label: one._asdict() for label, one in noted.items()} | {
        named.label: {"version": version_of(named.load()), "modules": modules}
        for modules, group in groups
        for named in group
    }
    return config, weights


def _upgrade(
    folder: Path, group: list[Named], modules: list[str], weights: Weights, noted: Mapping[str, Noted]
) -> None:
    # Specs of one class within one part of the model, and its modules there: which is whose cannot be told, so each
    # module is the first one's, and all are asked for their options.
    before = [named.options() for named in group]
    for prefix in [f"{module}." for module in modules] or [""]:
        names = [name for name in weights if prefix and name.startswith(prefix)]
        own = {name.removeprefix(prefix): weights.pop(name) for name in names}
        answers = [
            _ask(folder, named, copy.deepcopy(options), dict(own), noted)
            for named, options in zip(group, before, strict=True)
        ]
        for named, (options, _) in zip(group, answers, strict=True):
            named.set_options(options)
        weights |= {f"{prefix}{name}": value for name, value in answers[0][1].items()}


def _noted(folder: Path, config: Mapping[str, Any]) -> dict[str, Noted]:
    try:
        noted = {label: Noted(**one) for label, one in config.get(VERSIONS, {}).items()}
        well_formed = all(
            isinstance(one.version, int) and isinstance(one.modules, list) for one in noted.values()
        )
    except (AttributeError, TypeError):
        well_formed = False
    if not well_formed:
        raise BundleError(
            f"{folder}: {VERSIONS} is {config[VERSIONS]!r}, which are no versions of parts; get the bundle again"
        )
    return noted


def named_parts(config: Mapping[str, Any]) -> Iterator[Named]:
    """All parts that a bundle's configuration names, those inside of others included."""
    model = config["model"]
    for key in model_parts(model):
        yield from _inside(kind_of_option(key) or "", model, key, key)
    for key, kind in _OUTSIDE.items():
        if key in config:
            yield from _inside(kind, config, key, "")


def model_parts(model: Mapping[str, Any]) -> list[str]:
    """Entries of a model's configuration that name parts, whatever its architecture; `tie_head` is none."""
    return [key for key, spec in model.items() if kind_of_option(key) and isinstance(spec, str | Mapping)]


def _inside(kind: str, holder: Any, key: str, top: str) -> Iterator[Named]:
    name, options = read_spec(kind, holder[key])
    named = Named(kind, name, holder, key, top)
    yield named
    for option, nested_kind in nested_kinds(named.load()).items():
        if options.get(option) is not None:
            yield from _inside(nested_kind, holder[key]["init_args"], option, top)


def _is_older(folder: Path, named: Named, noted: Mapping[str, Noted]) -> bool:
    # Than the installed part. A bundle that was written when versions were not noted has the first of all.
    was, installed = noted.get(named.label, Noted()).version, version_of(named.load())
    if was > installed:
        entry = catalogue().entry(named.kind, named.name)
        origin = f"{entry.distribution} {entry.version}".strip()
        raise BundleError(
            f"{folder} was made with version {was} of {named.kind} {named.name!r}; the installed one, of {origin}, is "
            f"version {installed}. Update it: pip install --upgrade {entry.distribution}"
        )
    return was < installed


def _modules(folder: Path, named: Named, noted: Mapping[str, Noted], weights: Weights) -> list[str]:
    # The modules that a part is within its part of the model, as far as they have weights of their own.
    if not named.top:
        return []
    places = _MODULES.get(named.top, [named.top])
    inside = noted.get(named.label, Noted()).modules
    if inside is None and named.nested:
        raise BundleError(
            f"{folder} does not say where in the model {named.kind} {named.name!r} is, which has changed since; "
            "install the version of it that the bundle was made with"
        )
    found = [m for m in inside if any(f"{m}.".startswith(f"{p}.") for p in places)] if inside else places
    return [module for module in found if any(name.startswith(f"{module}.") for name in weights)]


def _ask(
    folder: Path, named: Named, options: dict[str, Any], weights: Weights, noted: Mapping[str, Noted]
) -> tuple[dict[str, Any], Weights]:
    was, part = noted.get(named.label, Noted()).version, named.load()
    what = f"{folder}: {named.kind} {named.name!r} cannot be brought from version {was} to {version_of(part)}"
    if not hasattr(part, "upgrade"):
        raise BundleError(
            f"{what}: it has no `upgrade`; install the version of it that the bundle was made with"
        )
    try:
        options, weights = part.upgrade(options, weights, was)
    except Exception as error:  # whatever it is, it is the plugin's
        raise BundleError(f"{what}: {type(error).__name__}: {error}") from error
    return options, weights


def _depth(module: str) -> int:
    return module.count(".")
