"""Prepares what the user wrote, in YAML and on the command line, for the parser.

The parser would accept any importable callable, and answers a typo with a page of types. So all names are first
checked against the catalogue and the known options; names of parts are replaced by the import paths it needs.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import yaml

from s2s.errors import ConfigError, DataError
from s2s.registry import catalogue
from s2s.registry.near_names import nearest
from s2s.registry.parts import check_options, kind_of_option, nested_kinds, read_spec
from s2s.resources import recipe, recipes
from s2s.training.help import choices
from s2s.training.nameable import check_plain, checked, refuse_classes_elsewhere
from s2s.untrusted import parse_yaml, read_bytes

CONFIG_OPTIONS = ("-c", "--config")
DEFAULT_TASK = "Seq2Seq"
DEFAULT_SEED = 1
LINKED = "data.seed"
"""Not an option of its own: it follows `seed_everything`, so that a run has one seed."""
_SEVERAL = {"metric": "Several score finished outputs: s2s evaluate OUTPUTS REFERENCES --metrics NAME NAME"}
"""How to use several parts where an option takes only one, by kind."""


class _Loader(yaml.SafeLoader):
    """YAML as the parser reads it: `1e-3` is a number (YAML 1.2), not a string (YAML 1.1)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


class _Dumper(yaml.SafeDumper):
    """Writes values given from Python, including paths, as text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write anchors: each value is written in full."""
        return True


_Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_str(str(path)))
_Dumper.add_multi_representer(np.signedinteger, lambda dumper, number: dumper.represent_int(int(number)))
_Dumper.add_multi_representer(np.floating, lambda dumper, number: dumper.represent_float(float(number)))


@dataclass(frozen=True)
class Config:
    """A configuration file, or a tree given from Python.

    Attributes:
        name: The recipe's name, the file's stem, or "" for a tree from Python.
        tree: What it holds.
        file: Its path, for messages; "" for a tree from Python.
    """

    name: str
    tree: dict[str, Any]
    file: str = field(default="", compare=False)


@dataclass(frozen=True)
class Option:
    """One option of the command line: `--model.encoder.cell GRU`."""

    key: str
    value: str


Written = Config | Option


