"""What a step frees is kept for the next: counted in page faults of a process of its own."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from s2s.training.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
for _ in range(40):
    bytearray(32 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    bytearray(32 << 20)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}


def faults(how: str, **environment: str) -> tuple[str, int]:
    command = [sys.executable, "-c", FAULTS, how]
    kept, count = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**WITHOUT, **environment}
    ).stdout.split()
    return kept, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is of the GNU C library")
def test_freed_memory_is_faulted_in_once() -> None:
    (_, without), (kept, with_it) = faults("leave"), faults("keep")
    assert kept == "True"
    assert with_it * 20 < without


def test_what_the_environment_says_holds() -> None:
    assert faults("keep", MALLOC_ARENA_MAX="2")[0] == "False"
