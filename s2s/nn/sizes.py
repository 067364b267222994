"""Widths and numbers of layers that can be, and those that a part has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

import torch

from s2s.errors import ConfigError

Given = ParamSpec("Given")
Part = TypeVar("Part")


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


def built_for_sizes(build: Callable[Given, Part], *args: Given.args, **kwargs: Given.kwargs) -> Part:
    """A part to be asked for its sizes (`output_size`, parameters), and for nothing else.

    On torch's meta device it takes no memory and draws no numbers. A constructor that looks at a value, as that of
    `torch.nn.utils.parametrizations.orthogonal` does, cannot run there: such a part is built with values, and the
    numbers that are drawn for it are drawn again afterwards.

    Args:
        build: makes the part; called a second time where the first fails.
        *args: for `build`.
        **kwargs: for `build`.
    """
    with suppress(Exception), torch.device("meta"):
        return build(*args, **kwargs)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return build(*args, **kwargs)
