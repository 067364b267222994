"""What is a want of memory, and what cannot be split for it."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from s2s.errors import DataError
from s2s.training.out_of_memory import OptimizationInParts, out_of_memory

CPU = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError(CPU), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_what_libraries_raise(error: Exception, expected: bool) -> None:
    assert out_of_memory(error) == expected


def test_torch_itself_raises_what_is_known_here() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)  # an exbibyte
    assert out_of_memory(raised.value)


def test_several_processes_cannot_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others would wait for the gradient of the second half."""
    trainer: Any = SimpleNamespace(world_size=2, accumulate_grad_batches=1)
    optimization = OptimizationInParts(trainer)

    def starved(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(optimization, "_make_step_fn", lambda kwargs: starved)
    closure = optimization._make_closure({"batch": None}, None, 0)  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match="because 2 processes train in step .* lower data.batch_tokens .*no room"
    ):
        closure()
