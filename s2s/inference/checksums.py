"""Checksums of a bundle: whether its files are those that were written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OWN = "config_sha256"
"""Entry of a configuration: the checksum of all its other entries."""

CARD = "card_sha256"
"""Entry of a configuration: the checksum of the card, which is for people; loading does not ask for it."""


def of_file(path: Path) -> str:
    """Of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def of_files(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Of files below a folder, by their names in it."""
    return {path.relative_to(folder).as_posix(): of_file(path) for path in paths}


def of_config(config: Mapping[str, Any]) -> str:
    """Of what a configuration says, however it is laid out; its own checksum is left out."""
    entries = {key: value for key, value in config.items() if key != OWN}
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def signed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with its own checksum."""
    as_read: dict[str, Any] = json.loads(json.dumps(config))  # a key that is a number becomes text
    return {**as_read, OWN: of_config(as_read)}


def is_altered(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is not what was signed; one without a checksum, as first bundles have it, never is."""
    return OWN in config and config[OWN] != of_config(config)
