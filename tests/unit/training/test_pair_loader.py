import os
import signal
from typing import Any

import pytest
from torch.utils.data import Dataset
from torch.utils.data._utils import signal_handling

from s2s.training.pair_loader import PairLoader


class Squares(Dataset[int]):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> int:
        return index * index


class SecondSignal(Squares):
    def __getitem__(self, index: int) -> int:
        if index == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return index * index


def told_to_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker is sent SIGTERM as soon as torch listens to it, which is before anybody else can."""
    listen = signal_handling._set_worker_signal_handlers

    def listen_and_hear(*given: Any) -> None:
        listen(*given)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(signal_handling, "_set_worker_signal_handlers", listen_and_hear)


def test_workers_outlive_a_signal_at_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    told_to_end_at_once(monkeypatch)
    assert list(PairLoader(Squares(), start=1, num_workers=2)) == [1, 4, 9, 16]


def test_the_second_signal_ends_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    told_to_end_at_once(monkeypatch)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(PairLoader(SecondSignal(), num_workers=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_training_itself_hears_signals_while_it_reads(workers: int) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for _ in PairLoader(Squares(), num_workers=workers):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
