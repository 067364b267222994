"""Requirements on the constructor of every part, of any kind: configurations set its options."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import docstring_parser

from s2s.registry.parts import nested_kinds, options
from s2s.testing.kit import Nonconforming, part_of


def check_constructor(factory: Any) -> None:
    """Every argument is typed and documented, and every option has a default that JSON can hold."""
    part = part_of(factory)
    where = f"{part.__module__}.{part.__qualname__}"
    if not inspect.isclass(part):
        raise Nonconforming(f"{where}, which is no class", "a class", "Name the class in the plugin's hook.")
    if not (part.__doc__ or "").strip():
        raise Nonconforming(
            f"that {where} has no docstring", "one", "Say in one line what it is, and from which paper."
        )
    parameters = inspect.signature(part).parameters
    hints = typing.get_type_hints(part.__init__)
    documented = {one.arg_name for one in docstring_parser.parse(part.__doc__ or "").params}
    documented |= {one.arg_name for one in docstring_parser.parse(part.__init__.__doc__ or "").params}
    for name, parameter in parameters.items():
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            raise Nonconforming(
                f"{parameter} in the constructor of {where}",
                "named arguments only",
                "Write the arguments out: a typo in a configuration must fail.",
            )
        if name not in hints:
            raise Nonconforming(
                f"that {name!r} of {where} has no type",
                "an annotation",
                "Annotate it: configurations are validated by it.",
            )
    nested = nested_kinds(part)
    for name, parameter in options(part).items():
        if name not in documented:
            raise Nonconforming(
                f"that the docstring of {where} does not tell of {name!r}",
                "a line in its Args section",
                f"Write: {name}: what it does.",
            )
        if parameter.default is inspect.Parameter.empty:
            raise Nonconforming(
                f"that {name!r} of {where} has no default",
                "one",
                "Give it one: the name alone must build the part.",
            )
        if name not in nested:
            _expect_plain(parameter.default, f"the default of {name!r} of {where}")


def _expect_plain(value: Any, what: str) -> None:
    try:
        json.dumps(value)
    except TypeError as error:
        raise Nonconforming(
            f"that {what} is {value!r}", "what JSON can hold", "Use numbers, text, lists or mappings."
        ) from error


def other_options(factory: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Each option of a part with values other than its default, if its type allows to derive some."""
    part = part_of(factory)
    hints = typing.get_type_hints(part.__init__) if inspect.isclass(part) else {}
    for name, parameter in options(part).items():
        default = getattr(factory, "keywords", {}).get(name, parameter.default)
        if name in nested_kinds(part):
            continue
        if typing.get_origin(hints.get(name)) is typing.Literal:
            others: Sequence[Any] = typing.get_args(hints[name])
        elif isinstance(default, bool):
            others = [not default]
        elif isinstance(default, int):
            others = [default + 1, default + 2]
        elif isinstance(default, float):
            others = [default / 2, default + 1.0]
        else:
            others = []
        yield from ((name, other) for other in others if other != default)
