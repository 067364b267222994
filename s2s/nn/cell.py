"""The recurrent cell and its state: the protocol that every cell plugin keeps.

A cell is written for one time step of a whole batch. Everything else - sequences, padding, both directions, stacking,
attention, beams - is done once, in the core, for every cell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s.errors import PluginError
from s2s.nn.onnx_operator import OnnxOperator
from s2s.nn.sizes import check_size

State = Any
"""Nested tuples (NamedTuples too); every leaf is a tensor [batch, ...]. ``None`` stands for a part that is absent."""

Noise = Any
"""What a cell draws once per sequence, in the form of a `State`; ``None`` when nothing is drawn."""


def map_state(fn: Callable[..., Tensor], *states: State) -> State:
    """Apply `fn` to the leaves of one state, or to the leaves that stand at the same place in several.

    Args:
        fn: takes as many tensors as there are states, returns one tensor.
        *states: states of one structure.
    """
    first = states[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return fn(*states)
    parts = [map_state(fn, *(state[i] for state in states)) for i in range(len(first))]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def select_state(state: State, index: Tensor) -> State:
    """The rows `index` of every leaf: how beams are re-ordered and finished sentences leave.

    Args:
        state: leaves [batch, ...].
        index: rows to keep, in their new order, [rows] of int64.
    """
    return map_state(lambda leaf: leaf.index_select(0, index), state)


def leaves(state: State) -> list[Tensor]:
    """All tensors of a state, from left to right."""
    if state is None:
        return []
    if isinstance(state, Tensor):
        return [state]
    return [leaf for part in state for leaf in leaves(part)]


def side_by_side(state: State) -> Tensor:
    """All numbers of a state in one row for each of the batch, [batch, F], leaf after leaf; a leaf [batch] is one."""
    return torch.cat([leaf.unsqueeze(-1).flatten(1) for leaf in leaves(state)], dim=-1)


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrence, for a batch.

    An author writes `step`. A cell whose input enters through an affine map (nearly all do) gives `projected_size`; the
    core then owns that map and computes it for all time steps at once, outside the loop.

    All that a call computes goes into what it returns, and nothing onto `self`: in a translation, the methods of every
    part are called from several threads at once.

    Args:
        input_size: width of the input.
        hidden_size: width of the hidden state.
        projected_size: width P of the projected input that `step` is given; None: it is given the input itself.
        output_size: width of the output; `hidden_size` unless the cell says otherwise.
    """

    input_weight: nn.Parameter | None
    input_bias: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        projected_size: int | None = None,
        output_size: int | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = check_size("hidden_size", hidden_size)
        self.output_size = hidden_size if output_size is None else output_size
        if projected_size is None:
            self.input_weight = self.input_bias = None
        else:
            self.input_weight = nn.Parameter(torch.empty(projected_size, input_size))
            self.input_bias = nn.Parameter(torch.zeros(projected_size))
            for block in self.input_weight.data.split(
                hidden_size
            ):  # gate by gate: Glorot & Bengio 2010, eq. 16
                nn.init.xavier_uniform_(block)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Widths of the leaves of the state: how many numbers each has in a row, 1 where it is [batch]."""
        return (self.hidden_size,)

    def initial_state(self, batch_size: int, *, like: Tensor) -> State:
        """The state before the first step: zeros, unless the cell says otherwise.

        Args:
            batch_size: rows of each leaf.
            like: a tensor on the wanted device; its type is taken where the cell has no parameters.

        Returns:
            A tuple of leaves [batch, state_sizes[i]]. Their type is the one that the state keeps.
        """
        dtype = next((parameter.dtype for parameter in self.parameters()), like.dtype)
        return tuple(like.new_zeros(batch_size, size, dtype=dtype) for size in self.state_sizes)

    def project(self, x: Tensor) -> Tensor:
        """The part of the step that needs no state; affine in `x`, so that it can be taken out of time.

        Args:
            x: [..., input].

        Returns:
            [..., P]; `x` itself when the cell owns no projection.
        """
        return x if self.input_weight is None else F.linear(x, self.input_weight, self.input_bias)

    def project_part(self, x: Tensor, start: int) -> Tensor:
        """What some columns of the input add to `project`; the constant term belongs to the part that starts at 0.

        The parts of an input sum to its projection. A decoder with feedback computes the known part for all time steps
        at once and adds the fed part in the loop.

        Args:
            x: columns `start` to `start + width` of the input, [..., width].
            start: the first of these columns.
        """
        stop = start + x.size(-1)
        if self.input_weight is not None and type(self).project is RecurrentCell.project:
            return F.linear(x, self.input_weight[:, start:stop], self.input_bias if start == 0 else None)
        padded = F.pad(x, (start, self.input_size - stop))
        if start == 0:
            return self.project(padded)
        return self.project(padded) - self.project(x.new_zeros(self.input_size))

    @abstractmethod
    def step(self, x: Tensor, state: State, noise: Noise = None) -> tuple[Tensor, State]:
        """One step.

        Args:
            x: projected input, [batch, P].
            state: as `initial_state` gives it.
            noise: what `noise` drew for this sequence; a cell that draws none may leave the argument out.

        Returns:
            The output [batch, output] and the next state, of the same structure.
        """

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State] | None:
        """All steps at once, where a faster way exists; must equal `step` in outputs, states and gradients.

        Args:
            x: input, not projected, [batch, time, input]; zero where `mask` is False.
            mask: True at real positions, which come first in every row, [batch, time].
            state: the state before the first step.
            noise: what `noise` drew, or None.

        Returns:
            Outputs [batch, time, output] (of any value where `mask` is False) and the state after each row's last real
            position; or None: no faster way here.
        """
        return None

    def onnx_operator(self) -> OnnxOperator | None:
        """The cell as an operator of ONNX, where there is one that equals `step`; None: a step of it is exported."""
        return None

    def read(self, state: State) -> Tensor:
        """What the state says to the outside, [batch, output]: the first leaf, unless the cell says otherwise."""
        first: Tensor = state[0]
        return first

    @property
    def feature_size(self) -> int:
        """Width F of `features`."""
        return sum(self.state_sizes)

    def features(self, state: State) -> Tensor:
        """The whole state side by side, [batch, F], for a bridge."""
        return side_by_side(state)

    def state_from(self, features: Tensor) -> State:
        """A state made from a bridge's features, [batch, F]; leaves [batch, state_sizes[i]] that may have any value.

        A cell with other leaves overrides it.
        """
        return features.split(list(self.state_sizes), dim=-1)

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """What is drawn once per sequence (variational dropout, zoneout, weight drop); None when nothing is."""
        return None


def advance(cell: RecurrentCell, x: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
    """`cell.step`, the state's leaves kept in their types (mixed precision would let them drift).

    Raises:
        PluginError: the step does not return an output and a state.
    """
    returned = cell.step(x, state) if noise is None else cell.step(x, state, noise)
    if not is_step(returned, state):
        raise PluginError(
            f"step of {type(cell).__name__} must return (output, state), state a tuple of tensors: (a tensor, "
            f"{form(state)}), not {form(returned)}; see: s2s plugins check"
        )
    output, following = returned
    if not _has_types_of(following, state):
        following = map_state(lambda new, old: new.to(old.dtype), following, state)
    return output, following


def _has_types_of(following: State, state: State) -> bool:
    # Whether there is nothing to convert: asked at every step, where a conversion of each leaf to its own type costs
    # more than the question.
    if isinstance(following, Tensor):
        return following.dtype == state.dtype
    if following is None:
        return True
    if not isinstance(following, tuple) or len(following) != len(state):
        return False
    return all(map(_has_types_of, following, state))


def is_step(returned: object, state: State) -> bool:
    """Whether a step returned an output and a state, where the state before was a tuple another one.

    A tensor alone could be taken apart too, row by row. Nothing here looks into a tensor: it is asked at every step.
    """
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], Tensor):
        return False
    return isinstance(returned[1], (tuple, list)) or not isinstance(state, tuple)


def form(value: object) -> str:
    """A state, or what a step returned, for a message: `(a tensor, (a tensor,))`, `None`."""
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(form(part) for part in value)}{',' if len(value) == 1 else ''})"
    return "None" if value is None else f"a {type(value).__name__}"


def orthogonal_blocks(weight: Tensor, size: int) -> None:
    """Fill a recurrent weight [blocks * size, size] with orthogonal blocks (Saxe et al. 2014), gate by gate."""
    for block in weight.data.split(size):
        nn.init.orthogonal_(block)
