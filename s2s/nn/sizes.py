"""Widths and numbers of layers that can be."""

from s2s.errors import ConfigError


def check_size(name: str, size: int) -> int:
    """The size itself, if it can be one.

    Args:
        name: of the option, for the error.
        size: a width, or a number of layers.

    Raises:
        ConfigError: it is below 1.
    """
    if size < 1:
        raise ConfigError(f"{name} {size} is impossible; it must be at least 1")
    return size
