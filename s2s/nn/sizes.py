"""Checks of widths and numbers of layers, and parts built only to read their sizes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

import torch

from s2s.errors import ConfigError

Given = ParamSpec("Given")
Part = TypeVar("Part")


def check_size(name: str, size: int) -> int:
    """Return the size if it is valid.

    Args:
        name: of the option, for the error.
        size: a width, or a number of layers.

    Raises:
        ConfigError: it is below 1.
    """
    if size < 1:
        raise ConfigError(f"{name} {size} is impossible; it must be at least 1")
    return size


def built_for_sizes(build: Callable[Given, Part], *args: Given.args, **kwargs: Given.kwargs) -> Part:
    """Build a part only to read its sizes (`output_size`, parameters).

    On torch's meta device it takes no memory and no random numbers. A constructor that reads a value, like that of
    `torch.nn.utils.parametrizations.orthogonal`, cannot run there: such a part is built on the CPU, and the state of
    the random number generator is restored afterwards.

    Args:
        build: makes the part; called a second time if the first call fails.
        *args: for `build`.
        **kwargs: for `build`.
    """
    with suppress(Exception), torch.device("meta"):
        return build(*args, **kwargs)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return build(*args, **kwargs)
