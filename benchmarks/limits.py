"""What this machine can do at best: multiply-adds per second, and bytes read per second.

    python benchmarks/limits.py

A matrix product is `torch.nn.functional.linear(x, w)` with x [rows, inner] and w [columns, inner], in float32 or
bfloat16, on all cores, of the shapes that occur in the model of workload.py; its rate is the median over calls, and the
limit is the rate of the best shape. What is compared with a limit measures it again, before and after each sample, with
`Peak`.

Reading is a product of a [n, 512] matrix with a vector, which touches every weight once, as a single sentence's step
does: of 1 GiB (from memory), and of 28 MB again and again (as much as the decoder and the output layer hold in float32:
they may stay in a cache). The faster of that and of `torch.sum` counts.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from machine import save
from torch.nn import functional as F

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
ROWS = (64, 256, 512, 1024, 2048)
INNER_COLUMNS = ((512, 512), (512, 2048), (1024, 512), (2048, 1024), (512, 8000), (8000, 512), (2048, 2048))
CACHED_BYTES = 28_000_000


class Shape(NamedTuple):
    """x [rows, inner] times w [columns, inner] transposed."""

    rows: int
    inner: int
    columns: int


SHAPES = [Shape(rows, *widths) for widths in INNER_COLUMNS for rows in ROWS]


def calls_per_second(call: Callable[[], object], seconds: float) -> float:
    """The rate of the median call, of at least three."""
    call()
    taken: list[float] = []
    began = last = time.perf_counter()
    while last - began < seconds or len(taken) < 3:
        call()
        now = time.perf_counter()
        taken.append(now - last)
        last = now
    return 1 / statistics.median(taken)


def product_rate(shape: Shape, dtype: torch.dtype, seconds: float = 0.1) -> float:
    """Multiply-adds per second of one shape."""
    x = torch.randn(shape.rows, shape.inner).to(dtype)
    w = torch.randn(shape.columns, shape.inner).to(dtype)
    with torch.inference_mode():
        return shape.rows * shape.inner * shape.columns * calls_per_second(lambda: F.linear(x, w), seconds)


class Peak:
    """The rate of the machine's best shape, to be measured beside what is compared with it."""

    def __init__(self, precision: str) -> None:
        self.dtype = DTYPES[precision]
        rates = {shape: product_rate(shape, self.dtype, 0.05) for shape in SHAPES}
        self.best = sorted(SHAPES, key=lambda shape: -rates[shape])[:3]

    def now(self) -> float:
        """Multiply-adds per second: the best of the three best shapes."""
        return max(product_rate(shape, self.dtype) for shape in self.best)


def read_rate(size: int, seconds: float = 0.5) -> float:
    """Bytes per second, reading `size` bytes of float32 again and again."""
    matrix = torch.ones(size // 4 // 512, 512)
    vector = torch.ones(512)
    with torch.inference_mode():
        ways = [lambda: matrix @ vector, lambda: matrix.sum()]
        return max(matrix.numel() * 4 * calls_per_second(way, seconds) for way in ways)


def main() -> None:
    products = {
        precision: {
            " x ".join(map(str, shape)): [product_rate(shape, dtype) for _ in range(3)] for shape in SHAPES
        }
        for precision, dtype in DTYPES.items()
    }
    reading = {
        "memory": [read_rate(2**30) for _ in range(3)],
        "cache": [read_rate(CACHED_BYTES) for _ in range(3)],
    }
    save(
        "limits",
        {"multiply_adds_per_second": products, "bytes_per_second": reading},
        ["python", "benchmarks/limits.py"],
    )


if __name__ == "__main__":
    main()
