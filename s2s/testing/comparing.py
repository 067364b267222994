"""Comparisons that report what was found, what was expected, and the remedy."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s.nn.cell import State
from s2s.testing.kit import Nonconforming

# Room for rounding, relative to the largest number compared (or to 1). float64: 1e-16 a step, with room for
# sums; float32: 1e-7 a step; bfloat16 keeps 8 bits (4e-3), and every step rounds its gates and its state.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 5e-2}

AT_LEAST = (
    "Compute in float32 at least, not always: "
    "x.to(torch.promote_types(x.dtype, torch.float32)) instead of x.float()."
)
"""The remedy for a dtype that is narrower than the input's."""


def differentiable(leaf: Tensor) -> bool:
    """Whether a tensor can have a gradient: neither counts nor Booleans can."""
    return leaf.is_floating_point() or leaf.is_complex()


def in_float64(value: Tensor) -> Tensor:
    """A tensor's numbers; for a complex one, real and imaginary part on a new last axis."""
    if value.is_complex():
        return torch.view_as_real(value.to(torch.complex128).resolve_conj())
    return value.double()


def expect_close(
    what: str,
    found: Tensor,
    expected: Tensor,
    remedy: str,
    tolerance: float = TOLERANCES[torch.float64],
    computed_in: torch.dtype | None = None,
) -> None:
    """Check that two tensors are equal up to rounding; infinity equals itself, NaN equals nothing.

    Args:
        what: the name of what is compared.
        found: the tensor to check.
        expected: the reference.
        remedy: what to do if they differ.
        tolerance: of their difference, relative to the largest value expected, absolute below 1.
        computed_in: the dtype that `found` was rounded to; None: its own.

    Raises:
        Nonconforming: they differ; names the place of the largest difference, and the dtype if it rounds too much.
    """
    if found.shape != expected.shape:
        raise Nonconforming(f"{what} of shape {tuple(found.shape)}", f"{tuple(expected.shape)}", remedy)
    if not found.numel():
        return
    computed_in = computed_in or found.dtype
    found, expected = in_float64(found.detach()), in_float64(expected.detach())
    difference = (found - expected).abs().masked_fill(found == expected, 0.0)
    sizes = expected.abs()
    scale = max(1.0, float(sizes.masked_fill(sizes.isinf(), 0.0).max()))
    allowed = tolerance * scale
    worst = int(difference.nan_to_num(nan=float("inf")).argmax())
    if not bool((difference <= allowed).all()):  # written so that NaN fails
        place = [int(i) for i in torch.unravel_index(torch.tensor(worst), found.shape)]
        one, other = (f"{float(numbers.flatten()[worst]):.6g}" for numbers in (found, expected))
        if one == other:
            one += f", off by {float(difference.flatten()[worst]):.1g},"
        if bool((difference <= TOLERANCES.get(computed_in, 0.0) * scale).all()):
            what, remedy = f"{what}, in {str(computed_in).removeprefix('torch.')}", AT_LEAST
        raise Nonconforming(
            f"{what}: {one} at {place} of {list(found.shape)}",
            f"{other} (allowed difference {allowed:.1g})",
            remedy,
        )


def expect_shape(what: str, found: Tensor, expected: tuple[int, ...], remedy: str) -> None:
    """Check the shape of a tensor.

    Raises:
        Nonconforming: it is another.
    """
    if tuple(found.shape) != expected:
        raise Nonconforming(f"{what} of shape {tuple(found.shape)}", f"{expected}", f"{remedy}.")


def outline(state: State) -> object:
    """Structure, shapes and dtypes of a state, for comparison and messages."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return f"{str(state.dtype).removeprefix('torch.')}{list(state.shape)}"
    return tuple(outline(part) for part in state)
