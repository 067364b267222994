"""Weight gradients of a loop over time, computed for all steps in one product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from s2s.nn.kernels import linear

_PRODUCTS = {torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__}


def gathered_weight_gradients() -> AbstractContextManager[Any]:
    """A context for a loop over time that multiplies by the same weights at every step.

    A step of 64 sentences computes a weight gradient from 64 rows and adds it to the sum so far: the sum is read and
    written once per step, which takes longer than the product. In this context the rows are collected instead, and
    after the last step of the backward pass one product with all of them gives the gradient. This applies to `F.linear`
    (so `nn.Linear`) and ``@`` of an activation [..., in] with a parameter or a view of one, of one dtype or under
    autocast. Values are unchanged; gradients differ by the order of the sum, and can be taken once: second derivatives
    raise, and so do the transforms of `torch.func`.

    What is recomputed in the backward pass (`torch.utils.checkpoint` within a step) is left to autograd, as it is
    recomputed outside of this context. Before torch 2.8 this cannot be detected, and such a step raises
    CheckpointError.
    """
    return _Gathering() if torch.is_grad_enabled() and not torch.compiler.is_compiling() else nullcontext()


class _Gathering(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self._weights: dict[tuple[Any, ...], tuple[Tensor, Tensor, _Rows]] = {}
        self._hooks = _saved_tensor_hooks()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.linear:
            return self._linear(func, *args, **(kwargs or {}))
        if func in _PRODUCTS and len(args) == 2 and not kwargs and args[1].dim() == 2:
            return self._linear(func, args[0], args[1].t(), original=args)
        return func(*args, **(kwargs or {}))

    def _linear(
        self,
        func: Callable[..., Tensor],
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        original: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        parameter = weight._base if weight._is_view() else weight
        dtype = _common_dtype(input, weight, bias)
        if (
            not torch.is_grad_enabled()
            or not weight.requires_grad
            or parameter is None
            or not parameter.is_leaf
            or weight.dim() != 2
            or input.dim() < 2
            or dtype is None
            or _saved_tensor_hooks() != self._hooks
        ):
            return func(*(original or (input, weight, bias)))
        key = (id(parameter), weight.storage_offset(), weight.shape, weight.stride(), dtype)
        if key not in self._weights:
            rows = _Rows()
            gathering: Tensor = _Gather.apply(weight, rows)  # type: ignore[no-untyped-call]
            self._weights[key] = gathering, weight.detach().to(dtype), rows
        gathering, plain, rows = self._weights[key]
        output: Tensor = _Linear.apply(  # type: ignore[no-untyped-call]
            input.to(dtype), gathering, plain, None if bias is None else bias.to(dtype), rows
        )
        return output


def _common_dtype(input: Tensor, weight: Tensor, bias: Tensor | None) -> torch.dtype | None:
    """The dtype of all factors, under autocast the one that they are cast to; None if they differ."""
    types = {tensor.dtype for tensor in (input, weight, bias) if tensor is not None}
    device = input.device.type
    if torch.is_autocast_enabled(device):
        # Autocast leaves float64 alone.
        return None if torch.float64 in types else torch.get_autocast_dtype(device)
    return weight.dtype if len(types) == 1 else None


def _saved_tensor_hooks() -> Any:
    # The current pair of saved-tensor hooks, if any.
    read = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return None if read is None else read(True)


class _Rows:
    """Collected by the steps' backward passes for one weight: inputs and output gradients, [rows, width] each."""

    def __init__(self) -> None:
        self.task = -1
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def add(self, input: Tensor, gradient: Tensor) -> None:
        task = torch._C._current_graph_task_id()
        if task != self.task:  # a backward pass that did not ask for this weight has left its rows behind
            self.task, self.inputs, self.gradients = task, [], []
        # Detached: their history leads back to the node that holds these rows, a cycle that would never be freed.
        self.inputs.append(input.detach().flatten(0, -2))
        self.gradients.append(gradient.detach().flatten(0, -2))

    def product(self) -> Tensor | None:
        if self.task != torch._C._current_graph_task_id():
            return None
        inputs, gradients = (
            rows[0] if len(rows) == 1 else torch.cat(rows) for rows in (self.inputs, self.gradients)
        )
        product = linear(gradients.t(), inputs.t())
        self.inputs, self.gradients = [], []
        return product


class _Gather(torch.autograd.Function):
    """The weight itself; its backward runs after that of all steps and computes the gradient from their rows."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: _Rows) -> Tensor:
        ctx.rows, ctx.dtype = rows, weight.dtype
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        product = ctx.rows.product()
        return None if product is None else product.to(ctx.dtype), None


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, gathering: Tensor, weight: Tensor, bias: Tensor | None, rows: _Rows
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.rows, ctx.bias_shape = rows, None if bias is None else bias.shape
        return linear(input, weight, bias)  # all of one dtype: autocast has nothing to do

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor | None, None]:
        input, weight = ctx.saved_tensors
        ctx.rows.add(input, gradient)
        return (
            linear(gradient, weight.t()) if ctx.needs_input_grad[0] else None,
            None,
            None,
            gradient.sum_to_size(ctx.bias_shape) if ctx.needs_input_grad[3] else None,
            None,
        )
