"""An accelerator, emulated on the CPU, that is as strict about devices as a real one.

It computes the same numbers as the CPU, but refuses an operation whose tensors are on two devices. So it finds what
otherwise shows on a GPU only: tensors that a part creates without ``device=x.device``, or keeps as plain attributes.
It says nothing of speed, memory or rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partialmethod
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ACCELERATOR = torch.device("cuda", 0)
"""The device that its tensors state; no CUDA is used, nor needed."""
_WITHOUT_DRIVER = torch.device("meta")
"""The device that torch takes it for: the only one without a driver."""

_TWO_DEVICES = {
    *("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::copy_"),
    *("aten::_pack_padded_sequence", "aten::_pack_padded_sequence_backward", "aten::_pad_packed_sequence"),
    *("aten::_ctc_loss", "aten::_ctc_loss_backward"),
}
"""Operations that CUDA allows with tensors on the CPU: these are indices, copied, or lengths."""
_WITH_LENGTHS = {"aten::_pack_padded_sequence", "aten::_pad_packed_sequence"}
"""Operations whose second result stays on the CPU."""
_AT_ONCE = {
    torch.ops.aten._conj.default: torch.ops.aten._conj_physical.default,
    torch.ops.aten._neg_view.default: torch.ops.aten.neg.default,
}
"""Instead of a mark on a view, which operations below `__torch_dispatch__` do not heed."""
_OF_LISTS = (torch.tensor, torch.as_tensor)
_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)
_RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
"""Computed by cuDNN on CUDA; the CPU's operations behind them are others than those of any accelerator."""


class DeviceMismatch(RuntimeError):
    """Tensors of one operation are on two devices."""


class NotEmulated(NotImplementedError):
    """What the emulation cannot do, and a real accelerator may."""


def is_not_emulated(error: BaseException) -> bool:
    """Whether an error says something of the emulation, nothing of the code: CUDA itself was asked for."""
    return (
        isinstance(error, NotEmulated) or "with CUDA enabled" in str(error) or "CUDA generator" in str(error)
    )


@contextmanager
def emulated_accelerator() -> Iterator[torch.device]:
    """A context in which there is such a device, for this thread; its tensors cannot be used outside."""
    with (
        _Functions(),
        _Operations(),  # type: ignore[no-untyped-call]
        patch.object(nn.Module, "_apply", partialmethod(_apply_and_tie, nn.Module._apply)),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="PyTorch was compiled without cuDNN")
        yield ACCELERATOR


def _apply_and_tie(module: nn.Module, apply: Any, *args: Any, **kwargs: Any) -> nn.Module:
    """`Module._apply`, which replaces parameters here: for each that several modules share, by one.

    On a real accelerator they keep their identity, and change their data.
    """
    shared: dict[Tensor, list[tuple[nn.Module, str]]] = {}
    for holder in module.modules():
        for name, parameter in holder._parameters.items():
            if parameter is not None:
                shared.setdefault(parameter, []).append((holder, name))
    applied: nn.Module = apply(module, *args, **kwargs)
    for (first, its_name), *others in shared.values():
        for holder, name in others:
            holder._parameters[name] = first._parameters[its_name]
    return applied


class Placed(Tensor):
    """A tensor on the emulated accelerator.

    Attributes:
        numbers: its values, on the CPU.
    """

    numbers: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> Placed:
        placed: Placed = Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=_WITHOUT_DRIVER,
        )
        placed.numbers = values
        return placed

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Outside of `emulated_accelerator`, which a backward pass can be."""
        return _run(func, args, kwargs or {})

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The accelerator."""
        return ACCELERATOR

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """As its device says."""
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        """It has numbers."""
        return False

    def tolist(self) -> Any:
        """The numbers."""
        return self.numbers.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as its values."""
        return self.numbers.__reduce_ex__(protocol)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"{self.numbers!r} on the emulated accelerator"


class _Operations(TorchDispatchMode):
    """Sees every operation below autograd, also those that create tensors."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """Sees functions of torch as they are called, for those that never become operations, or the wrong ones."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new_tensor:
            like, *args = args
            kwargs = {"dtype": like.dtype, "device": like.device} | kwargs
            func = torch.tensor
        if func in _OF_LISTS:
            device = kwargs.pop("device", None)
            made = func(*args, **kwargs)
            return made if device is None else made.to(_without_driver(device))
        if func in _RECURRENT and any(isinstance(one, Placed) for one in tree_leaves(args)):
            # Of a packed sequence the sizes are on the CPU.
            _check_devices(
                func.__name__,
                [one for one in tree_leaves(args) if isinstance(one, Tensor) and one.is_floating_point()],
            )
            found = func(*tree_map(lambda one: one.cpu() if isinstance(one, Tensor) else one, args), **kwargs)
            return tree_map(lambda one: one.to(_WITHOUT_DRIVER), found)
        if func is torch.device:  # only names one
            return func(*args, **kwargs)
        if func in (Tensor.untyped_storage, Tensor.data_ptr) and isinstance(args[0], Placed):
            return func(args[0].numbers)
        if func in _INDEXING and isinstance(args[0], Placed):
            args = (args[0], _with_tensors(args[1]), *args[2:])
        if func is Tensor.cuda:
            return args[0].to(_WITHOUT_DRIVER)
        return func(*tree_map(_without_driver, args), **tree_map(_without_driver, kwargs))


