"""Requirements on every part that is a torch module, whatever it computes.

A kit supplies the part's outputs by name; these are compared here, and so are the gradients of one random weighting
of all of them.
"""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from s2s.nn.cell import State, leaves, map_state
from s2s.testing.accelerator import emulated_accelerator, is_not_emulated
from s2s.testing.comparing import AT_LEAST, TOLERANCES, differentiable, expect_close, in_float64
from s2s.testing.kit import Nonconforming, told
from s2s.testing.threads import at_once

Values = Mapping[str, Tensor]
"""Tensors by the name used for them in messages."""

Module = TypeVar("Module", bound=nn.Module)


def unsettle(part: Module) -> Module:
    """Perturb every parameter: a term that starts at zero could be lost or added twice unnoticed."""
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return part


def name_leaves(name: str, state: State) -> dict[str, Tensor]:
    """The leaves of a state by name."""
    return {f"{name} leaf {i}": leaf for i, leaf in enumerate(leaves(state))}


def asking_gradients(state: State) -> State:
    """A detached copy of a state that requires gradients, for the leaves that can have one."""
    return map_state(lambda leaf: leaf.detach().clone().requires_grad_(differentiable(leaf)), state)


def expect_batch_first(what: str, state: State, rows: int) -> None:
    """Check that `map_state` and `select_state` can process a structure: tuples of tensors [rows, ...].

    Raises:
        Nonconforming: it contains anything else.
    """
    if state is None:
        return
    if isinstance(state, Tensor):
        if state.dim() == 0 or state.size(0) != rows:
            raise Nonconforming(
                f"that {what} has a leaf of shape {tuple(state.shape)}",
                f"the batch ({rows}) first",
                "Give every leaf one row per sentence: searches select rows.",
            )
        return
    if not isinstance(state, tuple):
        raise Nonconforming(
            f"that {what} holds a {type(state).__name__}",
            "tensors in tuples (or NamedTuples)",
            "Store values that do not depend on a sentence on the part, and all others in tensors.",
        )
    for part in state:
        expect_batch_first(what, part, rows)


def with_gradients(values: Values, inputs: Values, part: nn.Module) -> dict[str, Tensor]:
    """The values, and the gradients of a random weighting of all of them; zero where there is none.

    Args:
        values: what the part computed; the weights depend on their order.
        inputs: the tensors to take gradients for, besides the parameters.
        part: the module whose parameters are used.
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
    """Evaluation mode; also training mode, if the part is deterministic there: it must then do the same.

    Args:
        part: set to the mode.
        ask: returns what the part computes.

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
    """The trainable parameters, by name."""
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
    """Check for the same names, with equal values up to rounding, of the same dtypes.

    Args:
        found: the values to check.
        expected: the reference.
        how: what is compared, in words.
        remedy: what to do if they differ.
        tolerance: see `expect_close`.
        types: whether dtypes must agree, too; under autocast they may differ between implementations.

    Raises:
        Nonconforming: they differ; names the place of the largest difference.
    """
    if set(found) != set(expected):
        raise Nonconforming(f"{sorted(found)} {how}", f"{sorted(expected)}", remedy)
    for name, value in expected.items():
        if types and found[name].dtype != value.dtype:
            raise Nonconforming(f"{name} of type {found[name].dtype} {how}", f"{value.dtype}", remedy)
        expect_close(f"{name} {how}", found[name], value, remedy, tolerance)


def expect_same_bits(found: Values, expected: Values, how: str, remedy: str) -> None:
    """Check for bitwise equality.

    Raises:
        Nonconforming: names the first value that differs.
    """
    for name, value in expected.items():
        if not torch.equal(found[name], value):
            raise Nonconforming(f"that {name} changes {how}", "the same bits", remedy)


