"""Where the recipes and the embedded corpora are: inside an installed wheel, or beside the package in a checkout."""

import difflib
from pathlib import Path

from s2s.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `configs` or `data`.

    Raises:
        ConfigError: neither the wheel nor a checkout holds it.
    """
    for candidate in (_PACKAGE / "_resources" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"this installation of s2s has no {name!r} folder; install the wheel or a checkout again")


def recipes() -> dict[str, Path]:
    """The recipes that travel with s2s: name -> YAML file."""
    return {path.stem: path for path in sorted(folder("configs").glob("*.yaml"))}


def recipe(name: str) -> Path:
    """A YAML file given by path, or the recipe of that name.

    Raises:
        ConfigError: there is neither; the message offers near names.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = recipes()
    stem = name.removesuffix(".yaml")
    if stem in known:
        return known[stem]
    near = difflib.get_close_matches(stem, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ConfigError(f"no file and no recipe {name!r}{hint} Known recipes: {', '.join(known) or 'none'}")
