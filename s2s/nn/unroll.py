"""Running a cell over time: masks, both directions, projections outside the loop, and segments."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from s2s.nn.cell import Noise, RecurrentCell, State, advance, map_state
from s2s.nn.packed import has_packed
from s2s.nn.sizes import check_size
from s2s.nn.twins import holds
from s2s.nn.weight_gradients import gathered_weight_gradients

AT_ONCE = 2**18
"""Numbers that `unroll_folded` reads from its table at once: 1 MiB, which stays in a cache."""


def length_mask(lengths: Tensor, time: int) -> Tensor:
    """True at real positions, [batch, time].

    Args:
        lengths: real positions per row, [batch].
        time: columns of the mask.
    """
    return torch.arange(time, device=lengths.device).unsqueeze(0) < lengths.unsqueeze(1)


def blank(x: Tensor, mask: Tensor) -> Tensor:
    """`x` [batch, time, features] where `mask` [batch, time] is True, zero elsewhere (even for NaN)."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():  # `nonzero` synchronizes with an accelerator
        return x.masked_fill(~mask.unsqueeze(-1), 0.0)
    # Filling whole rows is four times as fast as single values: 34 instead of 133 microseconds for [64, 16, 512].
    padding = (~mask).flatten().nonzero().squeeze(1)
    return x.flatten(0, 1).index_fill(0, padding, 0.0).view_as(x)


def reverse_within(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row's real positions in reverse order; padding stays where it is.

    Args:
        x: [batch, time, ...].
        lengths: [batch].
    """
    time = torch.arange(x.size(1), device=x.device).unsqueeze(0)
    place = torch.where(time < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - time, time)
    first = x.size(1) * torch.arange(x.size(0), device=x.device).unsqueeze(1)
    swapped: Tensor = _Swap.apply(x, (first + place).flatten())  # type: ignore[no-untyped-call]
    return swapped


class _Swap(torch.autograd.Function):
    """Permute rows by a self-inverse order; whole rows are five times as fast as single values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return x.flatten(0, 1).index_select(0, order).view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Swap.apply(gradient, *ctx.saved_tensors), None  # type: ignore[no-untyped-call]


def last_output(outputs: Tensor, lengths: Tensor) -> Tensor:
    """The output at each row's last real position, [batch, features], from [batch, time, features]."""
    index = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, outputs.size(-1))
    return outputs.gather(1, index).squeeze(1)


class Segments(NamedTuple):
    """Splits a long sequence into segments, so that training stores the activations of one segment at a time.

    Segments are counted from where reading starts in each row: from its last position if it is read from right to left.
    So a row's gradients depend on that row alone. Outputs and states are the same as without segments.

    Attributes:
        length: positions per segment.
        gradients: how far gradients flow. ``checkpointed``: all the way, the same as without segments; each segment is
            recomputed in the backward pass (Chen et al. 2016). ``truncated``: not from one segment to the one before
            (truncated backpropagation through time, Williams & Peng 1990); segments are recomputed too. ``last``: into
            each row's last segment only; everything before it is computed once, without gradients, and its outputs are
            constants.
    """

    length: int
    gradients: Literal["checkpointed", "truncated", "last"] = "checkpointed"

    @classmethod
    def of(
        cls, length: int | None, gradients: Literal["checkpointed", "truncated", "last"]
    ) -> Segments | None:
        """Segments from the options of an encoder; a length of None means no segments.

        Raises:
            ConfigError: a length below 1.
        """
        return None if length is None else cls(check_size("segment_length", length), gradients)


def unroll(
    cell: RecurrentCell,
    x: Tensor,
    lengths: Tensor,
    state: State = None,
    *,
    reverse: bool = False,
    noise: Noise = None,
    segments: Segments | None = None,
) -> tuple[Tensor, State]:
    """Run a cell over a padded batch; values in the padding (even NaN) have no influence.

    Args:
        cell: any cell, including a `Stack`.
        x: inputs, right-padded, [batch, time, input].
        lengths: real positions per row, at least 1, [batch].
        state: state before the first step; None: `cell.initial_state`.
        reverse: read each row from its last real position to its first.
        noise: the cell's noise for these sequences; None: sampled here.
        segments: run long sequences in segments; None: in one piece.

    Returns:
        Outputs in the order of the input, zero at padding, [batch, time, output]; and the state after each row's last
        step.
    """
    mask = length_mask(lengths, x.size(1))
    x = blank(x, mask)  # before any product: 0 * NaN would reach the weights' gradients
    if reverse:
        x = reverse_within(x, lengths)
    if state is None:
        state = cell.initial_state(x.size(0), like=x)
    if noise is None:
        noise = cell.noise(x.size(0), like=x)
    if segments is None or x.size(1) <= segments.length or not torch.is_grad_enabled():
        outputs, state = run(cell, x, mask, state, noise)
    else:
        outputs, state = run_in_segments(cell, x, mask, state, noise, segments)
    outputs = blank(outputs, mask)
    return reverse_within(outputs, lengths) if reverse else outputs, state


