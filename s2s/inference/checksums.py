"""Checksums of a bundle, to detect changed files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OWN = "config_sha256"
"""Entry of a configuration: the checksum of all its other entries."""

CARD = "card_sha256"
"""Entry of a configuration: the checksum of the card, which is for people; loading does not check it."""


def of_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def of_files(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Checksums of files below a folder, by relative name."""
    return {path.relative_to(folder).as_posix(): of_file(path) for path in paths}


def of_config(config: Mapping[str, Any]) -> str:
    """Checksum of a configuration's content, independent of its formatting; its own checksum is left out."""
    entries = {key: value for key, value in config.items() if key != OWN}
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def signed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with its own checksum."""
    as_read: dict[str, Any] = json.loads(json.dumps(config))  # a key that is a number becomes text
    return {**as_read, OWN: of_config(as_read)}


def is_altered(config: Mapping[str, Any]) -> bool:
    """Whether a configuration differs from the signed one; never true without a checksum, as in early bundles."""
    return OWN in config and config[OWN] != of_config(config)
