"""How strongly an output depends on an input some steps earlier: the norm of the Jacobian by distance.

Hochreiter et al. 2001 and Pascanu et al. 2013 (eq. 5) write it as a product with one factor per step in between; a
product of many factors vanishes or explodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from s2s.nn.cell import RecurrentCell
from s2s.nn.unroll import unroll


def input_gradients(cell: RecurrentCell, x: Tensor) -> Tensor:
    """The Frobenius norm of d h_T / d x_t, the whole Jacobian [output, input] of the last output, exactly.

    Each sequence is in the batch once for each output unit, and each copy computes the gradient of its own unit, so one
    backward pass gives all rows, for any cell. In float64, because float32 would underflow at large distances.

    Args:
        cell: any cell; it is left as it is.
        x: sequences of equal length, [batch, time, input].

    Returns:
        [batch, time]: the norm at distance T - t, so the last input comes first.
    """
    units = torch.arange(cell.output_size)
    norms = []
    with _exact(cell):
        for sequence in x.double():
            copies = sequence.expand(cell.output_size, -1, -1).clone().requires_grad_()
            outputs, _ = unroll(cell, copies, torch.full((cell.output_size,), x.size(1)))
            (jacobian,) = torch.autograd.grad(outputs[units, -1, units].sum(), copies)
            norms.append(jacobian.transpose(0, 1).flatten(1).norm(dim=1).flip(0))
    return torch.stack(norms)


@contextmanager
def _exact(cell: RecurrentCell) -> Iterator[None]:
    """Switch the cell to float64 and evaluation mode in place, because not every cell can be copied."""
    dtype = next((parameter.dtype for parameter in cell.parameters()), torch.float64)
    training = cell.training
    cell.double().eval()
    try:
        yield
    finally:
        cell.to(dtype).train(training)  # what was wider for a while is what it was


def per_step(norms: list[float]) -> float | None:
    """The factor by which the norm changes in a step, as a geometric mean over all steps but the first.

    None where there is no such step, or nothing is left: a norm that is 0 or is no number.

    Args:
        norms: by distance.
    """
    if len(norms) < 3 or not all(0 < norm < float("inf") for norm in (norms[1], norms[-1])):
        return None
    return float((norms[-1] / norms[1]) ** (1 / (len(norms) - 2)))