def read_config(name: str) -> Config:
    """A recipe by its name, or a YAML file by its path.

    Raises:
        ConfigError: neither exists, or it holds no mapping.
        DataError: it is not YAML.
    """
    path = recipe(name)
    try:
        tree = parse_yaml(read_bytes(path), _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise DataError(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        found = "it is empty" if tree is None else f"it holds a {type(tree).__name__}"
        raise ConfigError(f"{path}: expected `key: value` lines, but {found}")
    return Config(_run_name(path), tree, str(path))


def _run_name(path: Path) -> str:
    # The configuration that a run saved carries the run's name, not "config".
    return path.resolve().parent.name if path.name == "config.yaml" else path.stem


def read_value(text: str) -> Any:
    """A value of the command line as YAML: number, truth value, list, mapping, or text."""
    try:
        return parse_yaml(text, _Loader)
    except (yaml.YAMLError, ValueError):
        return text


def as_text(value: Any) -> str:
    """The reverse of `read_value`: a value as the command line takes it, in one line.

    Raises:
        ConfigError: an object that YAML cannot hold.
    """
    if isinstance(value, str):
        return value
    try:
        text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=2**20, sort_keys=False)
    except yaml.representer.RepresenterError as error:
        raise ConfigError(
            f"{value!r} holds an object that a configuration cannot hold; give numbers, text, lists or "
            "mappings, and callbacks as `callbacks=[...]`"
        ) from error
    return str(text).removesuffix("\n").removesuffix("\n...")


def read_command_line(argv: Sequence[str]) -> list[Written]:
    """Configurations and options, in the order in which they were given.

    Raises:
        ConfigError: an unexpected word, or an option without a value.
    """
    written: list[Written] = []
    words = iter(argv)
    for word in words:
        key, equals, value = word.partition("=")
        if not key.startswith("--") and key not in CONFIG_OPTIONS:
            raise ConfigError(f"unexpected {word!r}; {_meant(word, written)}")
        if not equals:
            value = next(words, "--")
            if value.startswith("--"):
                raise ConfigError(f"option {key} needs a value: {key} VALUE")
        if key in CONFIG_OPTIONS:
            written.append(read_config(value))
        else:
            written.append(Option(key.removeprefix("--"), value))
    return written


def _meant(word: str, written: Sequence[Written]) -> str:
    """A hint about the probable meaning of a word that follows a complete option."""
    before = written[-1] if written else None
    configuration = word in recipes() or word.endswith((".yaml", ".yml"))
    if isinstance(before, Option) and before.key.startswith("data.") and not configuration:
        return f"two files are joined by a comma: --{before.key} {before.value},{word}"
    return f"options begin with --, and a recipe is named with -c: -c {word}"


def given_value(written: Iterable[Written], key: str) -> Any:
    """The value given last for a key, as it was written; None if it was not given."""
    value = None
    for item in written:
        if isinstance(item, Option):
            value = item.value if item.key == key else value
            continue
        for below, found in _dotted("", item.tree):
            value = found if below == key else value
    return value


def file_of(written: Iterable[Written], key: str) -> str:
    """The configuration file that gave the value of a key last; "" if it, or a part of it, was given elsewhere."""
    file = ""
    for item in written:
        if isinstance(item, Option):
            file = "" if f"{item.key}.".startswith(f"{key}.") else file
        elif any(below == key for below, _ in _dotted("", item.tree)):
            file = item.file
    return file


def _dotted(prefix: str, tree: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The values of a tree by their full dotted keys; keys in the tree may already have dots."""
    for name, value in tree.items():
        yield f"{prefix}{name}", value
        if isinstance(value, Mapping):
            yield from _dotted(f"{prefix}{name}.", value)


def task_name(written: Iterable[Written]) -> str:
    """The name of the configured task."""
    return str(given_value(written, "task") or DEFAULT_TASK)


class Vocabulary:
    """The options that a parser knows.

    Args:
        options: Dotted keys, `model.encoder`.
        parts: Options that take a part: key -> kind.
        specs: Options that take the spec of a part, which is checked but not replaced.
        several: Options that also take a list of parts.
        open_ended: Options that hold Lightning classes, with options of their own (`trainer.callbacks`).
        closed: Options that hold other objects, which cannot be configured.
        lists: Options that may hold several objects: `--trainer.callbacks+=NAME` adds one to those given before.
        stand_ins: Values that the parser does not know, by option, and functions that return their replacement.
        command: The command, for the remedy in errors.
    """

    def __init__(
        self,
        options: Collection[str],
        *,
        parts: Mapping[str, str],
        specs: Collection[str] = (),
        several: Collection[str] = (),
        open_ended: Collection[str] = (),
        closed: Collection[str] = (),
        lists: Collection[str] = (),
        stand_ins: Mapping[str, Mapping[str, Callable[[], str]]] | None = None,
        command: str = "fit",
    ) -> None:
        self._options = set(options)
        self._groups = {key.rpartition(".")[0] for key in options} - {""}
        self._parts = dict(parts)
        self._specs = set(specs)
        self._several = set(several)
        self._open_ended = set(open_ended)
        self._closed = set(closed)
        self._added_to = {f"{key}+": key for key in lists}
        self._stand_ins = stand_ins or {}
        self._remedy = f"See: s2s {command} --help"

    def arguments(self, written: Sequence[Written]) -> list[str]:
        """The parser's arguments, with all names checked and replaced.

        Raises:
            ConfigError: an option or a part that does not exist, or a part that no plugin registers.
        """
        arguments = []
        for item in written:
            if isinstance(item, Config):
                try:
                    tree = self._tree(item.tree, "")
                except ConfigError as error:
                    raise ConfigError(f"{item.file}: {error}" if item.file else str(error)) from error
                arguments.append(f"--config={as_text(tree)}")
            else:
                arguments.append(f"--{item.key}={self._option(item)}")
        return arguments

    def names(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """A tree from the parser as a person would write it: parts by their names, not their import paths."""
        targets = {e.target.replace(":", "."): e.name for e in catalogue().entries() if e.status == "ok"}

        def named(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: named(item) for key, item in value.items()}
            if isinstance(value, list):
                return [named(item) for item in value]
            return targets.get(value, value) if isinstance(value, str) else value

        return {key: named(value) for key, value in tree.items()}

    def _tree(self, tree: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
        checked = {}
        for name, value in tree.items():
            key = f"{prefix}{name}"
            if key in self._groups:
                if not isinstance(value, Mapping):
                    raise ConfigError(f"{key}: expected options below it, got {value!r}. {self._remedy}")
                checked[name] = self._tree(value, f"{key}.")
            elif key in self._options:
                checked[name] = self._value(key, value)
            else:
                raise ConfigError(self._unknown(key))
        return checked

    def _option(self, option: Option) -> str:
        key = self._added_to.get(option.key, option.key)
        holder = self._holder(key)
        if holder is None:
            raise ConfigError(self._unknown(key))
        if holder == key:
            value = read_value(option.value)
            made = self._value(key, value)
            return option.value if made == value else as_text(made)
        value = read_value(option.value)
        rest = key.removeprefix(f"{holder}.").removeprefix("init_args.")
        if holder not in self._parts:
            raise ConfigError(
                f"{key}: an object is given as a whole: --{holder} '{{class_path: NAME, init_args: {{{rest}: "
                f"{option.value}}}}}'"
            )
        # An option of a part. Its class may come from an earlier configuration, so the name alone tells.
        head, _, last = key.rpartition(".")
        if last == "class_path":
            kind = self._parts.get(head) or kind_of_option(head)
            if kind is None:
                raise ConfigError(self._unknown(key))
            return as_text(_translated(kind, read_spec(kind, value)[0]))
        if last == "init_args":
            kind = self._parts.get(head) or kind_of_option(head) or ""
            return as_text(_translated(kind, {"init_args": value})["init_args"])
        if last == "dict_kwargs":
            raise ConfigError(self._unknown(key))
        kind = kind_of_option(key)
        if kind is None or not isinstance(value, (str, Mapping)):
            refuse_classes_elsewhere(key, value)
            return option.value
        return as_text(_translated(kind, value))

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, str) and value in self._stand_ins.get(key, {}):
            return self._stand_ins[key][value]()
        kind = self._parts.get(key)
        if key in self._open_ended:
            _refuse_other_lightning(key, value)
            return checked(key, value)
        if kind is None or value is None:
            refuse_classes_elsewhere(key, value)
            if key in self._closed and value is not None:
                raise ConfigError(
                    f"{key} is {value!r:.100}, but takes an object, which a configuration cannot give. {self._remedy}"
                )
            return value
        if isinstance(value, list):
            if key not in self._several:
                remedy = _SEVERAL.get(kind, self._remedy)
                raise ConfigError(
                    f"{key} is {as_text(value)}, but takes one {kind}, {choices(kind)}. {remedy}"
                )
            return [self._value(key, item) for item in value]
        translated = _translated(kind, value)
        return value if key in self._specs else translated

    def _holder(self, key: str) -> str | None:
        """The option itself, or the part or class to which the rest of the key belongs."""
        if key in self._options:
            return key
        head = key
        while "." in head:
            head = head.rpartition(".")[0]
            if head in self._parts or head in self._open_ended:
                return head
        return None

    def _unknown(self, key: str) -> str:
        known = self._options | self._groups
        near: str | None = None
        head, tail = key, ""
        while near is None and head.count(".") > 1:  # `model.encodr.cell`: the middle may be misspelt
            head, _, last = head.rpartition(".")
            tail = f".{last}{tail}"
            as_deep = [key for key in (*self._parts, *self._open_ended) if key.count(".") == head.count(".")]
            found = nearest(head, as_deep)
            near = f"{found}{tail}" if found else None
        near = near or nearest(key, known)
        if near is None:
            word = nearest(key.rpartition(".")[2], [option.rpartition(".")[2] for option in known])
            near = next((option for option in sorted(known) if option.rpartition(".")[2] == word), None)
        hint = f"; did you mean {near!r}?" if near else "."
        return f"unknown option {key!r}{hint} {self._remedy}"


def _translated(kind: str, value: Any) -> Any:
    """A spec with names replaced by import paths, fully checked."""
    if isinstance(value, Mapping) and set(value) == {"init_args"}:
        # Options for the part that an earlier configuration chose: its class is not known here.
        given = value["init_args"] or {}
        if not isinstance(given, Mapping):
            raise ConfigError(f"{kind}: init_args is {given!r:.100}, not a mapping of options")
        return {"init_args": {name: _nested(name, item) for name, item in given.items()}}
    name, given = read_spec(kind, value)
    known = catalogue()
    written_as_path = next((e.name for e in known.entries(kind) if e.target.replace(":", ".") == name), None)
    name = written_as_path or name
    part = known.load(kind, name)
    check_options(kind, name, part, given)
    nested = nested_kinds(part)
    check_plain(f"{kind} {name!r}", part, given, nested)
    arguments = {
        option: _translated(nested[option], item) if option in nested and item is not None else item
        for option, item in given.items()
    }
    path = known.path(kind, name)
    return {"class_path": path, "init_args": arguments} if arguments else path


def _nested(option: str, value: Any) -> Any:
    kind = kind_of_option(option)
    if kind and isinstance(value, (str, Mapping)):
        return _translated(kind, value)
    refuse_classes_elsewhere(option, value)
    return value


def _refuse_other_lightning(key: str, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _refuse_other_lightning(key, item)
    path = value.get("class_path") if isinstance(value, Mapping) else value
    if isinstance(path, str) and path.startswith("lightning."):
        raise ConfigError(
            f"{key}: {path} is another class than the one that s2s uses; write "
            f"{path.replace('lightning.pytorch', 'pytorch_lightning', 1)}, and import pytorch_lightning"
        )
