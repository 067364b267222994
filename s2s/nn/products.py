"""Matrix products of training, by the library that is fast on this processor."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W^T + bias`` as a value, without history: for forward and backward passes written by hand.

    Torch gives products in float32 to MKL. On processors that are not Intel's MKL makes no use of AVX-512, and oneDNN,
    which torch has for its other types, takes half the time (an AMD EPYC of 2024, two threads, [64, 512] x [512, 2048]:
    208 instead of 91 billion multiply-adds a second; [1024, 8000] x [8000, 512]: 215 instead of 104).

    Args:
        x: [..., in].
        weight: [out, in], of the same type.
        bias: [out].
    """
    if x.dtype == torch.float32 and x.device.type == "cpu" and x.numel() and onednn_is_faster():
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product
    return F.linear(x, weight, bias)


@cache
def onednn_is_faster() -> bool:
    """Whether products in float32 are oneDNN's: a property of build and processor, the same in every run."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or _vendor() in ("", "GenuineIntel"):
        return False
    x = torch.eye(64, 32)
    try:
        product = torch.ops.mkldnn._linear_pointwise(x, x, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return bool(torch.equal(product, F.linear(x, x)))


def _vendor() -> str:
    # Of the processor; empty where the system does not tell it in this way.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("vendor_id")), "")
