"""The recurrent cell and its state: the protocol that every cell plugin implements.

A cell implements one time step for a whole batch. Everything else (sequences, padding, both directions, stacking,
attention, beams) is implemented once, in the core, for every cell.
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
"""Random values that a cell samples once per sequence, structured like a `State`; ``None`` if there are none."""


def map_state(fn: Callable[..., Tensor], *states: State) -> State:
    """Apply `fn` to every leaf of one state, or to the corresponding leaves of several states.

    Args:
        fn: takes as many tensors as there are states, returns one tensor.
        *states: states of the same structure.
    """
    first = states[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return fn(*states)
    _check_is_state(first)
    parts = [map_state(fn, *(state[i] for state in states)) for i in range(len(first))]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def select_state(state: State, index: Tensor) -> State:
    """Select rows of every leaf, to reorder beams or to drop finished sentences.

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
    _check_is_state(state)
    return [leaf for part in state for leaf in leaves(part)]


def _check_is_state(state: object) -> None:
    if not isinstance(state, (tuple, list)):
        raise PluginError(f"a state is a tuple of tensors, nested or not, not a {type(state).__name__}")


def side_by_side(state: State) -> Tensor:
    """All leaves of a state, flattened and concatenated, [batch, F]; a leaf [batch] becomes one column."""
    return torch.cat([leaf.unsqueeze(-1).flatten(1) for leaf in leaves(state)], dim=-1)


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrence, for a batch.

    A subclass implements `step`. A cell that applies an affine map to its input (nearly all do) sets `projected_size`;
    the core then owns that map and computes it for all time steps at once, outside the loop.

    Methods return their results and store nothing on `self`: translation calls them from several threads at once.

    Args:
        input_size: width of the input.
        hidden_size: width of the hidden state.
        projected_size: width P of the projected input that `step` receives; None: it receives the input itself.
        output_size: width of the output; None: `hidden_size`.
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
        """Widths of the state's leaves: numbers per batch row, 1 for a leaf [batch]."""
        return (self.hidden_size,)

    def initial_state(self, batch_size: int, *, like: Tensor) -> State:
        """The state before the first step: zeros by default.

        Args:
            batch_size: rows of each leaf.
            like: a tensor on the target device; its dtype is used if the cell has no parameters.

        Returns:
            A tuple of leaves [batch, state_sizes[i]]. The state keeps their dtypes in all later steps.
        """
        dtype = next((parameter.dtype for parameter in self.parameters()), like.dtype)
        return tuple(like.new_zeros(batch_size, size, dtype=dtype) for size in self.state_sizes)

    def project(self, x: Tensor) -> Tensor:
        """The part of the step that does not depend on the state; affine in `x`, so it is computed outside the loop.

        Args:
            x: [..., input].

        Returns:
            [..., P]; `x` itself if the cell has no projection.
        """
        return x if self.input_weight is None else F.linear(x, self.input_weight, self.input_bias)

    def project_part(self, x: Tensor, start: int) -> Tensor:
        """The contribution of some input columns to `project`; the bias belongs to the part that starts at 0.

        The parts of an input sum to its projection. A decoder with input feeding computes the known part for all time
        steps at once and adds the fed-back part in the loop.

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
            state: as returned by `initial_state` or the previous step.
            noise: as returned by `noise` for this sequence; a cell without noise may omit the parameter.

        Returns:
            The output [batch, output] and the next state, of the same structure.
        """

    def fused(self, x: Tensor, mask: Tensor, state: State, noise: Noise) -> tuple[Tensor, State] | None:
        """All steps at once, if there is a faster implementation; must match `step` in outputs, states and gradients.

        Args:
            x: input, not projected, [batch, time, input]; zero where `mask` is False.
            mask: True at real positions, which come first in every row, [batch, time].
            state: the state before the first step.
            noise: as returned by `noise`.

        Returns:
            Outputs [batch, time, output] (arbitrary where `mask` is False) and the state after each row's last real
            position; None if there is no faster implementation for this call.
        """
        return None

    def onnx_operator(self) -> OnnxOperator | None:
        """The ONNX operator equivalent to `step`; None if there is none, and `step` itself is exported."""
        return None

    def read(self, state: State) -> Tensor:
        """The output that belongs to a state, [batch, output]: by default its first leaf."""
        _check_is_state(state)
        first: Tensor = state[0]
        return first

    @property
    def feature_size(self) -> int:
        """Width F of `features`."""
        return sum(self.state_sizes)

    def features(self, state: State) -> Tensor:
        """The whole state as one vector per row, [batch, F], for a bridge."""
        return side_by_side(state)

    def state_from(self, features: Tensor) -> State:
        """Build a state from a bridge's features, [batch, F]: leaves [batch, state_sizes[i]] of unrestricted value.

        A cell with other leaves overrides it.
        """
        return features.split(list(self.state_sizes), dim=-1)

    def noise(self, batch_size: int, *, like: Tensor) -> Noise:
        """Sample the noise of one sequence (variational dropout, zoneout, weight drop); None if there is none."""
        return None


def advance(cell: RecurrentCell, x: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
    """Call `cell.step` and keep the dtypes of the state's leaves, which mixed precision would change.

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
    # Whether nothing needs conversion. Checked at every step, as converting each leaf to its own dtype costs more.
    if isinstance(following, Tensor):
        return bool(following.dtype == state.dtype)
    if following is None:
        return True
    if not isinstance(following, tuple) or len(following) != len(state):
        return False
    return all(map(_has_types_of, following, state))


def is_step(returned: object, state: State) -> bool:
    """Whether a step returned an output and a state, which must be a tuple if the state before was one.

    A lone tensor, which could be unpacked by rows, is refused. No tensor is read: this check runs at every step.
    """
    if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], Tensor):
        return False
    return isinstance(returned[1], (tuple, list)) or not isinstance(state, tuple)


def form(value: object) -> str:
    """Describe a state, or a step's return value, for an error message: `(a tensor, (a tensor,))`, `None`."""
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(form(part) for part in value)}{',' if len(value) == 1 else ''})"
    return "None" if value is None else f"a {type(value).__name__}"


def orthogonal_blocks(weight: Tensor, size: int) -> None:
    """Fill a recurrent weight [blocks * size, size] with orthogonal blocks (Saxe et al. 2014), gate by gate."""
    for block in weight.data.split(size):
        nn.init.orthogonal_(block)
