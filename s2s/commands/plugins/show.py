"""Show a part: its docs and paper, its options, its state, and its number of parameters at given sizes."""

import inspect
import json
from argparse import ArgumentParser, Namespace
from typing import Any

from s2s.commands.plugins.parts import add_part_options, meant
from s2s.errors import ConfigError, PluginError, S2SError
from s2s.registry import Entry, catalogue
from s2s.registry.words import given_options

SUMMARY = "show a part: docs, options, state, number of parameters"
SIZE, VOCABULARY = 512, 8000
"""Defaults of sizes that are not given."""


def add_to(parser: ArgumentParser) -> None:
    """The action's options."""
    parser.add_argument("part", metavar="NAME|PATH", help="a part's name, or a plugin's file or folder")
    add_part_options(parser)
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        metavar="NAME=INT",
        help=f"a size, such as input_size=256 (default: {SIZE} each, vocabulary_size {VOCABULARY})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace) -> int:
    """Describe and print."""
    entries = meant(options.part, options.kind)
    described = [
        _describe(entry, given_options(options.option), given_options(options.size)) for entry in entries
    ]
    if options.json:
        print(json.dumps(described, indent=2, ensure_ascii=False, default=str))
    else:
        print("\n\n".join(_text(entry, one) for entry, one in zip(entries, described, strict=True)))
    return 0


def _describe(entry: Entry, given: dict[str, Any], sizes: dict[str, Any]) -> dict[str, Any]:
    part = catalogue().load(entry.kind, entry.name)
    found: dict[str, Any] = {
        "kind": entry.kind,
        "name": entry.name,
        "target": entry.target,
        "distribution": entry.distribution,
        "version": entry.version,
        "signature": f"{getattr(part, '__name__', entry.name)}{inspect.signature(part)}",
        "docs": inspect.getdoc(part) or "",
    }
    if inspect.isclass(part):
        found["expected_failures"] = dict(getattr(part, "expected_failures", {}))
        found.update(_measured(entry, part, given, sizes))
    elif sizes:
        raise ConfigError(f"{entry.kind} {entry.name} has no sizes")
    return found


def _measured(entry: Entry, part: type, given: dict[str, Any], sizes: dict[str, Any]) -> dict[str, Any]:
    """Sizes, parameters and state of a part that is a module, built without allocating memory where possible."""
    import torch

    from s2s.nn import built_for_sizes
    from s2s.registry.near_names import unknown
    from s2s.registry.parts import check_options, factory, lacking_options, options

    if not issubclass(part, torch.nn.Module):
        return {}
    settable = options(part)
    taken = {
        name: VOCABULARY if name == "vocabulary_size" else SIZE
        for name, parameter in inspect.signature(part).parameters.items()
        if name not in settable and parameter.default is inspect.Parameter.empty
    }
    for name, value in sizes.items():
        if name not in taken:
            raise ConfigError(unknown(f"size of {entry.kind} {entry.name}", name, taken))
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"--size {name}={value}: expected a whole number, at least 1")
    taken |= sizes
    check_options(entry.kind, entry.name, part, given)
    if lacking := lacking_options(part, given):
        words = " ".join(f"--option {name}=VALUE" for name in lacking)
        return {"not_measured": f"no default, must be given: {words}"}
    build = factory(entry.kind, {"class_path": entry.name, "init_args": given})
    try:
        built = built_for_sizes(build, **taken)
        return {
            "sizes": taken,
            "parameters": sum(parameter.numel() for parameter in built.parameters()),
            **(_cell(built) if entry.kind == "cell" else {}),
        }
    except S2SError:
        raise
    except Exception as error:  # whatever it is, it is the part's
        at = ", ".join(f"{name} {size}" for name, size in taken.items())
        raise PluginError(
            f"{entry.kind} {entry.name!r} cannot be built{f' (at {at})' if at else ''}: "
            f"{type(error).__name__}: {error}. See: s2s plugins check"
        ) from error


def _cell(built: Any) -> dict[str, Any]:
    from s2s.nn import RecurrentCell

    if not isinstance(built, RecurrentCell):
        raise PluginError(
            f"{type(built).__name__} is no RecurrentCell; derive it from {RecurrentCell.__module__}.RecurrentCell. "
            "See: s2s plugins check"
        )
    return {
        "output_size": built.output_size,
        "state_sizes": list(built.state_sizes),
        "draws_noise": type(built).noise is not RecurrentCell.noise,
        "fused": type(built).fused is not RecurrentCell.fused,
    }


def _text(entry: Entry, described: dict[str, Any]) -> str:
    from s2s.training.help import option_lines

    part = catalogue().load(entry.kind, entry.name)
    lines = [
        f"{entry.kind} {entry.name}, from {entry.distribution} {entry.version}".rstrip()
        + f" ({entry.target})",
        "",
    ]
    lines += [*described["docs"].partition("\n\nArgs:")[0].splitlines(), ""]
    lines += [f"signature   {described['signature']}"]
    if "not_measured" in described:
        lines += [f"not known   parameters and state: {described['not_measured']}"]
    if "sizes" in described:
        at = ", ".join(f"{name} {size:,}" for name, size in described["sizes"].items())
        lines += [f"parameters  {described['parameters']:,} (at {at})"]
    if "state_sizes" in described:
        widths = ", ".join(f"{width:,}" for width in described["state_sizes"])
        lines += [f"state       leaves of width {widths}; output of width {described['output_size']:,}"]
        lines += [f"fused path  {'yes' if described['fused'] else 'no: stepped, which every cell can be'}"]
    for check, reason in described.get("expected_failures", {}).items():
        lines += [f"cannot      {check}: {reason}"]
    settable = option_lines("", part)
    lines += ["", "options", *settable] if settable else ["", "It has no options."]
    return "\n".join(lines)
