"""Start-up time: `s2s --help` against a bare Python, the first translation against `import torch`.

    python benchmarks/start.py            everything, into results/start.json
    python benchmarks/start.py plugins    only the named parts: help, translation, plugins

The commands of a group alternate, each in a fresh process with all files in the page cache, on all cores. plugins:
`s2s plugins list`, and `s2s plugins check` of a cell with and without its checks of torch.compile.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from machine import RESULTS, Stopwatch, repeated, save
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
    check = [s2s, "plugins", "check", "LSTM"]

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

    def plugins() -> dict[str, Any]:
        return {
            "python_seconds": seconds([sys.executable, "-c", "pass"]),
            "list_seconds": seconds([s2s, "plugins", "list"]),
            "check_seconds": seconds(check),
            "check_compiled_seconds": seconds([*check, "--compiled"]),
        }

    parts = {"help": (help_pair, PAIRS), "translation": (translation_pair, PAIRS), "plugins": (plugins, 3)}
    path = RESULTS / "start.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    for name in sys.argv[1:] or parts:
        measure, count = parts[name]
        measure()
        measured[name] = repeated(measure, count)
    save(
        "start",
        {name: measured[name] for name in parts if name in measured},
        ["python", "benchmarks/start.py"],
    )


if __name__ == "__main__":
    main()
