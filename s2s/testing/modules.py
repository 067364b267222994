"""What every part that is a torch module must keep, whatever it computes.

A kit gives the part's numbers by name; here they are compared, and so are the gradients of one random weighting of
them all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from s2s.nn.cell import State, leaves, map_state
from s2s.testing.comparing import AT_LEAST, TOLERANCES, differentiable, expect_close, in_float64
from s2s.testing.kit import Nonconforming

Values = Mapping[str, Tensor]
"""Tensors by the name that a message gives them."""

Module = TypeVar("Module", bound=nn.Module)


def unsettle(part: Module) -> Module:
    """Move every parameter a little: a term that starts at zero would hide that it is lost, or taken twice."""
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return part


def name_leaves(name: str, state: State) -> dict[str, Tensor]:
    """The leaves of a state by name."""
    return {f"{name} leaf {i}": leaf for i, leaf in enumerate(leaves(state))}


def asking_gradients(state: State) -> State:
    """A copy of a state, cut off, that gradients are taken for, where a leaf can have one."""
    return map_state(lambda leaf: leaf.detach().clone().requires_grad_(differentiable(leaf)), state)


def expect_batch_first(what: str, state: State, rows: int) -> None:
    """A structure that `map_state` and `select_state` go through: tuples of tensors [rows, ...].

    Raises:
        Nonconforming: it holds something else.
    """
    if state is None:
        return
    if isinstance(state, Tensor):
        if state.dim() == 0 or state.size(0) != rows:
            raise Nonconforming(
                f"that {what} has a leaf of shape {tuple(state.shape)}",
                f"the batch ({rows}) first",
                "Give every leaf one row per sentence: searches choose rows.",
            )
        return
    if not isinstance(state, tuple):
        raise Nonconforming(
            f"that {what} holds a {type(state).__name__}",
            "tensors in tuples (or NamedTuples)",
            "Numbers that depend on no sentence belong on the part, all else in tensors.",
        )
    for part in state:
        expect_batch_first(what, part, rows)


def with_gradients(values: Values, inputs: Values, part: nn.Module) -> dict[str, Tensor]:
    """The values, and the gradients of a random weighting of all of them; zero where there is none.

    Args:
        values: what the part computed; the weighting goes by their order.
        inputs: what gradients are taken for beside the parameters.
        part: whose parameters.
    """
    generator, loss = torch.Generator().manual_seed(1), torch.zeros((), dtype=torch.float64)
    for value in values.values():
        if value.requires_grad:
            numbers = in_float64(value)
            weights = torch.randn(numbers.shape, generator=generator, dtype=torch.float64, device="cpu")
            loss = loss + (numbers * weights.to(value.device)).sum()
    named = {**inputs, **name_parameters(part)}
    found: Sequence[Tensor | None] = (
        torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
        if loss.requires_grad and named
        else [None] * len(named)
    )
    result = {name: value.detach() for name, value in values.items()}
    for (name, value), gradient in zip(named.items(), found, strict=True):
        result[f"gradient of {name}"] = torch.zeros_like(value) if gradient is None else gradient
    return result


def modes(part: nn.Module, ask: Callable[[], Values]) -> Iterator[str]:
    """In evaluation; and in training, if a part draws no numbers there: then it is to do the same.

    Args:
        part: is put into the mode.
        ask: gives what the part computes.

    Yields:
        the mode, for messages.
    """
    part.eval()
    yield "in evaluation"
    part.train()
    once, again = ask(), ask()
    if all(torch.equal(value.nan_to_num(), again[name].nan_to_num()) for name, value in once.items()):
        yield "in training"


def name_parameters(part: nn.Module) -> dict[str, Tensor]:
    """Those that learn, by name."""
    return {f"parameter {name}": value for name, value in part.named_parameters() if value.requires_grad}


def expect_same(
    found: Values,
    expected: Values,
    how: str,
    remedy: str,
    tolerance: float = TOLERANCES[torch.float64],
    *,
    types: bool = True,
) -> None:
    """The same names with the same numbers but for rounding, of the same types.

    Args:
        found: by one way.
        expected: by the other.
        how: the two ways, in words.
        remedy: what to do about it.
        tolerance: see `expect_close`.
        types: whether types must agree, too; under autocast they depend on the way.

    Raises:
        Nonconforming: telling the place where they differ most.
    """
    if set(found) != set(expected):
        raise Nonconforming(f"{sorted(found)} {how}", f"{sorted(expected)}", remedy)
    for name, value in expected.items():
        if types and found[name].dtype != value.dtype:
            raise Nonconforming(f"{name} of type {found[name].dtype} {how}", f"{value.dtype}", remedy)
        expect_close(f"{name} {how}", found[name], value, remedy, tolerance)


def expect_same_bits(found: Values, expected: Values, how: str, remedy: str) -> None:
    """The same numbers to the last bit.

    Raises:
        Nonconforming: naming the first that differs.
    """
    for name, value in expected.items():
        if not torch.equal(found[name], value):
            raise Nonconforming(f"that {name} changes {how}", "the same bits", remedy)


def expect_nothing_kept(
    build: Callable[[], Module], draw: Callable[[Module], Any], run: Callable[[Module, Any], Values]
) -> None:
    """Two runs give the same bits, the part is after a run what it was before, and its state_dict is all of it.

    Args:
        build: makes the part, in evaluation mode.
        draw: makes inputs, others each time.
        run: the part's numbers for inputs.

    Raises:
        Nonconforming: it draws, remembers, or has weights that no state_dict holds.
    """
    part = build()
    before, names = {k: v.clone() for k, v in part.state_dict().items()}, _attributes(part)
    inputs, others = draw(part), draw(part)
    first = run(part, inputs)
    run(part, others)
    remedy = "Draw nothing in evaluation mode, and keep no tensor of a sentence on self."
    expect_same_bits(run(part, inputs), first, "when the same is asked again", remedy)
    changed = [k for k, v in part.state_dict().items() if k not in before or not torch.equal(v, before[k])]
    new = sorted(_attributes(part) - names)
    if changed or new:
        raise Nonconforming(f"that a run changed {changed} and left {new} on the part", "no change", remedy)
    copy = build()
    copy.load_state_dict(part.state_dict())
    remedy = "Make every tensor that is learnt a Parameter and every other one a buffer."
    expect_same_bits(run(copy, inputs), first, "in a copy with the same state_dict", remedy)


def expect_gradients(values: Values, inputs: Values, part: nn.Module) -> None:
    """Gradients are finite, and every input and every parameter gets one.

    Raises:
        Nonconforming: naming one that does not.
    """
    found = with_gradients(values, inputs, part)
    for name in (*inputs, *name_parameters(part)):
        gradient = found[f"gradient of {name}"]
        if not gradient.isfinite().all():
            raise Nonconforming(
                f"that the gradient of {name} is not finite",
                "finite numbers",
                "Look for a division, a logarithm or a root near 0.",
            )
        if not gradient.any():
            raise Nonconforming(
                f"that the gradient of {name} is zero everywhere",
                "that what comes out depends on it",
                "Use it, or take it out; look for detach(), .data and in-place changes.",
            )


_NARROW = (torch.float32, torch.bfloat16, torch.float16)


def expect_true_gradients(
    function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], what: str
) -> None:
    """Gradients in float64 are those of finite differences, along a random direction.

    Raises:
        Nonconforming: they are not.
    """

    narrow: set[torch.dtype] = set()

    def together(*inputs: Tensor) -> Tensor:  # gradcheck leaves out a value that is cut off
        values = function(*inputs)
        narrow.update(one.dtype for one in values if one.requires_grad and one.dtype in _NARROW)
        return torch.cat([value.flatten() for value in values])

    try:
        torch.autograd.gradcheck(together, tuple(inputs), fast_mode=True)
    except RuntimeError as error:
        told = " ".join(str(error).partition("The above quantities")[0].split())  # two matrices follow
        types = "".join(f", in {str(dtype).removeprefix('torch.')}," for dtype in _NARROW if dtype in narrow)
        raise Nonconforming(
            f"gradients of {what}{types} that are wrong: {told}",
            "those of finite differences",
            AT_LEAST if narrow else "Look for detach(), .data, in-place changes, or a wrong backward.",
        ) from error


ONNX_IS_HERE = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
"""Whether the packages of s2s[onnx] are installed."""


def expect_exported(
    step: nn.Module, inputs: Sequence[Tensor], other: Sequence[Tensor], axes: Sequence[Mapping[int, str]]
) -> None:
    """A module can be exported, for any sizes of the named axes, and what was exported gives the same numbers.

    In ONNX where its packages are installed; else torch.export takes it, which is the first half of the way.

    Args:
        step: takes and returns tensors.
        inputs: an example.
        other: of other sizes, to be compared.
        axes: for each input, the name of each axis whose size is free.

    Raises:
        Nonconforming: it is refused, or its numbers depend on the example.
    """
    if ONNX_IS_HERE:
        expect_in_onnx(step, inputs, other, axes)
        return
    free = {name: torch.export.Dim(name, min=2, max=64) for axis in axes for name in axis.values()}
    shapes = tuple({place: free[name] for place, name in axis.items()} for axis in axes)
    try:
        exported = torch.export.export(_Flat(step), tuple(inputs), dynamic_shapes=(shapes,)).module()
    except Exception as error:
        raise _refused("torch.export", error) from error
    _expect_equal(exported(*other), step(*other))


def expect_in_onnx(
    step: nn.Module, inputs: Sequence[Tensor], other: Sequence[Tensor], axes: Sequence[Mapping[int, str]]
) -> None:
    """`expect_exported` where the packages are installed; cells may walk over time (`s2s.export.recurrence`)."""
    import onnxruntime

    from s2s.errors import ConfigError
    from s2s.export.graphs import export_part, root_cause
    from s2s.export.recurrence import traceable

    with torch.no_grad():
        expected = listed(step(*other))
    names = (
        [f"in_{place}" for place in range(len(inputs))],
        [f"out_{place}" for place in range(len(expected))],
    )
    free = tuple({place: torch.export.Dim.DYNAMIC for place in axis} for axis in axes)
    inputs, other = ([value.detach().contiguous() for value in values] for values in (inputs, other))
    try:
        with torch.no_grad(), traceable(step):
            graph = export_part(_Flat(step), tuple(inputs), (free,), *names)
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        found = session.run(
            names[1], {name: value.numpy() for name, value in zip(names[0], other, strict=True)}
        )
    except ConfigError as error:
        raise _refused("torch.onnx", root_cause(error)) from error
    except Exception as error:  # onnxruntime's own have no class in common
        raise _refused("onnxruntime", error) from error
    _expect_equal([torch.from_numpy(value) for value in found], expected)


def _refused(by: str, error: BaseException) -> Nonconforming:
    return Nonconforming(
        f"that {by} refuses it: {type(error).__name__}: {str(error).splitlines()[0]}",
        "a graph",
        "Look for branches on values of tensors (.item(), if tensor:) and for sizes taken as Python numbers.",
    )


def _expect_equal(found: Any, expected: Any) -> None:
    remedy = "Look for numbers that depend on the example, its sizes for one."
    for i, (value, wanted) in enumerate(zip(listed(found), listed(expected), strict=True)):
        expect_close(f"what was exported gives (value {i})", value, wanted, remedy, TOLERANCES[torch.float32])


class _Flat(nn.Module):
    """Any module as one of positional tensors, so that axes are named in one way."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, *inputs: Tensor) -> Any:
        return self.step(*inputs)


def listed(values: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Tensors, however many."""
    return [values] if isinstance(values, Tensor) else list(values)


def _attributes(part: nn.Module) -> set[str]:
    return {f"{name}.{key}" for name, module in part.named_modules() for key in vars(module)}
