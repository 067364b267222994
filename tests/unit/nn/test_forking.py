"""A process is forked when no thread is about to end."""

import os
import threading
import time
from pathlib import Path

import pytest

from s2s.nn import forking


def tell(tasks: Path, number: int, state: str) -> Path:
    """What Linux tells of a thread, whose name may hold anything."""
    (tasks / str(number)).mkdir(parents=True)
    stat = tasks / str(number) / "stat"
    stat.write_text(f"{number} (a) R (b) {state} 1 1 0 -1 4194304\n", encoding="utf-8")
    return stat


def test_who_is_about_to_end(tmp_path: Path) -> None:
    own = threading.get_native_id()
    for number, state in ((own, "R"), (1, "S"), (2, "R"), (3, "D")):
        tell(tmp_path, number, state)
    (tmp_path / "4").mkdir()  # has ended between two looks
    assert forking.ending_threads(tmp_path) == [2]
    assert forking.ending_threads(tmp_path / "elsewhere") == []


def test_waits_until_it_has_ended(tmp_path: Path) -> None:
    stat = tell(tmp_path, 1, "R")
    began = time.monotonic()
    ended = threading.Timer(0.1, stat.unlink)
    ended.start()
    forking.let_threads_end(tmp_path)
    assert not stat.exists() and time.monotonic() - began >= 0.1
    ended.join()


def test_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "MOST_SECONDS", 0.05)
    tell(tmp_path, 1, "R")
    began = time.monotonic()
    forking.let_threads_end(tmp_path)
    assert time.monotonic() - began >= 0.05


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_every_fork_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import s2s.nn  # noqa: F401 (what it registers)

    monkeypatch.setattr(forking, "MOST_SECONDS", 0.05)
    looks = []
    monkeypatch.setattr(forking, "ending_threads", lambda tasks: looks.append(tasks) or [])
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert looks == [forking.TASKS]