def expect_nothing_kept(
    build: Callable[[], Module], draw: Callable[[Module], Any], run: Callable[[Module, Any], Values]
) -> None:
    """Check that runs are repeatable and leave the part unchanged, and that its state_dict is complete.

    Args:
        build: makes the part, in evaluation mode.
        draw: makes random inputs, different at each call.
        run: the part's outputs for some inputs.

    Raises:
        Nonconforming: it is random, keeps state, or has weights that are missing from its state_dict.
    """
    part = build()
    before, names = {k: v.clone() for k, v in part.state_dict().items()}, attributes(part).keys()
    inputs, others = draw(part), draw(part)
    first = run(part, inputs)
    run(part, others)
    held = attributes(part)
    remedy = "Draw nothing in evaluation mode, and keep no tensor of a sentence on self."
    expect_same_bits(run(part, inputs), first, "when the same is asked again", remedy)
    changed = [k for k, v in part.state_dict().items() if k not in before or not torch.equal(v, before[k])]
    expect_held(part, names, held, changed, "part", remedy)
    expect_same_in_threads(
        [functools.partial(run, part, one) for one in (inputs, others, draw(part), draw(part))]
    )
    copy = build()
    copy.load_state_dict(part.state_dict())
    remedy = "Make every learnt tensor a Parameter, and every other one a buffer."
    expect_same_bits(run(copy, inputs), first, "in a copy with the same state_dict", remedy)


def expect_same_on_accelerator(part: Module, inputs: Any, run: Callable[[Module, Any], Values]) -> None:
    """Check that a part computes where its tensors are, on an emulated accelerator, and the same as on the CPU.

    A part that needs a real one, such as its random generator, passes unchecked.

    Args:
        part: in evaluation mode; on the emulated accelerator afterwards, and so useless.
        inputs: tensors, in tuples.
        run: the part's outputs for some inputs.

    Raises:
        Nonconforming: it mixes tensors of two devices, returns one on the CPU, or computes something else.
    """
    remedy = (
        "Create tensors beside a given one (x.new_zeros, torch.arange(..., device=x.device)), and make every tensor "
        "that is kept on self a Parameter or a buffer, which move with the part."
    )
    with torch.device("cpu"), emulated_accelerator() as device:
        part.cpu()
        expected = with_gradients(run(part, _moved(inputs, "cpu")), {}, part)
        try:
            part.to(device)
            inputs = _moved(inputs, device)
            for training in (True, False):
                values = run(part.train(training), inputs)
                found = with_gradients(values, {}, part)
        except Exception as error:
            if is_not_emulated(error):
                return  # only a real one can tell
            raise Nonconforming(
                f"on an accelerator {told(error)}", "no error: all tensors where the inputs are", remedy
            ) from error
        for name, value in values.items():
            if value.device != device:
                raise Nonconforming(
                    f"{name} on the CPU for inputs on an accelerator", "the same device", remedy
                )
        expect_same(
            {name: value.cpu() for name, value in found.items()}, expected, "on an accelerator", remedy
        )


def _moved(inputs: Any, device: torch.device | str) -> Any:
    return map_state(lambda leaf: leaf.detach().to(device).requires_grad_(leaf.requires_grad), inputs)


def expect_gradients(values: Values, inputs: Values, part: nn.Module) -> None:
    """Check that gradients are finite, and that every input and every parameter gets one.

    Raises:
        Nonconforming: names one that does not.
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
                "that the output depends on it",
                "Use it, or remove it; look for detach(), .data and in-place changes.",
            )


def expect_same_in_threads(runs: Sequence[Callable[[], Values]]) -> None:
    """Check that runs in several threads at the same time give the same bits as one after the other.

    Raises:
        Nonconforming: they do not, or one raises an error.
    """
    remedy = "Keep nothing of a run on self, not even until its end: translation uses threads."
    one_by_one = [run() for run in runs]
    try:
        found = at_once([functools.partial(_let_others_run, run) for run in runs])
    except Exception as error:
        raise Nonconforming(f"beside other threads {told(error)}", "no error", remedy) from error
    for values, expected in zip(found, one_by_one, strict=True):
        expect_same_bits(values, expected, "beside other threads", remedy)


def _let_others_run(run: Callable[[], Values]) -> Values:
    with _Waiting():
        return run()


class _Waiting(TorchFunctionMode):
    """Lets another thread go on before each function of torch: runs are too short for Python to switch within one."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        time.sleep(3e-5)
        return func(*args, **(kwargs or {}))


