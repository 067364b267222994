"""Where models compute, and how many batches at once."""

import pytest
import torch

from s2s.errors import ConfigError
from s2s.inference.devices import threads_on, usable_device


@pytest.mark.parametrize(("device", "threads"), [("cpu", 3), ("cpu:0", 3), ("cuda", 1), ("cuda:1", 1)])
def test_batches_are_for_cores(device: str, threads: int) -> None:
    assert threads_on(torch.device(device), 3) == threads


def test_fewer_than_one_thread() -> None:
    with pytest.raises(ConfigError, match="threads is 0; it must be 1 or more"):
        threads_on(torch.device("cpu"), 0)


def test_a_device_that_is_not_there() -> None:
    with usable_device("cpu") as device:
        assert device == torch.device("cpu")
    for name in ("abacus", "cuda:99", "meta", "meta:0"):
        with (
            pytest.raises(ConfigError, match=rf"device '{name}' cannot be used here \(.*\); cpu always can"),
            usable_device(name),
        ):
            raise AssertionError("there is one")
    with pytest.raises(ConfigError, match="device 'cpu' cannot be used here .no room"), usable_device("cpu"):
        raise torch.OutOfMemoryError("no room")


def test_what_a_model_raises_is_no_fault_of_the_device() -> None:
    with pytest.raises(RuntimeError, match="^mine$"), usable_device("cpu"):
        raise RuntimeError("mine")
