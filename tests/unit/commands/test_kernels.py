"""Products of any number of rows fill no memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2s.__main__ import main
from s2s.commands.kernels import KEPT

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")

GROWTH = """
from pathlib import Path
from s2s.commands.kernels import keep_few_kernels
keep_few_kernels()
import torch
from torch.nn import functional as F
from s2s.nn.packed import PackedMatrix

def held():
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
weight = PackedMatrix.of(torch.ones(64, 16), torch.float32)
with torch.inference_mode():
    F.linear(torch.ones(600, 16), weight)
    before = held()
    for rows in range(1, 600):
        F.linear(torch.ones(rows, 16), weight)
print(held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_six_hundred_numbers_of_rows_are_not_kept():
    """Each of them kept, they are more than 300 MiB on a processor for which oneDNN makes kernels."""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert (
        float(done.stdout) < 2 * KEPT
    )  # MiB: half a MiB each, in two caches, of which each may have its own


@pytest.mark.parametrize("command", [["translate"], ["summarize", "--whole"]], ids=" ".join)
def test_commands_keep_few_unless_a_person_says_how_many(tiny_exports, tmp_path, monkeypatch, command):
    for name in NAMES:
        monkeypatch.setenv(name, "")  # put back at the end
        monkeypatch.delenv(name)
    monkeypatch.setenv(NAMES[0], "7")
    (tmp_path / "in").write_text("ab\n")
    assert (
        main([*command, str(tiny_exports.bundle), str(tmp_path / "in"), "--output", str(tmp_path / "out")])
        == 0
    )
    assert [os.environ[name] for name in NAMES] == ["7", str(KEPT)]
