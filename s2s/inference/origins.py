"""The distributions that a bundle's parts come from, named in the error if a part is not installed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2s.errors import BundleError, S2SError
from s2s.inference.upgrade import named_parts
from s2s.registry import catalogue

DISTRIBUTIONS = "distributions"
"""Entry of a bundle's configuration: "cell LSTM" -> {"distribution": "s2s", "version": "0.1.0"}; parts from a
--plugin-dir have {"folder": its name}, or that of a file, without the path, which is private."""


def record_origins(config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The origins of a bundle's parts, see `DISTRIBUTIONS`."""
    return {named.label: installed_origin(named.kind, named.name) for named in named_parts(config)}


def installed_origin(kind: str, name: str) -> dict[str, str]:
    """The installed distribution of a part.

    Raises:
        ConfigError: there is none, or two.
    """
    entry = catalogue().entry(kind, name)
    if Path(entry.distribution) in catalogue().plugin_dirs:
        return {"folder": Path(entry.distribution).resolve().name}
    return {"distribution": entry.distribution, "version": entry.version}


def place_of(origin: Mapping[str, str]) -> str:
    """What was named with --plugin-dir: "file" or "folder"."""
    return "file" if origin["folder"].endswith(".py") else "folder"


def check_origins(folder: Path, config: Mapping[str, Any]) -> None:
    """See that every part that a bundle names is here.

    Raises:
        BundleError: one is not; it says who brought it when the bundle was made.
    """
    for label, origin in origins(folder, config).items():
        kind, _, name = label.partition(" ")
        try:
            catalogue().load(kind, name)
        except S2SError as error:
            if "folder" in origin:
                place = place_of(origin)
                came = f"came from a {place} {origin['folder']!r}"
                remedy = f"get that {place} and name it with --plugin-dir"
            else:
                came = f"was brought by {origin['distribution']} {origin['version']}".rstrip()
                wanted = "==".join(word for word in (origin["distribution"], origin["version"]) if word)
                remedy = f"install it: pip install {shlex.quote(wanted)}"
            raise BundleError(
                f"{folder} needs the {kind} {name!r}, which {came} and cannot be used here; {remedy}. "
                f"({str(error).rstrip('.')})"
            ) from error


def origins(folder: Path, config: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The recorded origins of a bundle's parts; empty for older bundles without this record.

    Raises:
        BundleError: the record is malformed.
    """
    noted = config.get(DISTRIBUTIONS, {})
    try:
        well_formed = all(
            " " in label
            and set(origin) in ({"folder"}, {"distribution", "version"})
            and all(isinstance(value, str) for value in origin.values())
            for label, origin in noted.items()
        )
    except (AttributeError, TypeError):
        well_formed = False
    if not well_formed:
        raise BundleError(
            f"{folder}: {DISTRIBUTIONS} is {noted!r}, which is not who brought its parts; get it again"
        )
    return dict(noted)
