"""Position encodings, for encoders without recurrence."""

import torch
from torch import Tensor


def angles(length: int, size: int, *, like: Tensor) -> Tensor:
    """``position / 10000^(2 i / size)`` for positions 0, 1, ... and i = 0, 1, ...: [length, size / 2, rounded up].

    Args:
        length: number of positions.
        size: width of the vectors to encode, two columns for each angle.
        like: gives device and dtype; promoted to at least float32, as bfloat16 cannot count beyond 256.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    positions = torch.arange(length, device=like.device, dtype=dtype)
    exponents = torch.arange(0, size, 2, device=like.device, dtype=dtype) / size
    return positions.unsqueeze(1) / 10000.0**exponents


def sinusoids(length: int, size: int, *, like: Tensor) -> Tensor:
    """Sine and cosine of each angle, interleaved, [length, size] (Vaswani et al. 2017, section 3.5).

    Args:
        length: number of positions, any.
        size: width.
        like: gives device and dtype.
    """
    angle = angles(length, size, like=like)
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    return waves[:, :size].to(like.dtype)


def rotate(x: Tensor) -> Tensor:
    """Rotate each pair of neighbouring columns by the angle of its position (Su et al. 2021, eq. 34).

    The dot product of two rotated vectors depends on their relative, not on their absolute positions.

    Args:
        x: queries or keys, [..., time, size], size even.
    """
    angle = angles(x.size(-2), x.size(-1), like=x)
    sine, cosine = angle.sin(), angle.cos()
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return turned.flatten(-2).to(x.dtype)
