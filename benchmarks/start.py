"""How long it takes to begin: `s2s --help` beside a bare Python, the first translation beside `import torch`.

    python benchmarks/start.py

Every pair is run in turns, each command in a fresh process with all files in the page cache, on all cores.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import Stopwatch, repeated, save
from trained import bundle

PAIRS = 11
LINE = b"A man in an orange hat starring at something.\n"


def seconds(command: list[str], text: bytes = b"") -> float:
    """Wall-clock seconds of a process."""
    with Stopwatch() as watch:
        subprocess.run(command, input=text, check=True, capture_output=True)
    return watch.seconds


def main() -> None:
    s2s = str(Path(sys.executable).with_name("s2s"))
    translate = [s2s, "translate", str(bundle())]

    def help_pair() -> dict[str, Any]:
        return {
            "python_seconds": seconds([sys.executable, "-c", "pass"]),
            "help_seconds": seconds([s2s, "--help"]),
        }

    def translation_pair() -> dict[str, Any]:
        return {
            "import_torch_seconds": seconds([sys.executable, "-c", "import torch"]),
            "translation_seconds": seconds(translate, LINE),
        }

    help_pair(), translation_pair()
    save(
        "start",
        {"help": repeated(help_pair, PAIRS), "translation": repeated(translation_pair, PAIRS)},
        ["python", "benchmarks/start.py"],
    )


if __name__ == "__main__":
    main()
