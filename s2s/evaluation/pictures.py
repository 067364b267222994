"""File formats of pictures."""

from __future__ import annotations

from pathlib import Path

from s2s.errors import ConfigError

FORMATS = ("png", "svg")


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for.

    Raises:
        ConfigError: none that can be drawn.
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise ConfigError(
            f"{path} ends with {Path(path).suffix or 'nothing'!r}; name a file that ends with .png or .svg"
        )
    return suffix
