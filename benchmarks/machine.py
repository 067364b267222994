"""Where and with what a figure was measured: without it no figure is worth anything."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ["torch", "pytorch-lightning", "sentencepiece", "sacrebleu", "jsonargparse", "numpy"]


def cpu_name() -> str:
    """The processor as the operating system names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def provenance(command: list[str]) -> dict[str, Any]:
    """Machine, versions, commit and command.

    Args:
        command: as it can be given again, from the root of the checkout.
    """
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    dirty = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True
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
    """Write what was measured, with its provenance, to results/NAME.json."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**provenance(command), **measured}, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")
