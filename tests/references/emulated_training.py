"""Lightning on the emulated accelerator: `trainer.strategy: emulated` within `emulated_training`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from pytorch_lightning.accelerators import Accelerator
from pytorch_lightning.strategies import SingleDeviceStrategy, StrategyRegistry

from s2s.testing.accelerator import ACCELERATOR, emulated_accelerator


class EmulatedAccelerator(Accelerator):
    """One device; what Lightning asks of CUDA's is not needed."""

    @staticmethod
    def name() -> str:
        return "emulated"

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [ACCELERATOR]

    def setup_device(self, device: torch.device) -> None:
        assert device == ACCELERATOR

    def get_device_stats(self, device: str | torch.device) -> dict[str, Any]:
        return {}

    def teardown(self) -> None:
        pass


class EmulatedStrategy(SingleDeviceStrategy):
    """All on the emulated accelerator."""

    def __init__(self, **_: Any) -> None:
        super().__init__(device=ACCELERATOR)

    @property
    def accelerator(self) -> Accelerator:
        return EmulatedAccelerator()

    @accelerator.setter
    def accelerator(self, chosen: Accelerator | None) -> None:
        """Lightning has chosen the CPU's."""


@contextmanager
def emulated_training() -> Iterator[torch.device]:
    """A context in which `trainer.strategy: emulated` trains there."""
    StrategyRegistry.register("emulated", EmulatedStrategy, override=True)
    try:
        with patch("torch.cuda.get_device_name", lambda *_: "emulated"), emulated_accelerator() as device:
            yield device
    finally:
        StrategyRegistry.remove("emulated")
