"""Parts as specs: the tree of names and options in configurations and bundles, and the factories built from it.

A spec is a catalogue name, `"LSTM"`, or a name with options, `{"class_path": "LSTM", "init_args": {...}}`. An
option annotated `Callable[..., X]` takes a part itself; its kind is the last word of the option's name
(`cell`, `target_embedding`). Sizes are never part of a spec: the enclosing part passes them.
"""

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Container, Mapping, Sequence
from traceback import walk_tb
from typing import Any

from s2s.errors import ConfigError
from s2s.registry import Entry, catalogue
from s2s.registry.hookspecs import KINDS
from s2s.registry.near_names import unknown

Spec = str | dict[str, Any]

SIZES = {"cell": 2, "attention": 2, "encoder": 1, "bridge": 2, "decoder": 2, "head": 4, "embedding": 1}
"""How many sizes the enclosing part passes to a part; the hooks say which."""

_MOST_SHOWN = 60  # characters of a value in a message


def kind_of_option(option: str) -> str | None:
    """The kind of part that an option takes, by its name: `target_embedding` -> "embedding"; None if none."""
    last_word = option.rpartition(".")[2].rpartition("_")[2]
    return last_word if last_word in KINDS else None


def read_spec(kind: str, spec: Any) -> tuple[str, dict[str, Any]]:
    """Name and options of a spec.

    Raises:
        ConfigError: it is neither a name nor a mapping with `class_path` and `init_args`.
    """
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("class_path"), str):
        strange = set(spec) - {"class_path", "init_args"}
        if strange:
            raise ConfigError(f"{kind}: " + unknown("key", min(strange), ["class_path", "init_args"]))
        given = spec.get("init_args") or {}
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"{kind} {spec['class_path']!r}: init_args is {given!r}, not a mapping of options"
            )
        return spec["class_path"], dict(given)
    raise ConfigError(f"{kind}: expected a name or {{class_path: NAME, init_args: {{...}}}}, got {spec!r}")


