"""Peak performance of this machine: multiply-adds per second, and bytes read per second.

    python benchmarks/limits.py

A matrix product is that of x [rows, inner] and w [columns, inner], in float32 or (if the processor supports it)
bfloat16, on all cores, by the fastest method in torch: `torch.nn.functional.linear`, or oneDNN with prepacked weights
(the former is MKL in float32, less than half as fast on processors that are not Intel's). Its rate is that of
the median call. The *limit* is the time that the model's own products would take, each at the rate of its own shape, in
the largest pieces that a recurrence allows (products.py); the *peak* is the time that they would take at the rate of
the best of all shapes. All are measured again before and after each sample that is compared with them, in the same
process.

Reading is a product of a [n, 512] matrix with a vector, which reads every weight once, like a decoding step of a single
sentence: of 1 GiB (from memory), and of 28 MB repeatedly (the size of the decoder and the output layer in float32,
which may stay in a cache). The faster of that and `torch.sum` counts.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from machine import repeated, save
from products import Shape
from torch.nn import functional as F
from workload import PRECISIONS

from s2s.nn import PackedMatrix

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
ROWS = (64, 256, 512, 1024, 2048)
INNER_COLUMNS = ((512, 512), (512, 2048), (1024, 512), (2048, 1024), (512, 8000), (8000, 512), (2048, 2048))
SHAPES = [Shape(rows, *widths) for widths in INNER_COLUMNS for rows in ROWS]
BYTES = {"memory": 2**30, "cache": 28_000_000}


def calls_per_second(call: Callable[[], object], seconds: float) -> float:
    """The rate of the median call, of at least three calls."""
    call()
    taken: list[float] = []
    began = last = time.perf_counter()
    while last - began < seconds or len(taken) < 3:
        call()
        now = time.perf_counter()
        taken.append(now - last)
        last = now
    return 1 / statistics.median(taken)


def product_rate(shape: Shape, precision: str, seconds: float = 0.04) -> float:
    """Multiply-adds per second of one shape."""
    x = torch.randn(shape.rows, shape.inner).to(DTYPES[precision])
    w = torch.randn(shape.columns, shape.inner).to(DTYPES[precision])
    packed = PackedMatrix.of(w.float(), DTYPES[precision])
    with torch.inference_mode():
        ways = [lambda: F.linear(x, w), lambda: packed.linear(x)]
        rate = max(calls_per_second(way, seconds) for way in ways)
    return shape.rows * shape.inner * shape.columns * rate


class Limit:
    """The minimum time for a set of products on this machine.

    Args:
        products: shapes and the multiply-adds in each.
        precision: "float32" or "bf16".
    """

    def __init__(self, products: Sequence[tuple[Shape, int]], precision: str) -> None:
        self.products = products
        self.precision = precision

    def now(self) -> dict[str, float]:
        """Seconds at the rates of their own shapes (`limit`) and at the rate of the best one (`peak`)."""
        rates = {
            shape: product_rate(shape, self.precision) for shape in {shape for shape, _ in self.products}
        }
        return {
            "limit": sum(amount / rates[shape] for shape, amount in self.products),
            "peak": sum(amount for _, amount in self.products) / max(rates.values()),
        }


def read_rate(size: int, seconds: float = 0.3) -> float:
    """Bytes per second, reading `size` bytes of float32 again and again."""
    matrix = torch.ones(size // 4 // 512, 512)
    vector = torch.ones(512)
    with torch.inference_mode():
        ways = [lambda: matrix @ vector, lambda: matrix.sum()]
        return max(matrix.numel() * 4 * calls_per_second(way, seconds) for way in ways)


def main() -> None:
    products = repeated(
        lambda: {
            precision: {" x ".join(map(str, shape)): product_rate(shape, precision) for shape in SHAPES}
            for precision in PRECISIONS
        },
        3,
    )
    reading = repeated(lambda: {name: read_rate(size) for name, size in BYTES.items()}, 3)
    save(
        "limits",
        {"multiply_adds_per_second": products, "bytes_per_second": reading},
        ["python", "benchmarks/limits.py"],
    )


if __name__ == "__main__":
    main()
