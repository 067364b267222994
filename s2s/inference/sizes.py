"""Refuses models larger than their stored weights: a line of JSON could ask for terabytes."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from s2s.errors import BundleError

_MARGIN = (
    4  # tied weights are created and then replaced; a bridge may create a matrix to derive another from it
)
_NUMBERS, _TENSORS = 2**22, 1000  # allowance for tensors that are not stored: tables of positions, masks
_MADE = {"empty", "zeros", "ones", "full", "rand", "randn", "eye"}
_MADE_LIKE = {"new_empty", "new_zeros", "new_ones", "new_full"}


@contextmanager
def no_larger_than(shapes: Sequence[Sequence[int]], what: str, remedy: str) -> Iterator[None]:
    """Inside the block, limit the size of created tensors to a multiple of the stored weights.

    Args:
        shapes: of the stored weights.
        what: beginning of the error message.
        remedy: end of the error message.

    Raises:
        BundleError: more is asked for.
    """
    numbers = sum(math.prod(shape) for shape in shapes)
    most_tensors = _MARGIN * len(shapes) + _TENSORS
    mode = _Counting(
        _MARGIN * numbers + _NUMBERS,
        f"{what}: it asks for more than {{}} numbers, and {numbers:,} are stored; {remedy}",
    )
    thread, registered = threading.get_ident(), 0

    def count(module: Any, name: str, parameter: Any) -> None:
        nonlocal registered
        if threading.get_ident() != thread:
            return
        registered += 1
        if registered > most_tensors:
            raise BundleError(
                f"{what}: it asks for more than {most_tensors:,} tensors, and {len(shapes):,} are stored; {remedy}"
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        with mode:
            yield
    finally:
        hook.remove()


class _Counting(TorchFunctionMode):
    def __init__(self, most: int, message: str) -> None:
        super().__init__()
        self.most, self.message, self.made = most, message, 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _MADE or name in _MADE_LIKE:
            size = args[1:] if name in _MADE_LIKE else args
            self.made += _numbers(size * 2 if name == "eye" and len(size) == 1 else size, kwargs)
        elif name == "arange":
            self.made += int(max([0, *(abs(value) for value in args if isinstance(value, int | float))]))
        if self.made > self.most:
            raise BundleError(self.message.format(f"{self.most:,}"))
        return func(*args, **kwargs)


def _numbers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    size: Sequence[Any] = kwargs.get("size", args[0] if args and isinstance(args[0], Sequence) else args)
    sizes: list[int] = [n for n in size if isinstance(n, int)]
    return math.prod(sizes)
