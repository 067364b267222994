"""Matrix products and activations by the library that is fast on this processor.

Torch computes float32 products and tanh with MKL. On processors that are not Intel's, MKL does not use AVX-512, and its
tanh is slow with AVX2, too; torch's alternatives for the same results take a half, or a fifth, of the time.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s.nn.forking import let_threads_end

SMALLEST = 2**16
"""Elements of a weight from which oneDNN is used: for 64 rows, [128, 128] took 17 microseconds instead of MKL's 14,
[256, 256] 31 instead of 46."""

FEW = 2**12
"""Number of values up to which torch's own tanh is faster: it saves the overhead of two more operations."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=let_threads_end)  # MKL's locks, see there


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W^T + bias`` without autograd history, for handwritten forward and backward passes.

    With oneDNN, which torch uses for other types, on an AMD EPYC of 2024 with two threads: [64, 512] x [512, 2048] 208
    instead of 91 billion multiply-adds a second, [1024, 8000] x [8000, 512] 215 instead of 104.

    Args:
        x: [..., in].
        weight: [out, in], of the same type.
        bias: [out].
    """
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and not _is_recorded()
    if plain and weight.numel() >= SMALLEST and x.numel() > 0 and mkl_is_slow():
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product
    return F.linear(x, weight, bias)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent; without gradients it is ``2 sigmoid(2x) - 1`` where that is faster, within 2.4e-7.

    An AMD EPYC of 2024 takes 27 instead of 138 microseconds for 65,536 values in float32 on one thread, one of 2021 87
    instead of 214; a tenth of a greedy search was tanh. For 512 values, one row, the latter takes 8 instead of 3.
    """
    if not prefers_sigmoid(x, numel=x.numel()):
        return x.tanh()
    return torch.rsub((x + x).sigmoid_(), -1.0, alpha=-2.0)


def prefers_sigmoid(*inputs: Tensor, numel: int) -> bool:
    """Whether the tanh of `numel` values, computed from these inputs, is faster by a sigmoid; see `tanh`."""
    return (
        not _is_recorded()
        and numel > FEW  # before the rest, which takes as long as the tanh of a row
        and tanh_is_slow()
        and all(x.dtype == torch.float32 and x.device.type == "cpu" for x in inputs)
        and not (torch.is_grad_enabled() and any(x.requires_grad for x in inputs))
    )


@cache
def mkl_is_slow() -> bool:
    """Whether MKL is slow here and torch has oneDNN too: a property of the build and the processor."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or _vendor() in ("", "GenuineIntel"):
        return False
    x = torch.eye(64, 32, dtype=torch.float32, device="cpu")  # whatever the defaults are now
    try:
        product = torch.ops.mkldnn._linear_pointwise(x, x, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return bool(torch.equal(product, F.linear(x, x)))


@cache
def tanh_is_slow() -> bool:
    """Whether torch computes tanh with an MKL that is slow here: on non-Intel processors, with AVX-512 or not."""
    others = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and _vendor() not in (
        "",
        "GenuineIntel",
    )
    return torch.backends.mkl.is_available() and others


@cache
def bfloat16_is_fast() -> bool:
    """Whether bfloat16 products take less time than float32 ones: the processor has instructions for them.

    An AMD EPYC of 2021, which has none, does 8 billion multiply-adds a second on two threads, and 32 to 64 billion in
    float32; an LSTM trains 45 times as slowly.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    return not _instructions().isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})  # the last is ARM's


def _instructions() -> set[str]:
    # Of the processor, by their names in Linux; torch uses the same names for those needed here.
    tells = getattr(torch.cpu, "get_capabilities", None)  # since torch 2.11 or so
    if tells is not None:
        return {name for name, there in tells().items() if there is True}
    return set(_processor().get("flags", _processor().get("Features", "")).split())


def kernels_here() -> dict[str, str | int]:
    """What determines the last bits of a result besides its inputs: which kernels sum in which order."""
    return {
        "torch": str(torch.__version__),
        "instructions of the processor": torch.backends.cpu.get_cpu_capability(),
        "float32 products by": "oneDNN" if mkl_is_slow() else "torch's own",
        "tanh in a search by": "sigmoid" if tanh_is_slow() else "torch's own",
        "threads": torch.get_num_threads(),
    }


def _is_recorded() -> bool:
    # A compiled, exported or traced model runs with other kernels, or on another machine.
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


def _vendor() -> str:
    return _processor().get("vendor_id", "")


def _processor() -> dict[str, str]:
    # The system's description of the first core; empty where there is no such file.
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    return {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())
    }
