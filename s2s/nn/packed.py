"""Packed weights: converted and laid out for the processor once, not at every step.

Autocast converts both factors of a product at every call, and the library converts the weight to the layout of its
kernels at every call; for the few rows of a decoding step that costs as much as the product. In float32, packing also
changes the library: torch computes plain products with MKL, which does not use AVX-512 on processors that are not
Intel's; oneDNN does (an AMD EPYC of 2024, [64, 512] x [512, 2048]: 236 instead of 91 billion multiply-adds a second).

The product of a single row (one sentence) is limited by how fast the weight is read: see `one_row_reads_columns`, and
`HALVED_BYTES`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.nn.at_once import at_once
from s2s.nn.kernels import SMALLEST, mkl_is_slow

Module = TypeVar("Module", bound=nn.Module)

HALVED_BYTES = 6 * 2**20
"""Size of a weight from which the product of a single row is computed in two halves, by two threads if one is idle:
[1, 512] x [512, 8000] in float32 takes 743 instead of 1,428 microseconds, [1, 512] x [512, 2048], 4 MiB, 298 instead of
356 (an Intel Xeon that reads 12 GB/s with one thread). Halves in any case: the last bits do not depend on threads."""

MOST_SLICES = 32
"""Packed slices that a matrix keeps. Parts use a few fixed ones; one with a changing bound must not keep a copy of the
weight for each."""


class PackedMatrix(Tensor):
    """A weight [out, in] with its own, faster `F.linear`; in all other operations it is the plain tensor.

    So ``x @ weight.t()`` is a plain product: to benefit from packing, a part must use `F.linear` or `nn.Linear`.
    The result has the dtype of the other factor. A slice of it is packed too, once; and so are selected rows.
    """

    _dtype: torch.dtype
    _taken_in: torch.dtype
    _reads_columns: bool
    _halved: bool
    _packed: Tensor | None
    _for_one_row: Sequence[Tensor] | None
    _narrow: Tensor | None
    _slices: dict[str, PackedMatrix]

    @staticmethod
    def of(weight: Tensor, dtype: torch.dtype) -> PackedMatrix:
        """A packed matrix that shares its storage with `weight`, which must not change any more.

        Args:
            weight: [out, in] of float32.
            dtype: what both factors are rounded to, float32 or bfloat16. Products are computed in that type, or in
                float32 if torch has no such kernels for the processor: the same, but sums are not rounded.
        """
        matrix: PackedMatrix = weight.detach().as_subclass(PackedMatrix)
        matrix._dtype = dtype
        matrix._taken_in = _taken_in(weight.device, dtype)
        # A small weight stays in the cache, however it lies there.
        large = weight.numel() >= SMALLEST
        matrix._reads_columns = large and one_row_reads_columns(weight.device, matrix._taken_in)
        matrix._halved = (
            weight.numel() * matrix._taken_in.itemsize >= HALVED_BYTES and weight.device.type == "cpu"
        )
        matrix._packed = None
        matrix._for_one_row = None
        matrix._narrow = None
        matrix._slices = {}
        return matrix

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Handle `F.linear`, slices and row selection here, everything else with plain tensors."""
        kwargs = kwargs or {}
        if func is F.linear:
            x, weight, bias = _linear_factors(*args, **kwargs)
            if isinstance(weight, cls):
                with torch._C.DisableTorchFunctionSubclass():
                    return weight.linear(x, bias)
        if func is Tensor.index_select:
            matrix, dim, index = _selection(*args, **kwargs)
            if dim == 0:
                return matrix.rows(index)
        if func is Tensor.__getitem__ and _is_slice(args[1]):
            return args[0].part(args[1])
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    def linear(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """``x W^T + bias``, in the type of `x`."""
        rounded = x if x.dtype == self._dtype else x.to(self._dtype)
        if rounded.dtype != self._taken_in:
            rounded = rounded.to(self._taken_in)
        if bias is not None and bias.dtype not in (torch.float32, self._taken_in):
            bias = bias.to(torch.float32)
        if (self._reads_columns or self._halved) and x.numel() == x.size(-1):
            product = self._of_one_row(rounded, bias)
        else:
            if self._packed is None:
                self._packed = _reordered(self._rounded())
            product = _product(rounded, self._packed, bias)
        return product if product.dtype == x.dtype else product.to(x.dtype)

    def _of_one_row(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self._for_one_row is None:
            lay_out = _by_columns if self._reads_columns else _reordered
            whole = self._rounded()
            self._for_one_row = [lay_out(part) for part in (whole.chunk(2) if self._halved else [whole])]
        if len(self._for_one_row) == 1:
            return _product(x, self._for_one_row[0], bias)
        upper, lower = self._for_one_row
        biases = (None, None) if bias is None else bias.split([upper.size(0), lower.size(0)])
        halves = at_once(lambda: _product(x, upper, biases[0]), lambda: _product(x, lower, biases[1]))
        return torch.cat(halves, dim=-1)

    def _rounded(self) -> Tensor:
        # A plain tensor of the dtype in which products are computed.
        return self.detach().as_subclass(Tensor).to(self._dtype).to(self._taken_in)

    def rows(self, index: Tensor) -> PackedMatrix:
        """`self.index_select(0, index)`, for products only: its values are already rounded."""
        with torch._C.DisableTorchFunctionSubclass():
            if self._narrow is None:
                self._narrow = self.detach().as_subclass(Tensor).to(self._dtype)
            return PackedMatrix.of(self._narrow.index_select(0, index), self._dtype)

    def part(self, index: Any) -> PackedMatrix:
        """`self[index]`; the same object at every call, unless there are more than `MOST_SLICES` others in between."""
        key = repr(index)
        found = self._slices.get(key)
        if found is None:
            with torch._C.DisableTorchFunctionSubclass():
                found = PackedMatrix.of(self.as_subclass(Tensor)[index], self._dtype)
            if len(self._slices) >= MOST_SLICES:
                self._slices.clear()
            self._slices[key] = found
        return found


def _reordered(weight: Tensor) -> Tensor:
    # In the library's own layout, if it has one here.
    packs = weight.numel() > 0 and can_pack(weight.device, weight.dtype)
    return torch.ops.mkldnn._reorder_linear_weight(weight) if packs else weight


def _by_columns(weight: Tensor) -> Tensor:
    return weight.t().contiguous().t()


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # With a weight in any layout.
    if weight.is_mkldnn:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # type: ignore[no-any-return]
    return F.linear(x, weight, None if bias is None else bias.to(weight.dtype))


def _linear_factors(
    input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Any, Tensor | None]:
    # Positional or keyword arguments alike.
    return input, weight, bias


def _selection(input: Any, dim: int, index: Tensor) -> tuple[Any, int, Tensor]:
    # Positional or keyword arguments alike.
    return input, dim, index


def _is_slice(index: Any) -> bool:
    return isinstance(index, slice) or (
        isinstance(index, tuple) and all(isinstance(part, slice) for part in index)
    )


def pack_matrices(model: Module, dtype: torch.dtype) -> Module:
    """A copy of a model whose matrices are packed. It shares its weights with the model; they must not change any more.

    Args:
        model: in evaluation mode; parameters other than float32 matrices stay as they are.
        dtype: see `PackedMatrix.of`.

    Returns:
        The copy; the model itself if it cannot be copied, because a part holds a computed tensor or a lock.
    """
    matrices: dict[int, Any] = {
        id(weight): PackedMatrix.of(weight, dtype) if _is_matrix(weight) else weight
        for weight in model.parameters()
    }
    try:
        return copy.deepcopy(model, matrices)
    except Exception:  # parts may hold anything, and copying it may raise anything
        return model


def has_packed(part: nn.Module) -> bool:
    """Whether this part's own weights, not those of parts within it, are packed."""
    return any(isinstance(weight, PackedMatrix) for weight in part.parameters(recurse=False))


def _is_matrix(weight: Tensor) -> bool:
    return weight.dim() == 2 and weight.dtype == torch.float32


def gains_by_packing(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `pack_matrices` speeds up products of this dtype: autocast to bfloat16 is slow on a CPU."""
    return can_pack(device, dtype) or (dtype == torch.bfloat16 and device.type == "cpu")


def multiplies_bfloat16() -> bool:
    """Whether torch has bfloat16 kernels for this processor; without them it computes one number at a time."""
    return can_pack(torch.device("cpu"), torch.bfloat16)


@cache
def one_row_reads_columns(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the product of a single row is faster with a column-major weight, contiguous per input.

    MKL then reads it sequentially: [1, 512] x [512, 8000] on one thread of an AMD EPYC of 2021, which has AVX2, 22
    instead of 13 GB/s, with 23 microseconds less before it starts; of an Intel Xeon with AVX-512 19 instead of 18 GB/s,
    and 18 instead of 14 for [512, 2048]. Not measured where MKL makes no use of AVX-512.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    fast = capability == "AVX2" or (capability == "AVX512" and not mkl_is_slow())
    return device.type == "cpu" and dtype == torch.float32 and fast


def _taken_in(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    slow = dtype == torch.bfloat16 and device.type == "cpu" and not can_pack(device, dtype)
    return torch.float32 if slow else dtype


@cache
def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this build and this processor multiply with packed weights of this dtype; tested once."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    weight, x = torch.eye(64, 32, dtype=dtype, device=device), torch.ones(3, 32, dtype=dtype, device=device)
    try:
        reordered = torch.ops.mkldnn._reorder_linear_weight(weight)
        product = torch.ops.mkldnn._linear_pointwise(x, reordered, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return bool(torch.equal(product, F.linear(x, weight)))
