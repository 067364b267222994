"""What a process may not hold more of is found."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from soak import long_life
from soak.attack import Broken
from soak.long_life import Growth, LongLife


class Leaking(LongLife):
    """Leaves something behind in its third round."""

    name = promise = "leaks"
    attempts = short = 3

    def __init__(self, leak: Callable[[], object]) -> None:
        self.leak = leak
        self.kept: list[object] = []

    def work(self, number: int, folder: Path) -> Counter[str]:
        if number == 2:
            self.kept.append(self.leak())
        return Counter(done=1)


@pytest.mark.parametrize("what", ["descriptors", "threads", "children", "temporary files"])
def test_a_leak_is_found(tmp_path: Path, what: str) -> None:
    stop = threading.Event()

    def leak() -> object:
        if what == "descriptors":
            return open(os.devnull, "rb")  # noqa: SIM115
        if what == "threads":
            thread = threading.Thread(target=stop.wait)
            thread.start()
            return thread
        if what == "children":
            import subprocess

            return subprocess.Popen(["sleep", "60"])
        import tempfile

        return tempfile.mkstemp()

    attack = Leaking(leak)
    attack.prepare(tmp_path)
    try:
        for number in range(2):
            attack.attempt(number, tmp_path)
        with pytest.raises(Broken, match=rf"round 2: .*\d+ {what}, after the first round \d+"):
            attack.attempt(2, tmp_path)
    finally:
        stop.set()
        for one in attack.kept:
            if hasattr(one, "kill"):
                one.kill()
                one.wait()
            elif hasattr(one, "close"):
                one.close()
            elif isinstance(one, tuple):
                os.close(one[0])


def test_the_slope_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 MiB that become 90 MiB more in the first minutes, and then 10 MiB an hour."""
    seconds = [0.0]
    monkeypatch.setattr(long_life.time, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(
        long_life, "mebibytes", lambda: 100 + min(seconds[0], 200) * 0.45 + 10 * seconds[0] / 3600
    )
    growth = Growth()
    for minute in range(40):
        seconds[0] = 60.0 * minute
        growth.see()
    assert growth.per_hour() == pytest.approx(10)
    assert growth.seconds == 34 * 60
    attack = Leaking(lambda: None)
    attack.prepare(tmp_path)
    attack.growth = growth
    with pytest.raises(Broken, match="memory grows by 10.0 MiB per hour"):
        attack.attempt(0, tmp_path)
