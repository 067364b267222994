"""Where recipes and embedded corpora are: in the installed wheel, or beside the package in a checkout."""

import os
import re
from pathlib import Path

from s2s.errors import ConfigError
from s2s.registry.near_names import unknown

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `configs` or `data`.

    Raises:
        ConfigError: there is no such folder.
    """
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"this installation of s2s has no {name!r} folder; install it again")


def recipes() -> dict[str, Path]:
    """The recipes that travel with s2s: name -> YAML file."""
    return {path.stem: path for path in sorted(folder("configs").glob("*.yaml"), key=lambda path: path.stem)}


def recipe(name: str) -> Path:
    """A YAML file given by path, or the recipe of that name.

    Raises:
        ConfigError: there is neither; the message offers near names of recipes, unless a file is meant.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        there = [place / "config.yaml" for place in (path, path.parent) if (place / "config.yaml").is_file()]
        meant = f"did you mean {there[0]}?" if there else "name a YAML file, or a recipe"
        raise ConfigError(f"{name} is a folder, not a configuration; {meant}")
    known = recipes()
    stem = name.removesuffix(".yaml")
    if stem in known:
        return known[stem]
    if name.endswith((".yaml", ".yml")) or "/" in name:
        raise ConfigError(no_file(name))
    raise ConfigError(unknown("recipe", name, known, "A path to a YAML file will do as well."))


def no_file(path: str) -> str:
    """That there is none, and where it was looked for."""
    where = "" if os.path.isabs(path) else f"; paths are relative to {Path.cwd()}"
    return f"there is no file {path}{where}"


def locate(path: str) -> str:
    """The path that a person means: `~` and `$VARIABLES` filled in, `embedded:NAME` a corpus that travels with s2s.

    Raises:
        ConfigError: a variable that is not set, or an embedded corpus that does not exist.
    """
    if path.startswith("embedded:"):
        name = path.removeprefix("embedded:")
        data = folder("data")
        if not (data / name).is_file():
            known = [
                p.relative_to(data).as_posix() for p in sorted([*data.glob("*/*.tsv"), *data.glob("*/*.csv")])
            ]
            raise ConfigError(unknown("embedded corpus", name, known))
        return str(data / name)
    filled = os.path.expanduser(os.path.expandvars(path))
    missing = re.search(r"\$\{?(\w+)\}?", filled)
    if missing and not os.path.exists(filled):
        name = missing.group(1)
        raise ConfigError(f"{path}: the environment variable {name} is not set; set it: export {name}=FOLDER")
    return filled
