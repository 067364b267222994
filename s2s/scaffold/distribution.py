"""Writes a new distribution from templates, with the part's names for `my_part`, `MyPart` and `my-part`.

Templates are valid Python, linted and type-checked like the rest of s2s. Files below `templates/every_kind` are written
for all kinds, those below `templates/KIND` for one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from s2s.errors import ConfigError
from s2s.registry import KINDS as HOOKS
from s2s.registry import catalogue
from s2s.registry.near_names import unknown
from s2s.scaffold.names import Names

KINDS = ("cell", "attention", "encoder", "decoder", "tokenizer", "metric", "search", "task")
"""The kinds that have a template."""

_TEMPLATES = Path(__file__).resolve().parent / "templates"


def new(kind: str, name: str, output: Path) -> Path:
    """Write a distribution with one small, working part.

    Args:
        kind: one of `KINDS`.
        name: `my_cell` or `MyCell`.
        output: the folder in which to create the distribution's; it is created if missing.

    Returns:
        The distribution's folder, `output/my-cell`.

    Raises:
        ConfigError: the kind has no template, the name is invalid or taken, or the folder exists.
    """
    if kind not in KINDS:
        raise ConfigError(unknown("template", kind, KINDS, "For other kinds see: docs/plugins/hooks.md"))
    names = Names.of(name)
    _refuse_what_is_taken(kind, names)
    folder = output / names.distribution
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output {output} is a file; name a folder")
    if folder.exists():
        raise ConfigError(f"{folder} is there already; choose another name or another --output FOLDER")
    written = dict(_written(kind, names))
    for path, text in written.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def next_steps(folder: Path) -> str:
    """What to do with a new distribution: the commands of its README.

    Args:
        folder: as `new` returned it.
    """
    readme = (folder / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.splitlines() if line.startswith("    ")]
    return "\n".join([f"{folder} is written. Next:", "", f"    cd {shlex.quote(str(folder))}", *commands])


def _written(kind: str, names: Names) -> Iterator[tuple[str, str]]:
    """Relative path and text of every file, except what tools leave behind (compiled code)."""
    words = {
        "my_part": names.module,
        "MyPart": names.part,
        "my-part": names.distribution,
        "PART_KIND": kind,
        "PART_HOOK": HOOKS[kind],
    }

    def fill(text: str) -> str:
        return re.sub("|".join(words), lambda found: words[found.group()], text)

    for template in (_TEMPLATES / "every_kind", _TEMPLATES / kind):
        for path in sorted(template.rglob("*")):
            below = path.relative_to(template)
            if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in below.parts):
                yield fill(below.as_posix()), fill(path.read_text(encoding="utf-8"))


def _refuse_what_is_taken(kind: str, names: Names) -> None:
    """Refuse names that are already used by a part or a module.

    Raises:
        ConfigError: there is such a part (in any case) or module.
    """
    for entry in catalogue().entries(kind):
        if entry.name.casefold() == names.part.casefold():
            origin = f"{entry.distribution} {entry.version}".strip()
            raise ConfigError(
                f"there is a {kind} {entry.name!r} already, of {origin}; choose another name, for instance "
                f"My{names.part}"
            )
    if names.module == "tests":
        raise ConfigError(
            "'tests' is the folder of the new part's test; choose another name, for instance my_tests"
        )
    found = find_spec(names.module)
    if found is not None and found.origin is not None:  # without one it is only a folder, which hides nothing
        raise ConfigError(
            f"there is a module {names.module!r} already ({found.origin}), which would hide the new one; choose "
            f"another name, for instance my_{names.module}"
        )