def options(part: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a part that a configuration may set: all but the sizes."""
    return {
        name: parameter
        for name, parameter in inspect.signature(part).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        or (
            parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            and parameter.default is not inspect.Parameter.empty
        )
    }


def nested_kinds(part: Callable[..., Any]) -> dict[str, str]:
    """The options of a part whose values are parts: option -> kind."""
    target = part.__init__ if inspect.isclass(part) else part
    hints = typing.get_type_hints(target)
    found = {}
    for name in options(part):
        kind = kind_of_option(name)
        annotation = hints.get(name)
        alternatives = [annotation, *typing.get_args(annotation)]
        if kind and any(typing.get_origin(alternative) is Callable for alternative in alternatives):
            found[name] = kind
    return found


def check_options(kind: str, name: str, part: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Check the names of the given options against the part's signature.

    Raises:
        ConfigError: an option that the part does not have (similar names are suggested), or a constructor that requires
            more than sizes.
    """
    known = options(part)
    if kind in SIZES:
        _refuse_more_than_sizes(kind, name, part)
    for option in given:
        if option not in known:
            raise ConfigError(f"{kind} {name!r}: " + unknown("option", option, known))


def check_complete(kind: str, name: str, part: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Check that all required options of a part are given.

    Raises:
        ConfigError: an option without a default that is not given.
    """
    for option in lacking_options(part, given):
        raise ConfigError(f"{kind} {name!r}: option {option!r} has no default; give it a value")


def lacking_options(part: Callable[..., Any], given: Container[str]) -> list[str]:
    """The options without a default that are not given."""
    return [
        option
        for option, parameter in options(part).items()
        if option not in given and parameter.default is inspect.Parameter.empty
    ]


def _refuse_more_than_sizes(kind: str, name: str, part: Callable[..., Any]) -> None:
    parameters = inspect.signature(part).parameters.values()
    required = [
        parameter
        for parameter in parameters
        if parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is inspect.Parameter.empty
    ]
    if extra := required[SIZES[kind] :]:
        untyped = extra[0].annotation is inspect.Parameter.empty
        lacks, remedy = (" and no type", "both") if untyped else ("", "one")
        raise ConfigError(
            f"{kind} {name!r}: constructor argument {extra[0].name!r} of {getattr(part, '__name__', name)} has no "
            f"default{lacks}; a name alone must build a part: give it {remedy}, as in `*, {extra[0].name}: float = 1.0`"
        )


def check_values(what: str, target: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Check values against the annotations of their options: numbers, text, lists of them, and fixed choices.

    Args:
        what: the owner of the options, for the message.
        target: a class or function; parameters with other annotations accept anything.
        given: values by option name.

    Raises:
        ConfigError: a value is of another type.
    """
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for option, value in given.items():
        if not _is_of(value, hints.get(option, Any)):
            wanted = re.sub(r"<class '(\w+)'>|typing\.|NoneType", lambda m: m[1] or "", str(hints[option]))
            raise ConfigError(
                f"{what}: option {option!r} is {_shortened(value)}; it must be of type {wanted}"
            )


def _is_of(value: Any, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(_is_of(value, one) for one in arguments)
    if origin is typing.Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if annotation in (int, float):
        kinds = (int, float) if annotation is float else (int,)
        return isinstance(value, kinds) and not isinstance(value, bool)
    if annotation in (bool, str, type(None)):
        return isinstance(value, annotation)
    if origin in (list, tuple, Sequence):
        inside = set(arguments) - {Ellipsis}
        return isinstance(value, list | tuple) and (
            len(inside) != 1 or all(_is_of(one, *inside) for one in value)
        )
    return True


def _shortened(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."


def build(part: Callable[..., Any], /, *args: Any, **given: Any) -> Any:
    """Call the constructor of a part, and tell what it refuses.

    Errors of a class that is in no catalogue, and errors other than a ValueError or TypeError, stay as they are.

    Raises:
        ConfigError: the constructor raises a ValueError or TypeError.
    """
    try:
        return part(*args, **given)
    except (TypeError, ValueError) as error:
        if not isinstance(part, type) or (entry := catalogue().find(part)) is None:
            raise
        raise ConfigError(_refusal(entry, part, args, given, error)) from error


def _refusal(
    entry: Entry, part: type, args: tuple[Any, ...], given: Mapping[str, Any], error: Exception
) -> str:
    settable = options(part)
    sizes = [name for name in inspect.signature(part).parameters if name not in settable]
    values = {**dict(zip(sizes, args, strict=False)), **given}
    told = ", ".join(f"{name}={_shown(value)}" for name, value in values.items())
    chosen = any(name in settable and value != settable[name].default for name, value in given.items())
    lines = [line for frame, line in walk_tb(error.__traceback__) if _is_in(frame, part)]
    place = f" (line {lines[-1]} of {part.__module__})" if lines else ""
    reason = f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}{place}"
    remedy = f"See: s2s plugins {'show' if chosen else 'check'} {entry.name}"
    return f"{entry.kind} {entry.name!r} cannot be built{f' with {told}' if told else ''}: {reason}. {remedy}"


def _is_in(frame: types.FrameType, part: type) -> bool:
    return frame.f_globals.get("__name__") == part.__module__


def _shown(value: Any) -> str:
    if isinstance(value, functools.partial) or inspect.isclass(value):
        return str(_unwrap(value)[0].__name__)
    return _shortened(value)


class _Factory(functools.partial[Any]):
    """A `functools.partial` of a part that builds it with `build`."""

    def __call__(self, /, *args: Any, **given: Any) -> Any:
        return build(self.func, *self.args, *args, **{**self.keywords, **given})


def factory(kind: str, spec: Any) -> functools.partial[Any]:
    """A factory that takes the sizes and builds the part with the spec's options; parts inside it likewise.

    Args:
        kind: One of `s2s.registry.KINDS`.
        spec: A catalogue name, or `{"class_path": name, "init_args": options}`.

    Raises:
        ConfigError: an unknown name or option, or one without a default that is not given.
        PluginError: the part cannot be imported.

    The factory raises a ConfigError if the part's constructor refuses a value; see `build`.
    """
    name, given = read_spec(kind, spec)
    part = catalogue().load(kind, name)
    check_options(kind, name, part, given)
    check_complete(kind, name, part, given)
    nested = nested_kinds(part)
    check_values(f"{kind} {name!r}", part, {key: value for key, value in given.items() if key not in nested})
    for option, nested_kind in nested.items():
        if given.get(option) is not None:
            given[option] = factory(nested_kind, given[option])
    return _Factory(part, **given)


def describe(built: Callable[..., Any]) -> Spec:
    """The spec of a factory: the inverse of `factory`, with the defaults of all options filled in.

    Args:
        built: A class, `functools.partial(Class, ...)`, or the partial that jsonargparse makes, which holds
            the class among its arguments.

    Raises:
        ConfigError: no plugin's hook returns the class, or an option's value cannot be written as JSON.
    """
    part, given = _unwrap(built)
    entry = catalogue().find(part)
    if entry is None:
        raise ConfigError(
            f"{part.__module__}.{part.__qualname__} is in no plugin's hook, so no configuration can name it. "
            "See: s2s plugins list"
        )
    check_options(entry.kind, entry.name, part, given)
    nested = nested_kinds(part)
    arguments = {}
    for option, parameter in options(part).items():
        if option not in given and parameter.default is inspect.Parameter.empty:
            raise ConfigError(f"{entry.kind} {entry.name!r}: option {option!r} has no value and no default")
        value = given.get(option, parameter.default)
        if option in nested and value is not None:
            arguments[option] = value if isinstance(value, str) else describe(value)
        else:
            arguments[option] = _plain(value, f"{entry.kind} {entry.name!r}: option {option!r}")
    return {"class_path": entry.name, "init_args": arguments} if arguments else entry.name


def _unwrap(built: Callable[..., Any]) -> tuple[type, dict[str, Any]]:
    given: dict[str, Any] = {}
    part: Any = built
    while isinstance(part, functools.partial):
        given = {**part.keywords, **given}
        classes = [value for value in (part.func, *part.args) if inspect.isclass(value)]
        part = classes[0] if classes else part.func
    if not inspect.isclass(part):
        raise ConfigError(f"expected a class of the catalogue or a functools.partial of one, got {built!r}")
    return part, given


def _plain(value: Any, what: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, what) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, what) for key, item in value.items()}
    raise ConfigError(f"{what} is {value!r}, which JSON cannot hold; use numbers, text, lists or mappings")
