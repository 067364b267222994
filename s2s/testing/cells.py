"""The conformance kit for recurrent cells.

Each check takes a factory (input_size, hidden_size) -> RecurrentCell: a class, or a partial with the cell's options.
The reference for a sequence is `walk`: one sentence at a time, one step at a time, nothing padded,
nothing hoisted.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from s2s.nn.cell import (
    Noise,
    RecurrentCell,
    State,
    form,
    is_step,
    leaves,
    map_state,
    select_state,
)
from s2s.nn.encoder import Bidirectional
from s2s.nn.stack import Stack
from s2s.nn.unroll import unroll
from s2s.testing import constructors, models
from s2s.testing.comparing import TOLERANCES, differentiable, expect_close, expect_shape, in_float64, outline
from s2s.testing.kit import Check, Nonconforming, part_of
from s2s.testing.modules import (
    ONNX_IS_HERE,
    asking_gradients,
    attributes,
    expect_exported,
    expect_held,
    expect_in_onnx,
    expect_same_in_threads,
    expect_same_on_accelerator,
    name_leaves,
)

CellFactory = Callable[[int, int], RecurrentCell]

INPUT_SIZE, HIDDEN_SIZE = 3, 4
LENGTHS = (5, 1, 3, 5)  # the longest twice, the shortest possible, one between

WELL_CONDITIONED = TOLERANCES[torch.float32] / 10
"""Largest float32 rounding error of an example in which two implementations must agree within the tolerance.