def _with_tensors(index: Any) -> Any:
    """An index without lists, of which torch makes tensors that no operation sees."""
    if isinstance(index, tuple):
        return tuple(map(_with_tensors, index))
    if not isinstance(index, (list, np.ndarray)):
        return index
    return torch.tensor(index, dtype=None if len(index) else torch.int64)


def _without_driver(one: Any) -> Any:
    return _WITHOUT_DRIVER if _is_accelerator(one) else one


def _is_accelerator(one: Any) -> bool:
    if isinstance(one, str) and one.partition(":")[0] == ACCELERATOR.type:
        one = torch.device(one)
    return isinstance(one, torch.device) and one.type in (ACCELERATOR.type, _WITHOUT_DRIVER.type)


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    func = _AT_ONCE.get(func, func)
    name = func._schema.name
    given = tree_leaves((args, kwargs))
    if any(map(_has_no_numbers, given)):
        raise NotEmulated(f"{name} of a tensor whose making the emulation did not see")
    placed = {id(one.numbers): one for one in given if isinstance(one, Placed)}
    if func._can_decompose() and torch.is_inference_mode_enabled():  # elsewhere torch has done so
        with _Operations():  # type: ignore[no-untyped-call]
            return func.decompose(*args, **kwargs)
    if name == "aten::_has_compatible_shallow_copy_type":  # to `Module._apply`: replace the parameter
        return False
    if name == "aten::_to_copy":
        asked = kwargs.get("device")
        there = bool(placed) if asked is None else _is_accelerator(asked)
    else:
        there = bool(placed) or any(map(_is_accelerator, given))
        if placed and name not in _TWO_DEVICES:
            _check_devices(name, given)
    # Views of ordinary tensors are ordinary, also in inference mode. Leaving it would turn gradients on.
    ordinary = torch.is_inference_mode_enabled()
    with (
        torch.inference_mode(False) if ordinary else nullcontext(),
        torch.no_grad() if ordinary else nullcontext(),
    ):
        found = func(*tree_map(_on_cpu, args), **tree_map(_on_cpu, kwargs))
        if not there:
            return found
        if name in _WITH_LENGTHS:
            return Placed(found[0]), found[1]
        return tree_map(lambda one: _place(one, placed) if isinstance(one, Tensor) else one, found)


def _has_no_numbers(one: Any) -> bool:
    return isinstance(one, Tensor) and not isinstance(one, Placed) and one.device == _WITHOUT_DRIVER


def _place(values: Tensor, placed: Mapping[int, Placed]) -> Placed:
    """The given tensor that has these values, as what an operation in place returns; else a new one."""
    return placed[id(values)] if id(values) in placed else Placed(values)


def _on_cpu(one: Any) -> Any:
    if isinstance(one, Placed):
        return one.numbers
    return torch.device("cpu") if isinstance(one, torch.device) else one


def _check_devices(name: str, given: Sequence[Any]) -> None:
    """Raise a DeviceMismatch if tensors, other than single numbers, are on the CPU."""
    strays = [one for one in given if isinstance(one, Tensor) and not isinstance(one, Placed) and one.dim()]
    if strays:
        raise DeviceMismatch(
            f"{name.removeprefix('aten::')} of tensors on the accelerator with one on the CPU, of shape "
            f"{tuple(strays[0].shape)} and {strays[0].dtype}"
        )