def unroll_folded(
    cell: RecurrentCell, tokens: Tensor, lengths: Tensor, projections: Tensor, *, reverse: bool = False
) -> tuple[Tensor, State]:
    """`unroll` over tokens whose projections are known, without gradients and step by step.

    The table is read for a few steps at a time (`AT_ONCE`): all rows of a batch of 256 sentences would be 34 MB, which
    stay in no cache.

    Args:
        cell: one that `takes_steps_if_packed`; a `Stack` is faster layer by layer.
        tokens: right-padded with any tokens, [batch, time].
        lengths: see `unroll`.
        projections: `cell.project` of every token's vector, [vocabulary, P].
        reverse: see `unroll`.

    Returns:
        See `unroll`.
    """
    mask = length_mask(lengths, tokens.size(1))
    if reverse:
        tokens = reverse_within(tokens, lengths)
    one = F.embedding(tokens[:, 0], projections)
    state, noise = cell.initial_state(len(tokens), like=one), cell.noise(len(tokens), like=one)
    pieces = tokens.t().split(max(1, AT_ONCE // max(1, one.numel())))
    steps = (x for piece in pieces for x in F.embedding(piece, projections).unbind(0))
    outputs, state = _step_through(cell, steps, mask, state, noise)
    outputs = blank(outputs, mask)
    return reverse_within(outputs, lengths) if reverse else outputs, state


def takes_steps_if_packed(cell: RecurrentCell) -> bool:
    """Whether `run` takes steps once the model's matrices are packed: a cell of cells, as a `Stack`, may not."""
    own = any(weight.dim() == 2 for weight in cell.parameters(recurse=False))
    return own or type(cell).fused is RecurrentCell.fused


def run(cell: RecurrentCell, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
    """Run the cell by `fused` if it is valid (see `holds`), else by steps. Arguments as in `RecurrentCell.fused`."""
    # `fused` converts its weights at every call: steps with packed weights are faster.
    slow = has_packed(cell) or not holds(cell, "fused", "step", "project")
    result = None if slow else cell.fused(x, mask, state, noise)
    return run_steps(cell, x, mask, state, noise) if result is None else result


def run_in_segments(
    cell: RecurrentCell, x: Tensor, mask: Tensor, state: State, noise: Noise, segments: Segments
) -> tuple[Tensor, State]:
    """`run`, segment by segment; other arguments as in `RecurrentCell.fused`."""
    lengths = mask.sum(1)
    parts = []
    for start in range(0, x.size(1), segments.length):
        piece = slice(start, start + segments.length)
        goes_on = lengths > start + segments.length
        if segments.gradients == "last":
            with torch.no_grad() if bool(goes_on.all()) else nullcontext():
                outputs, following = run(cell, x[:, piece], mask[:, piece], state, noise)
            outputs = cut(outputs, goes_on)
        else:
            outputs, following = checkpoint(
                run, cell, x[:, piece], mask[:, piece], state, noise, use_reentrant=False
            )
        following = stand_still(
            lengths > start, following, state
        )  # no `fused` supports a row without positions
        if segments.gradients != "checkpointed":  # a row that has ended keeps the gradient of its last state
            following = map_state(lambda leaf, rows=goes_on: cut(leaf, rows), following)
        parts.append(outputs)
        state = following
    return torch.cat(parts, dim=1), state


def cut(x: Tensor, rows: Tensor) -> Tensor:
    """`x` [batch, ...], detached in the rows where `rows` [batch] is True."""
    return torch.where(rows.view(-1, *[1] * (x.dim() - 1)), x.detach(), x)


def run_steps(
    cell: RecurrentCell, x: Tensor, mask: Tensor, state: State, noise: Noise
) -> tuple[Tensor, State]:
    """The slow reference for every `fused`: project all, then step by step. Arguments as in `RecurrentCell.fused`."""
    with gathered_weight_gradients():
        return _step_through(cell, cell.project(x).unbind(1), mask, state, noise)


def _step_through(
    cell: RecurrentCell, steps: Iterable[Tensor], mask: Tensor, state: State, noise: Noise
) -> tuple[Tensor, State]:
    # `steps` are projected inputs, [batch, P] each.
    shortest = int(mask.sum(1).min())
    outputs = []
    for time, x in enumerate(steps):
        output, following = advance(cell, x, state, noise)
        outputs.append(output)
        state = following if time < shortest else stand_still(mask[:, time], following, state)
    return torch.stack(outputs, dim=1), state


def stand_still(moving: Tensor, following: State, state: State) -> State:
    """`following` in rows where `moving` [batch] is True, `state` in the others."""

    def choose(new: Tensor, old: Tensor) -> Tensor:
        rows = moving.view(-1, *[1] * (new.dim() - 1))
        if new.dtype == torch.bool:  # onnxruntime has no Where for booleans
            return rows & new | ~rows & old
        return torch.where(rows, new, old)

    return map_state(choose, following, state)
