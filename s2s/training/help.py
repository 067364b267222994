"""Readable help: one line per option, the most used first, catalogue names instead of types."""

import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import docstring_parser

from s2s.errors import ConfigError
from s2s.registry import catalogue
from s2s.registry.parts import kind_of_option, options

WIDTH = 110
INDENT = 34

_FILES = {"train": "FILE", "validation": "FILE", "test": "FILE", "cache": "FOLDER", "start_from": "BUNDLE"}
"""Placeholders of text options that have these names in every task."""
_MOST_VALUES = 5
"""Up to this many values are shown beside an option's name."""
_VALUES = {float: "NUMBER", int: "INT", bool: "true|false", dict: "MAPPING", list: "LIST", tuple: "LIST"}
_TAKEN_FOR_NULL = re.compile(r"\b[Dd]efault(?:s to|:) ``(?:\w+ = )?['\"]?([\w.-]+)['\"]?``")
"""How Lightning documents the effect of null: "Default: ``'32-true'``", "defaults to ``max_epochs = 1000``"."""


def option_lines(
    prefix: str,
    holder: Callable[..., Any],
    only: Iterable[str] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
    told: Mapping[str, str] | None = None,
    brief: bool = False,
) -> list[str]:
    """A line or two for each option of a class, in the order of its signature.

    Args:
        prefix: What stands before the option's name on the command line, `--model.`.
        holder: The class.
        only: The options to show, in this order; default: all.
        defaults: Defaults that are not in the signature, by option.
        told: Help texts that replace those of the docstring, by option.
        brief: First sentences only.
    """
    known = options(holder)
    documented = {p.arg_name: p.description or "" for p in docstring_parser.parse(_doc(holder)).params}
    hints = type_hints(holder)
    lines = []
    for name in only if only is not None else known:
        default = (defaults or {}).get(name, known[name].default)
        text = documented.get(name, "")
        if default is None and (taken := _TAKEN_FOR_NULL.search(text)) and taken[1] != "None":
            default = taken[1].lower() if taken[1] in ("True", "False") else taken[1]
        lines += _lines(
            f"{prefix}{name} {_placeholder(name, hints.get(name), known[name].default)}",
            (told or {}).get(name) or (text.replace("\n", " ").split(". ")[0] if brief else text),
            _default(name, default),
        )
    return lines


def part_help(kind: str, name: str, prefix: str) -> str:
    """Help of a part: its description and options.

    Args:
        kind: Kind of the part.
        name: Its catalogue name.
        prefix: The option that takes the part, `--model.encoder.cell`.
    """
    part = catalogue().load(kind, name)
    entry = catalogue().entry(kind, name)
    origin = f"{entry.distribution} {entry.version}".rstrip()
    lines = [f"{kind} {name}, from {origin} ({entry.target})", ""]
    description = docstring_parser.parse(_doc(part))
    text = "\n\n".join(filter(None, [description.short_description, description.long_description]))
    lines += [text, ""] if text else []
    settable = option_lines(f"{prefix}.", part)
    lines += ["options", *settable] if settable else ["It has no options."]
    return "\n".join(lines)


def with_options(kind: str, name: str) -> str:
    """A part and the defaults of its options, in one line: `SentencePiece, vocabulary_size 8000, ...`."""
    settable = options(catalogue().load(kind, name))
    told = [f"{one} {_shown(of.default)}" for one, of in settable.items() if of.default is not None]
    return ", ".join([name, *told])


def choices(kind: str) -> str:
    """The known parts of a kind, in one line."""
    return f"one of {', '.join(catalogue().names(kind)) or 'none'}"


def type_hints(holder: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a class's constructor, resolved."""
    return typing.get_type_hints(holder.__init__ if inspect.isclass(holder) else holder)


def _doc(holder: Callable[..., Any]) -> str:
    return "\n\n".join(filter(None, [inspect.getdoc(holder), _constructor_doc(holder)]))


def _constructor_doc(holder: Callable[..., Any]) -> str:
    if not inspect.isclass(holder) or "__init__" not in vars(holder):
        return ""
    return inspect.cleandoc(vars(holder)["__init__"].__doc__ or "")


def _lines(option: str, text: str, default: str) -> list[str]:
    text = re.sub(r":[a-z:]+:`~?([^`]*)`", r"\1", text.split("\n\n")[0].split("Default:")[0])
    text = " ".join(text.replace("``", "").split()).rstrip(".")
    body = f"{text} ({default})" if default else text
    left = f"  {option}"
    gap = " " * INDENT
    wrapped = textwrap.wrap(body, WIDTH - INDENT, break_on_hyphens=False) or [""]
    if len(left) < INDENT - 1:
        return [f"{left:<{INDENT}}{wrapped[0]}".rstrip(), *(gap + line for line in wrapped[1:])]
    return [left, *(gap + line for line in wrapped if line)]


def _placeholder(name: str, annotation: Any, default: Any) -> str:
    if takes_part(annotation) and (kind := kind_of_option(name)):
        return kind.upper()
    alternatives = [a for a in _alternatives(annotation) if a is not type(None)]
    literals = [a for a in alternatives if typing.get_origin(a) is typing.Literal]
    values = list(dict.fromkeys(str(value) for a in literals for value in typing.get_args(a)))
    kinds = [typing.get_origin(a) or a for a in alternatives]
    shown = values if len(values) <= _MOST_VALUES else []
    if str in kinds and name in _FILES:
        shown.append(_FILES[name])
    shown += [
        value for kind, value in _VALUES.items() if kind in kinds and (kind is not int or float not in kinds)
    ]
    if str in kinds and name not in _FILES:
        # Beside numbers, the only text is most often the default, such as `auto`.
        shown.append(default if shown and isinstance(default, str) else "TEXT")
    return "|".join(shown) or "VALUE"


def takes_part(annotation: Any) -> bool:
    """Whether an option of this annotation takes a part: a factory, a class or a spec, not a number."""
    simple = {bool, int, float, str, type(None), inspect.Parameter.empty, Any, None}
    return any(alternative not in simple for alternative in _alternatives(annotation))


def _alternatives(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return list(typing.get_args(annotation))
    return [annotation]


def _default(name: str, default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "must be given"
    if default is None:
        return ""
    kind = kind_of_option(name)
    if kind and inspect.isclass(default):
        entry = catalogue().find(default, kind)
        default = entry.name if entry else default.__name__
    return f"default: {_shown(default)}"


def _shown(value: Any) -> str:
    """A value as written on the command line."""
    if isinstance(value, tuple):
        value = list(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def explain_part_help(key: str, name: str | None) -> str:
    """The answer to `--model.encoder.cell.help[=NAME]`."""
    kind = kind_of_option(key)
    if kind is None:
        raise ConfigError(
            f"--{key}.help: {key!r} is not an option that takes a part; see the help of the command"
        )
    if name is None:
        return f"--{key} takes a part of kind {kind}: {choices(kind)}\nIts options: --{key}.help NAME"
    return part_help(kind, name, f"--{key}")