Where layer normalization divides by small deviations, rounding errors grow from step to step, by up to 155 in the five
steps of one example; half a bit more or less in its inputs and weights moves its gradients by 1e-5 even in float64. No
two implementations agree there. Most cells have rounding errors of 1e-6 or less everywhere."""

DRAWS = 10
"""Most examples sampled until one is well conditioned; the last one is used in any case."""


def walk(
    cell: RecurrentCell,
    x: Tensor,
    lengths: Tensor,
    state: State,
    *,
    reverse: bool = False,
    noise: Noise = None,
) -> tuple[Tensor, State]:
    """The readable reference for `unroll`: each sentence alone, `step` by `step`.

    Args:
        cell: the cell.
        x: inputs, [batch, time, input]; the padding is not read.
        lengths: [batch].
        state: the state before the first step.
        reverse: from the last real position to the first.
        noise: what the cell sampled for these sentences.

    Returns:
        Outputs [batch, time, output], zero at padding, and the state after each sentence's last step.
    """
    rows, states = [], []
    for row, length in enumerate(lengths.tolist()):
        index = torch.tensor([row])
        row_state, row_noise = select_state(state, index), select_state(noise, index)
        outputs: dict[int, Tensor] = {}
        for time in reversed(range(length)) if reverse else range(length):
            projected = cell.project(x[row : row + 1, time])
            outputs[time], row_state = one_step(cell, projected, row_state, row_noise)
        real = torch.cat([outputs[time] for time in range(length)])
        rows.append(torch.cat([real, real.new_zeros(x.size(1) - length, real.size(-1))]))
        states.append(row_state)
    return torch.stack(rows), map_state(lambda *parts: torch.cat(parts), *states)


def one_step(cell: RecurrentCell, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
    """Call `step` and check the form of its return value: a lone tensor of two rows could be unpacked, too.

    Raises:
        Nonconforming: it is not an output and a state.
    """
    returned = cell.step(x, state) if noise is None else cell.step(x, state, noise)
    if not is_step(returned, state):
        raise Nonconforming(
            f"that step returns {form(returned)}",
            f"(output, state), state a tuple of tensors: (a tensor, {form(state)})",
            "End step with `return output, state`; for a state of one tensor, `return output, (h,)`.",
        )
    return returned


def reachable_state(cell: RecurrentCell, batch_size: int, dtype: torch.dtype) -> State:
    """A state that the cell can reach, different in each row: three random steps from its initial state."""
    like = torch.zeros(batch_size, cell.input_size, dtype=dtype)
    state = cell.initial_state(batch_size, like=like)
    for _ in range(3):
        _, state = one_step(cell, cell.project(torch.randn_like(like)), state)
    return asking_gradients(state)


def check_shapes(factory: CellFactory) -> None:
    """Outputs, states, `read` and features have the widths that the cell declares."""
    cell = factory(INPUT_SIZE, HIDDEN_SIZE)
    x = torch.randn(2, INPUT_SIZE)
    state = cell.initial_state(2, like=x)
    output, following = one_step(cell, cell.project(x), state)
    expect_shape("step's output", output, (2, cell.output_size), "pass output_size to super().__init__")
    expect_shape("read(state)", cell.read(state), (2, cell.output_size), "override read")
    features = cell.features(state)
    expect_shape("features(state)", features, (2, cell.feature_size), "override feature_size or features")
    found, expected = outline(following), outline(state)
    if found != expected:
        raise Nonconforming(
            f"that step returns a state of the form {found}",
            f"{expected}, as initial_state gives",
            "Return the same structure, the same widths and the same types from both.",
        )
    if outline(cell.state_from(features)) != expected:
        raise Nonconforming(
            f"that state_from returns {outline(cell.state_from(features))}",
            f"{expected}, as initial_state gives",
            "Override state_from, so that a bridge can build the initial state of a decoder.",
        )
    widths = tuple(leaf[0].numel() for leaf in leaves(state))
    if widths != tuple(cell.state_sizes):
        raise Nonconforming(
            f"that initial_state has leaves of widths {widths}",
            f"{tuple(cell.state_sizes)}, as state_sizes says",
            "Override state_sizes.",
        )
    for i, leaf in enumerate(leaves(following)):
        if leaf.size(0) != 2:
            raise Nonconforming(
                f"that state leaf {i} is {tuple(leaf.shape)}", "the batch (2) first", "Put the batch first."
            )


def check_sequence_equals_steps(factory: CellFactory) -> None:
    """`unroll` equals step by step: same outputs, states and gradients; both directions, float64 and float32."""
    for dtype in (torch.float64, torch.float32):
        for reverse in (False, True):
            for given in (False, True):
                compare_with_walk(factory, LENGTHS, dtype=dtype, reverse=reverse, given_state=given)


def check_mixed_precision(factory: CellFactory) -> None:
    """Under bfloat16 autocast `unroll` and `step` agree within rounding, and the state keeps its dtype."""
    compare_with_walk(factory, LENGTHS, dtype=torch.bfloat16)


def check_single_steps_and_full_rows(factory: CellFactory) -> None:
    """Sentences of length 1 only, and a batch without any padding."""
    for lengths in ((1, 1), (1,), (4, 4)):
        for reverse in (False, True):
            compare_with_walk(factory, lengths, reverse=reverse)


def check_padding(factory: CellFactory) -> None:
    """The contents of the padding (even NaN) change no bit of outputs, states and gradients."""
    cell = _cell(factory, torch.float64)
    lengths = torch.tensor(LENGTHS)
    clean = torch.randn(len(LENGTHS), max(LENGTHS), INPUT_SIZE, dtype=torch.float64)
    padding = torch.arange(max(LENGTHS)) >= lengths.unsqueeze(1)
    state = reachable_state(cell, len(LENGTHS), torch.float64)
    for reverse in (False, True):
        results = []
        for filling in (0.0, 1e30, float("inf"), float("nan")):
            x = clean.clone()
            x[padding] = filling
            results.append((filling, _values_and_gradients(cell, x, lengths, state, reverse=reverse)))
        for filling, found in results[1:]:
            for name, expected in results[0][1].items():
                if not torch.equal(found[name], expected):
                    raise Nonconforming(
                        f"that {name} changes when the padding holds {filling} instead of 0",
                        "the same bits",
                        "unroll zeroes padding before project; fused must respect the mask, "
                        "and no step may depend on another row of the batch.",
                    )


def check_batch_mates(factory: CellFactory) -> None:
    """A sentence alone, in a batch and in a reordered batch: the same outputs and states."""
    cell = _cell(factory, torch.float64)
    lengths = torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), max(LENGTHS), INPUT_SIZE, dtype=torch.float64)
    state = reachable_state(cell, len(LENGTHS), torch.float64)
    outputs, last = unroll(cell, x, lengths, state)
    remedy = "No row may see another: no mean or normalization over the batch, no tensor kept on self."
    for row, length in enumerate(LENGTHS):
        index = torch.tensor([row])
        alone, alone_last = unroll(cell, x[index, :length], lengths[index], select_state(state, index))
        expect_close("outputs of a sentence alone and in a batch", outputs[index, :length], alone, remedy)
        in_batch = leaves(select_state(last, index))
        for i, (found, expected) in enumerate(zip(in_batch, leaves(alone_last), strict=True)):
            expect_close(f"state leaf {i} of a sentence alone and in a batch", found, expected, remedy)
    order = torch.tensor([2, 0, 3, 1])
    shuffled, _ = unroll(cell, x[order], lengths[order], select_state(state, order))
    expect_close("outputs in another order of the batch", shuffled, outputs[order], remedy)


def check_select_state(factory: CellFactory) -> None:
    """Selecting rows of the state before or after a step gives the same, as beam search requires."""
    cell = _cell(factory, torch.float64)
    x = torch.randn(3, INPUT_SIZE, dtype=torch.float64)
    state = reachable_state(cell, 3, torch.float64)
    index = torch.tensor([2, 0, 0, 1])
    output, following = one_step(cell, cell.project(x), state)
    chosen_output, chosen = one_step(cell, cell.project(x[index]), select_state(state, index))
    remedy = "Every leaf must be [batch, ...], and a row's step must depend on that row alone."
    expect_close("the output after choosing rows", chosen_output, output[index], remedy)
    for i, (found, expected) in enumerate(zip(leaves(chosen), leaves(following), strict=True)):
        expect_close(f"state leaf {i} after choosing rows", found, expected[index], remedy)


def check_features(factory: CellFactory) -> None:
    """`state_from(features(state))` gives the state back, and a gradient reaches every leaf that can have one."""
    cell = _cell(factory, torch.float64)
    state = reachable_state(cell, 3, torch.float64)
    again = cell.state_from(cell.features(state))
    for i, (found, expected) in enumerate(zip(leaves(again), leaves(state), strict=True)):
        remedy = "Override features and state_from together."
        expect_close(f"state leaf {i} after features and state_from", found, expected, remedy)
    features = cell.features(state)
    weighted = (features * torch.randn_like(features)).sum()
    asked = {i: leaf for i, leaf in enumerate(leaves(state)) if leaf.requires_grad}
    gradients = torch.autograd.grad(weighted, list(asked.values()), allow_unused=True)
    for i, gradient in zip(asked, gradients, strict=True):
        if gradient is None or not gradient.abs().gt(0).all():
            raise Nonconforming(
                f"that features does not depend on all of state leaf {i}",
                "a gradient for each of its elements: else a bridge loses it",
                "Put every leaf into features.",
            )
    _expect_gradients_of_state_from(cell, features.detach())


def _expect_gradients_of_state_from(cell: RecurrentCell, features: Tensor) -> None:
    """Each leaf of `state_from` has the gradient that finite differences give it: none where it is rounded."""
    features.requires_grad_()
    direction = torch.randn_like(features)
    built = cell.state_from(features)
    ahead, behind = (leaves(cell.state_from(features.detach() + step * direction)) for step in (1e-6, -1e-6))
    for i, leaf in enumerate(leaves(built)):
        if leaf.dtype not in (torch.float64, torch.complex128):
            continue
        weights = torch.randn_like(leaf)
        before, now, after = ((one * weights).sum().real.detach() for one in (behind[i], leaf, ahead[i]))
        expected = (after - before) / 2e-6
        if not torch.isclose(after - now, now - before, rtol=1e-3, atol=1e-12):
            continue  # a bend, as at the limit of a clamp: no gradient is the right one
        slope = torch.zeros(())
        if leaf.requires_grad:
            (gradient,) = torch.autograd.grad(
                (leaf * weights).sum().real, features, allow_unused=True, retain_graph=True
            )
            slope = slope if gradient is None else (gradient * direction).sum()
        if not torch.isclose(slope.double(), expected.double(), rtol=1e-4, atol=1e-6):
            raise Nonconforming(
                f"that state_from does not pass the gradient of state leaf {i} on: {slope:.3g} along some direction",
                f"{expected:.3g}, by finite differences: else a bridge cannot learn",
                "Detach nothing in state_from.",
            )


def check_projection(factory: CellFactory) -> None:
    """`project` is affine in its input, and `project_part` of the columns sums to it."""
    cell = _cell(factory, torch.float64)
    x, y = torch.randn(2, 2, 5, INPUT_SIZE, dtype=torch.float64)
    mixed = cell.project(0.3 * x + 0.7 * y)
    expected = 0.3 * cell.project(x) + 0.7 * cell.project(y)
    remedy = "Move what is not affine into step."
    expect_close("project of a mean and the mean of projections", mixed, expected, remedy)
    for cuts in ((1, 2), (2, 1), (1, 1, 1), (3,)):
        starts = [sum(cuts[:i]) for i in range(len(cuts))]
        parts = [
            cell.project_part(part, start)
            for part, start in zip(x.split(list(cuts), dim=-1), starts, strict=True)
        ]
        expect_close(
            f"the sum of project_part over columns {cuts}",
            torch.stack(parts).sum(0),
            cell.project(x),
            "Keep RecurrentCell.project_part, or add the bias to the part that starts at 0 only.",
        )


def check_noise(factory: CellFactory) -> None:
    """In training, `unroll` and `step` agree given the same noise; in evaluation there is none."""
    cell = _cell(factory, torch.float64)
    like = torch.zeros(len(LENGTHS), INPUT_SIZE, dtype=torch.float64)
    if cell.noise(len(LENGTHS), like=like) is not None:
        raise Nonconforming(
            "that noise is sampled in evaluation mode", "None", "Return None unless self.training."
        )
    cell.train()
    noise = cell.noise(len(LENGTHS), like=like)
    for i, leaf in enumerate(leaves(noise)):
        if leaf.size(0) != len(LENGTHS):
            raise Nonconforming(
                f"that noise leaf {i} has shape {tuple(leaf.shape)}",
                f"the batch ({len(LENGTHS)}) first",
                "Sample one row for each sentence.",
            )
    for reverse in (False, True):
        compare_with_walk(factory, LENGTHS, reverse=reverse, training=True)


def check_keeps_nothing(factory: CellFactory) -> None:
    """Two runs give the same numbers, and a run does not change the cell."""
    cell = _cell(factory, torch.float64)
    lengths = torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), max(LENGTHS), INPUT_SIZE, dtype=torch.float64)
    before, names = {k: v.clone() for k, v in cell.state_dict().items()}, attributes(cell).keys()
    first, _ = unroll(cell, x, lengths)
    unroll(cell, x.flip(0), lengths.flip(0))
    held = attributes(cell)
    again, _ = unroll(cell, x, lengths)
    remedy = "State in, state out: keep no tensor of a sentence on self."
    expect_close("outputs of a second run", again, first, remedy)
    changed = [k for k, v in cell.state_dict().items() if k not in before or not torch.equal(v, before[k])]
    expect_held(cell, names, held, changed, "cell", remedy)
    inputs = [x, x.flip(0), torch.randn_like(x), torch.randn_like(x)]
    expect_same_in_threads([functools.partial(_outputs, cell, one, lengths) for one in inputs])
    copy = _cell(factory, torch.float64)
    copy.load_state_dict(cell.state_dict())
    remedy = "Make every learnt tensor of the cell a Parameter, and every other one a buffer."
    expect_close("outputs of a copy with the same state_dict", unroll(copy, x, lengths)[0], first, remedy)


def _outputs(cell: RecurrentCell, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    return {"outputs": unroll(cell, x, lengths)[0]}


def check_devices(factory: CellFactory) -> None:
    """On an accelerator, here an emulated one, it computes the same: no tensor stays behind on the CPU."""

    def run(cell: RecurrentCell, inputs: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        outputs, last = unroll(cell, *inputs)
        built = cell.state_from(cell.features(last))
        return {
            "outputs": outputs,
            **name_leaves("last state", last),
            **name_leaves("state_from's state", built),
        }

    x = torch.randn(len(LENGTHS), max(LENGTHS), INPUT_SIZE, dtype=torch.float64)
    expect_same_on_accelerator(_cell(factory, torch.float64), (x, torch.tensor(LENGTHS)), run)


def check_gradients(factory: CellFactory) -> None:
    """The gradients of one step match finite differences, and every parameter receives one."""
    cell = _cell(factory, torch.float64)
    state = reachable_state(cell, 2, torch.float64)
    x = torch.randn(2, INPUT_SIZE, dtype=torch.float64, requires_grad=True)

    def step(x: Tensor, *parts: Tensor) -> tuple[Tensor, ...]:
        remaining = iter(parts)
        output, following = one_step(cell, cell.project(x), map_state(lambda _: next(remaining), state))
        return (output, *filter(differentiable, leaves(following)))

    try:
        torch.autograd.gradcheck(step, (x, *leaves(state)))
    except RuntimeError as error:
        raise Nonconforming(
            f"gradients of step that are wrong: {error}",
            "those of finite differences",
            "Look for detach(), .data, in-place changes of the state, or a wrong backward.",
        ) from error
    found = _values_and_gradients(
        cell, torch.randn(2, 4, INPUT_SIZE, dtype=torch.float64), torch.tensor([4, 3]), None
    )
    for name, value in found.items():
        if not value.isfinite().all():
            raise Nonconforming(
                f"that {name} is not finite", "finite numbers", "Look for a division or a logarithm near 0."
            )
        if name.startswith("gradient of parameter") and not value.abs().gt(0).any():
            raise Nonconforming(
                f"that {name} is zero everywhere",
                "that the outputs depend on it",
                "Use the parameter in step or project, or remove it.",
            )


def compare_with_walk(
    factory: CellFactory,
    lengths: Sequence[int],
    *,
    dtype: torch.dtype = torch.float64,
    reverse: bool = False,
    given_state: bool = True,
    training: bool = False,
) -> None:
    """Compare `unroll` with `walk`: outputs, last states, gradients of inputs, first state and parameters.

    Args:
        factory: the cell.
        lengths: of the sentences; the padding of the batch is filled with NaN.
        dtype: float64, float32, or bfloat16 for float32 under autocast.
        reverse: the direction.
        given_state: start from a given state instead of the cell's initial one.
        training: in training mode, both with the same noise.
    """
    mixed = dtype == torch.bfloat16
    real = torch.tensor(lengths)
    for _ in range(DRAWS):
        example = _draw(factory, real, torch.float32 if mixed else dtype, given_state, training)
        if dtype != torch.float32 or _rounding(example, real, reverse) <= WELL_CONDITIONED:
            break
    cell, x, state, noise = example
    with torch.autocast(x.device.type, torch.bfloat16, enabled=mixed):
        found = _values_and_gradients(cell, x, real, state, reverse=reverse, noise=noise)
        expected = _values_and_gradients(cell, x, real, state, reverse=reverse, noise=noise, run=walk)
    with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=mixed):
        ungraded, _ = unroll(cell, x, real, state, reverse=reverse, noise=noise)
    where = (
        f"{'bfloat16 autocast' if mixed else dtype}, lengths {tuple(lengths)}, "
        f"{'backward' if reverse else 'forward'}, {'given' if given_state else 'first'} state, "
        f"{'training' if training else 'evaluation'}"
    )
    expect_close(
        f"outputs without and with gradients ({where})",
        ungraded,
        found["outputs"],
        "An implementation used for inference only must match step.",
        TOLERANCES[dtype],
    )
    for name, value in expected.items():
        if not mixed and found[name].dtype != value.dtype:
            raise Nonconforming(
                f"that {name} is {found[name].dtype} at once ({where})",
                f"{value.dtype}, as step by step",
                "Keep the type.",
            )
        expect_close(
            f"{name} at once and step by step ({where})",
            found[name],
            value,
            "If the cell implements fused, it must match step, and keep the state where mask is False.",
            TOLERANCES[dtype],
        )
    for i, leaf in enumerate(leaves(state)):
        last = found[f"last state leaf {i}"]
        if last.dtype != leaf.dtype:
            raise Nonconforming(
                f"that last state leaf {i} is {last.dtype} ({where})",
                f"{leaf.dtype}, as it began",
                "A state must keep the dtype that initial_state gave it.",
            )


class _Example(NamedTuple):
    """A cell, inputs [batch, time, input] with NaN in their padding, a first state and noise for them."""

    cell: RecurrentCell
    x: Tensor
    state: State
    noise: Noise


def _draw(
    factory: CellFactory, lengths: Tensor, dtype: torch.dtype, given_state: bool, training: bool
) -> _Example:
    cell = _cell(factory, dtype).train(training)
    rows, time = len(lengths), int(lengths.max())
    x = torch.randn(rows, time, INPUT_SIZE, dtype=dtype)
    x[torch.arange(time) >= lengths.unsqueeze(1)] = float("nan")
    state = reachable_state(cell, rows, dtype) if given_state else None
    return _Example(cell, x, state, cell.noise(rows, like=x))


def _rounding(example: _Example, lengths: Tensor, reverse: bool) -> float:
    """The error of float32 steps against those in float64, measured as tolerances are."""
    cell, *parts = example
    found, exact = (
        _values_and_gradients(cell.to(x.dtype), x, lengths, state, reverse=reverse, noise=noise, run=walk)
        for x, state, noise in (parts, [map_state(_widened, part) for part in parts])
    )
    cell.float()  # converted in place, as not every cell can be copied
    pairs = [(in_float64(found[name]), in_float64(value)) for name, value in exact.items() if value.numel()]
    return max(
        float((value - wanted).abs().max() / wanted.abs().max().clamp(min=1.0)) for value, wanted in pairs
    )


def _widened(leaf: Tensor) -> Tensor:
    if leaf.is_complex():
        return leaf.to(torch.complex128)
    return leaf.double() if leaf.is_floating_point() else leaf


def _values_and_gradients(
    cell: RecurrentCell,
    x: Tensor,
    lengths: Tensor,
    state: State,
    *,
    reverse: bool = False,
    noise: Noise = None,
    run: Callable[..., tuple[Tensor, State]] = unroll,
) -> dict[str, Tensor]:
    """Outputs, last state, and the gradients of a random weighting of both, by name."""
    x = x.detach().clone().requires_grad_()
    start = state
    if start is None and run is walk:
        start = cell.initial_state(x.size(0), like=x)
    outputs, last = run(cell, x, lengths, start, reverse=reverse, noise=noise)
    generator = torch.Generator(x.device).manual_seed(1)
    loss = torch.zeros((), dtype=torch.float64)
    for value in (outputs, *leaves(last)):
        numbers = in_float64(value)
        loss = loss + (numbers * torch.randn(numbers.shape, generator=generator, dtype=torch.float64)).sum()
    named = {"inputs": x, **{f"first state leaf {i}": leaf for i, leaf in enumerate(leaves(state))}}
    named |= {f"parameter {name}": parameter for name, parameter in cell.named_parameters()}
    named = {name: value for name, value in named.items() if value.requires_grad}
    gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    result = {"outputs": outputs.detach()}
    result |= {f"last state leaf {i}": leaf.detach() for i, leaf in enumerate(leaves(last))}
    for (name, value), gradient in zip(named.items(), gradients, strict=True):
        result[f"gradient of {name}"] = torch.zeros_like(value) if gradient is None else gradient
    return result


def _cell(factory: CellFactory, dtype: torch.dtype) -> RecurrentCell:
    """A cell in evaluation mode."""
    cell = factory(INPUT_SIZE, HIDDEN_SIZE).to(dtype)
    cell.eval()
    return cell


def check_constructor(factory: CellFactory) -> None:
    """The constructor is typed, documented, and builds from a name alone."""
    constructors.check_constructor(factory)


def check_stack(factory: CellFactory) -> None:
    """In a stack of two such cells with residual connections, `unroll` still equals step by step."""

    def build(input_size: int, hidden_size: int) -> RecurrentCell:
        below = factory(input_size, hidden_size)
        return Stack([below, factory(below.output_size, hidden_size)], residual=True)

    compare_with_walk(build, LENGTHS)


def check_directions(factory: CellFactory) -> None:
    """In a bidirectional encoder, a sentence gives the same alone and in a batch."""
    first, second = _cell(factory, torch.float64), _cell(factory, torch.float64)
    encoder = Bidirectional(first, second)
    lengths = torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), max(LENGTHS), INPUT_SIZE, dtype=torch.float64)
    encoded = encoder(x, lengths)
    features = encoder.features(encoded.state)
    for row, length in enumerate(LENGTHS):
        index = torch.tensor([row])
        alone = encoder(x[index, :length], lengths[index])
        remedy = "No row may see another."
        expect_close("outputs of both directions", encoded.outputs[index, :length], alone.outputs, remedy)
        expect_close("features of both directions", features[index], encoder.features(alone.state), remedy)


def check_every_partner(factory: CellFactory) -> None:
    """With every registered decoder, attention and bridge: teacher forcing equals stepping, beams stay independent."""
    models.expect_exact_beside("cell", factory, ("decoder", "attention", "bridge"), size=6)


def check_learning(factory: CellFactory) -> None:
    """It learns to copy and to reverse short sequences in a few seconds."""
    for reverse in (False, True):
        models.expect_to_learn(models.small_model(size=32, cell=factory), "the cell", reverse=reverse)


def check_export(factory: CellFactory) -> None:
    """A step, and in ONNX a sequence of any length, can be exported, and gives the same numbers."""
    cell = _cell(factory, torch.float32)
    inputs, other = _step_inputs(cell, 3), _step_inputs(cell, 4)
    axes: list[dict[int, str]] = [{0: "rows"}] * len(inputs)
    if not ONNX_IS_HERE:
        expect_exported(_Step(cell), inputs, other, axes)
        return
    sequences: list[dict[int, str]] = [{0: "rows", 1: "time"}, {0: "rows"}]
    expect_in_onnx(
        _StepAndSequence(cell),
        (*_sequence((5, 2, 3)), *inputs),
        (*_sequence((4, 7, 1, 6)), *other),
        [*sequences, *axes],
    )


def check_compiled(factory: CellFactory) -> None:
    """torch.compile accepts a step, and the compiled step gives the same numbers and gradients."""
    cell = _cell(factory, torch.float32)
    step, inputs = _Step(cell), _step_inputs(cell, 3)
    torch.compiler.reset()  # else it gives up after eight cells of one process
    try:
        values = torch.compile(step, fullgraph=True)(*inputs)
    except Exception as error:
        raise Nonconforming(
            f"that torch.compile refuses step: {type(error).__name__}: {str(error).splitlines()[0]}",
            "a graph without breaks",
            "Look for branches on values of tensors; a C++ compiler must be installed.",
        ) from error
    _expect_same_step("a compiled step", values, step(*inputs))
    wanted = [value for value in (*inputs, *cell.parameters()) if value.requires_grad]
    found, expected = (
        torch.autograd.grad(
            [in_float64(part).square().sum() for part in parts if part.requires_grad],
            wanted,
            allow_unused=True,
        )
        for parts in (values, step(*inputs))
    )
    present = [i for i, gradient in enumerate(expected) if gradient is not None]
    _expect_same_step(
        "the gradients of a compiled step", [found[i] for i in present], [expected[i] for i in present]
    )


class _Step(nn.Module):
    """One step as a function of tensors alone: inputs and leaves in, output and leaves out."""

    def __init__(self, cell: RecurrentCell) -> None:
        super().__init__()
        self.cell = cell
        self.structure = cell.initial_state(1, like=torch.zeros(1, cell.input_size))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given = iter(inputs[1:])
        state = map_state(lambda _: next(given), self.structure)
        output, following = one_step(self.cell, self.cell.project(inputs[0]), state)
        return output, *leaves(following)


class _StepAndSequence(_Step):
    """A step, and the cell over time from right to left: outputs, the last state, and that state by way of a bridge."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, lengths, *of_step = inputs
        outputs, state = unroll(self.cell, x, lengths, reverse=True)
        bridged = self.cell.state_from(self.cell.features(state))
        return *super().forward(*of_step), outputs, *leaves(state), *leaves(bridged)