_NARROW = (torch.float32, torch.bfloat16, torch.float16)


def expect_true_gradients(
    function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], what: str
) -> None:
    """Check gradients in float64 against finite differences, along a random direction.

    Raises:
        Nonconforming: they are not.
    """

    narrow: set[torch.dtype] = set()

    def together(*inputs: Tensor) -> Tensor:  # gradcheck skips a detached value
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
    """Check that a module can be exported, for any sizes of the named axes, and then gives the same numbers.

    To ONNX if its packages are installed; else only by torch.export, the first half of that.

    Args:
        step: a module that takes and returns tensors.
        inputs: an example.
        other: inputs of other sizes, on which outputs are compared.
        axes: for each input, the name of each axis of variable size.

    Raises:
        Nonconforming: the export fails, or its numbers depend on the example.
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
    """`expect_exported` if the packages are installed; cells may loop over time (`s2s.export.recurrence`)."""
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
    except Exception as error:  # onnxruntime's own have no common base class
        raise _refused("onnxruntime", error) from error
    _expect_equal([torch.from_numpy(value) for value in found], expected)


def _refused(by: str, error: BaseException) -> Nonconforming:
    return Nonconforming(
        f"that {by} refuses it: {type(error).__name__}: {str(error).splitlines()[0]}",
        "a graph",
        "Look for branches on values of tensors (.item(), if tensor:) and for sizes taken as Python numbers.",
    )


def _expect_equal(found: Any, expected: Any) -> None:
    remedy = "Look for values that depend on the example, such as its sizes."
    for i, (value, wanted) in enumerate(zip(listed(found), listed(expected), strict=True)):
        expect_close(f"what was exported gives (value {i})", value, wanted, remedy, TOLERANCES[torch.float32])


class _Flat(nn.Module):
    """Any module with positional tensors as inputs, so that axes are named uniformly."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, *inputs: Tensor) -> Any:
        return self.step(*inputs)


def listed(values: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """One or several tensors as a list."""
    return [values] if isinstance(values, Tensor) else list(values)


def expect_held(
    part: nn.Module,
    names: Collection[str],
    held: Mapping[str, Any],
    changed: Sequence[str],
    what: str,
    remedy: str,
) -> None:
    """Runs left nothing on a part, and the last one changed nothing: other threads run it at the same time.

    Args:
        part: after two runs or more, the last of them with other inputs than the one before.
        names: of its `attributes` before all runs.
        held: its `attributes` before the last run; what the first one computes for all may stay.
        changed: what is known to have changed, by name.
        what: the part in messages.
        remedy: for messages.
    """
    now = attributes(part)
    changed = [*changed, *(name for name, value in now.items() if name in names and value != held.get(name))]
    new = sorted(now.keys() - set(names))
    if changed or new:
        raise Nonconforming(f"that a run changed {changed} and left {new} on the {what}", "no change", remedy)


def attributes(part: nn.Module) -> dict[str, Any]:
    """What a part and the modules within it hold besides parameters, buffers and modules: their values, by name."""
    return {
        f"{name}.{key}": _picture(value)
        for name, module in part.named_modules()
        for key, value in vars(module).items()
        if key not in ("_parameters", "_buffers", "_modules")
    }


def _picture(value: Any, depth: int = 4) -> Any:
    # Equal for equal values; anything but tensors, numbers, texts and containers stands for itself.
    if isinstance(value, Tensor):
        return tuple(value.shape), str(value.dtype), str(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)) and depth:
        return type(value).__name__, [_picture(one, depth - 1) for one in value]
    if isinstance(value, Mapping) and depth:
        return [(str(key), _picture(one, depth - 1)) for key, one in value.items()]
    return str(value) if value is None or isinstance(value, (bool, int, float, complex, str)) else id(value)
