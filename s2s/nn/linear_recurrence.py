"""Linear recurrences over all time steps at once, for cells whose gates do not depend on the state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear_recurrence(decay: Tensor, drive: Tensor, mask: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """``h_t = decay_t * h_{t-1} + drive_t``, element by element.

    A cell whose gates depend on the input alone computes them for all time steps in `RecurrentCell.fused`, and calls
    this function for the rest::

        def fused(self, x, mask, state, noise):
            keep, new = self.gates(self.project(x))
            outputs, last = linear_recurrence(keep, new, mask, state[0])
            return outputs, (last,)

    There are no divisions or logarithms: decays of 0 and 1 are exact, and with decays in [0, 1] no state is larger than
    the sum of the inputs. Gradients can be taken once: second derivatives raise.

    Args:
        decay: how much of the state stays, [batch, time, size].
        drive: what comes in, [batch, time, size].
        mask: where False the state is kept, whatever decay and drive contain there (even NaN), [batch, time].
        start: the state before the first step, [batch, size]; the recurrence runs in its dtype.

    Returns:
        The states [batch, time, size], and the last of them, [batch, size].
    """
    decay, drive = decay.to(start.dtype), drive.to(start.dtype)
    result: tuple[Tensor, Tensor] = _LinearRecurrence.apply(decay, drive, mask.unsqueeze(-1), start)  # type: ignore[no-untyped-call]
    return result


class _LinearRecurrence(torch.autograd.Function):
    """The gradient g runs through the same recurrence backwards: ``g_{t-1} = dL/dh_{t-1} + decay_t * g_t``.

    Faster than autograd on the loop: there is no graph, and each step uses its numbers while they are in the cache.
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor, mask: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        states, state = torch.empty_like(drive), start
        for keep, new, moving, out in _by_time(decay, drive, mask, states):
            state = torch.where(moving, torch.addcmul(new, keep, state), state, out=out)
        ctx.save_for_backward(decay, mask, start, states)
        return states, state.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, on_states: Tensor, on_last: Tensor) -> tuple[Tensor, Tensor, None, Tensor]:
        decay, mask, start, states = ctx.saved_tensors
        on_decay, on_drive, nothing = (
            torch.empty_like(states),
            torch.empty_like(states),
            torch.zeros_like(start),
        )
        before = (start, *states.unbind(1)[:-1])
        gradient = on_last
        steps = _by_time(decay, mask, on_states, on_drive, on_decay)
        for (keep, moving, on_state, on_new, on_keep), state in zip(steps[::-1], before[::-1], strict=True):
            gradient = gradient + on_state
            torch.where(moving, gradient, nothing, out=on_new)
            torch.mul(on_new, state, out=on_keep)
            gradient = torch.where(moving, keep * gradient, gradient)
        return on_decay, on_drive, None, gradient


def _by_time(*values: Tensor) -> list[tuple[Tensor, ...]]:
    """The time steps of several [batch, time, ...], zipped."""
    return list(zip(*(value.unbind(1) for value in values), strict=True))