def _sequence(lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
    return torch.randn(len(lengths), max(lengths), INPUT_SIZE), torch.tensor(lengths)


def _step_inputs(cell: RecurrentCell, rows: int) -> tuple[Tensor, ...]:
    return torch.randn(rows, cell.input_size), *leaves(reachable_state(cell, rows, torch.float32))


def _expect_same_step(what: str, found: Sequence[Any], expected: Sequence[Any]) -> None:
    remedy = "Look for values that depend on the example, such as its batch size."
    for i, (value, wanted) in enumerate(zip(found, expected, strict=True)):
        expect_close(f"{what} (value {i})", value, wanted, remedy, TOLERANCES[torch.float32])


def _of_cells(run: Callable[[CellFactory], None]) -> Callable[[CellFactory], None]:
    """A check that first reports a class that is no RecurrentCell, before anything that it lacks."""

    @functools.wraps(run)
    def check(factory: CellFactory) -> None:
        part = part_of(factory)
        if inspect.isclass(part) and not issubclass(part, RecurrentCell):
            raise Nonconforming(
                f"that {part.__name__} is no RecurrentCell",
                "one",
                f"Derive it from {RecurrentCell.__module__}.RecurrentCell.",
            )
        run(factory)

    return check


CELL_CHECKS = tuple(
    Check("cell", _of_cells(run))
    for run in (
        check_constructor,
        check_shapes,
        check_sequence_equals_steps,
        check_mixed_precision,
        check_single_steps_and_full_rows,
        check_padding,
        check_batch_mates,
        check_select_state,
        check_features,
        check_projection,
        check_noise,
        check_keeps_nothing,
        check_devices,
        check_gradients,
        check_stack,
        check_directions,
        check_every_partner,
        check_export,
        check_learning,
    )
) + (Check("cell", _of_cells(check_compiled), slow=True),)
