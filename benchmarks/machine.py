"""Provenance of measurements (machine, versions, commit), and timing that detects other load."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MADE = [
    "benchmarks/results",
    "benchmarks/plots",
    "benchmarks/README.md",
    "soak/results",
    "docs/reliability.md",
]
"""Outputs of benchmarks and attacks, which do not count as uncommitted changes of the measured code."""
PACKAGES = ["torch", "pytorch-lightning", "sentencepiece", "sacrebleu", "jsonargparse", "numpy"]


def cpu_name() -> str:
    """The processor's name as reported by the operating system."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


OTHERS = 0.05
"""A sample counts as undisturbed if other programs used at most this share of the machine."""


class Stopwatch:
    """Wall-clock seconds of a block, and the share of the machine's cores used by other programs meanwhile."""

    def __enter__(self) -> "Stopwatch":
        self._began = (time.perf_counter(), _busy_seconds(), _own_seconds())
        return self

    def __exit__(self, *_: object) -> None:
        began, busy, own = self._began
        self.seconds = time.perf_counter() - began
        others = (_busy_seconds() - busy) - (_own_seconds() - own)
        self.others = max(0.0, others / (self.seconds * (os.cpu_count() or 1)))


def _busy_seconds() -> float:
    user, nice, system, _, _, interrupts, soft, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + interrupts + soft + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(os.times()[:4])


def repeated(measure: Callable[[], dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Sample until `count` samples are undisturbed, at most twice as often; each records the load of other programs."""
    samples: list[dict[str, Any]] = []
    while len(quiet(samples)) < count and len(samples) < 2 * count:
        with Stopwatch() as watch:
            sample = measure()
        samples.append({**sample, "others": round(watch.others, 3)})
    return samples


def quiet(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The undisturbed samples."""
    return [sample for sample in samples if sample["others"] <= OTHERS]


def middle(samples: list[dict[str, Any]], figure: Callable[[dict[str, Any]], float]) -> float:
    """The median of a figure over the undisturbed samples if there are three, else over the less disturbed half."""
    chosen = quiet(samples)
    if len(chosen) < 3:
        chosen = sorted(samples, key=lambda sample: sample["others"])[: max(3, (len(samples) + 1) // 2)]
    return statistics.median(figure(sample) for sample in chosen)


def peak_mebibytes() -> float:
    """The peak memory of this process.

    `getrusage` is not used: its value starts at the memory of the parent process.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status does not say VmHWM")


def provenance(command: list[str]) -> dict[str, Any]:
    """Machine, versions, commit and command of a measurement.

    Args:
        command: as run from the root of the checkout.
    """
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--", ".", *(f":!{name}" for name in MADE)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.strip()
    return {
        "command": " ".join(command),
        "commit": commit,
        "uncommitted_changes": bool(dirty),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def save(name: str, measured: dict[str, Any], command: list[str]) -> None:
    """Write results, with their provenance, to results/NAME.json."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**provenance(command), **measured}, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")
