"""`s2s inspect`: what a bundle contains, and whether it can be used here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s2s.commands.bundles import expect_bundle
from s2s.commands.command_line import CommandLine
from s2s.counted import counted
from s2s.untrusted import printable

if TYPE_CHECKING:
    from s2s.inference.inspection import Inspection

SUMMARY = "verify a bundle and show its contents: model card, sizes, parts, vocabulary"


def main(argv: list[str]) -> int:
    """Run `s2s inspect BUNDLE`."""
    parser = CommandLine(
        prog="s2s inspect",
        description="Show the contents of a bundle, and verify its checksums.",
        epilog="The exit status is 2 if the bundle cannot be used here.",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="folder of the model, as `s2s fit` writes it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    expect_bundle(options.bundle)

    from s2s.inference.inspection import inspect

    found = inspect(options.bundle)
    if options.json:
        print(json.dumps(asdict(found), indent=2, ensure_ascii=False), flush=True)
    else:
        print("\n".join(_lines(found)), flush=True)
    if found.problem is not None:
        print(f"s2s: error: {found.problem}", file=sys.stderr)
        return 2
    return 0


def _lines(found: Inspection) -> Iterator[str]:
    yield f"{found.bundle}: bundle of format {found.format}, made by s2s {found.s2s_version}"
    stated = {name.replace("_", " "): text for name, text in found.card.items()}
    about = {
        name: stated.get(name) or "not stated"
        for name in ("description", "licence", "intended use", "command")
    }
    about["task"] = found.task or "not stated"
    about["search"] = "none" if found.search is None else _spec(found.search)
    if found.max_output_tokens is not None:
        about["output"] = f"at most {counted(found.max_output_tokens, 'token')}"
    about["shortlist"] = "yes" if found.shortlist else "no"
    about["training"] = ", ".join(f"{name} {value}" for name, value in found.training.items()) or "not stated"
    about["scores"] = (
        "\n".join(
            f"{score['name']} {score['value']:.2f} ({score['sentences']} {score.get('unit', 'sentences')}; "
            f"{score['signature']})"
            for score in found.scores
        )
        or "none"
    )
    yield from _columns(about)
    if found.parameters is not None:
        yield f"\nmodel: {sum(found.parameters.values()):,} parameters"
        yield from _columns({part: f"{count:,}" for part, count in found.parameters.items()})
    for side, vocabulary in (found.vocabulary or {}).items():
        yield f"\nvocabulary of {side}: {_spec(vocabulary['tokenizer'])}, {vocabulary['tokens']:,} tokens"
        yield f"  {' '.join(map(printable, vocabulary['some']))}"
    yield "\nparts"
    yield from _columns({label: _part(**part) for label, part in found.parts.items()})
    yield f"\nfiles: {sum(file['bytes'] for file in found.files.values()):,} bytes"
    yield from _columns(
        {name: f"{file['bytes']:,} bytes, {file['state']}" for name, file in found.files.items()}
    )


def _columns(rows: dict[str, str]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    for name, text in rows.items():
        first, *rest = map(printable, text.split("\n"))
        yield f"  {name:<{width}}  {first}"
        yield from (f"  {'':<{width}}  {line}" for line in rest)


def _spec(spec: Any) -> str:
    if isinstance(spec, str):
        return spec
    options = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in spec["init_args"].items()
    )
    return f"{spec['class_path']}({options})"


def _part(made_with: dict[str, Any], here: dict[str, Any] | None) -> str:
    if here == made_with:
        return _origin(made_with)
    return f"{_origin(made_with)}; here: {'not installed' if here is None else _origin(here)}"


def _origin(part: dict[str, Any]) -> str:
    from s2s.inference.origins import place_of

    version = "" if part["part_version"] is None else f"version {part['part_version']}"
    by = (
        f"{place_of(part)} {part['folder']}"
        if "folder" in part
        else " ".join(part[key] for key in ("distribution", "version") if part.get(key))
    )
    return " of ".join(word for word in (version, by) if word) or "not noted"
