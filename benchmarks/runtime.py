"""Translation with an exported model, without torch, compared to translation with its bundle.

    python benchmarks/runtime.py                everything, into results/runtime.json
    python benchmarks/runtime.py start          only the named parts: size, start, speed, latency

* size: bytes of all files of the distributions that each variant needs (without torch: see s2s.inference.exported),
  and of the deployed folders.
* start: seconds of `s2s translate` for one line in a fresh process, all files in the page cache, alternating.
* speed: seconds and BLEU of Multi30k's test set of 2016, greedy and with beam 5, alternating, on all cores.
* latency: seconds of each of 100 single sentences, alternating.

The variants: torch in float32, an export in float32, an export in int8. The model is that of trained.py.
"""

import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distributions import bytes_when_installed, closure, installed_bytes
from machine import RESULTS, ROOT, repeated, save
from start import LINE, seconds
from trained import bundle
from workload import lines

from s2s.export.folder import export_bundle
from s2s.inference.exported import RUNTIME_NEEDS
from s2s.inference.lines import LineTranslator
from s2s.inference.translator import Translator
from s2s.runtime.translator import OnnxTranslator
from s2s_plugins.metrics.bleu import BLEU

SEARCHES = {"greedy": 1, "beam 5": 5}
STARTS, SAMPLES, SINGLE = 11, 4, 100


@functools.cache
def folders() -> dict[str, Path]:
    """The folder of each variant; exported again by each process, as the exporter is being measured."""
    own = bundle()
    return {
        "torch": own,
        "onnx": export_bundle(own, own.with_name("onnx")),
        "int8": export_bundle(own, own.with_name("onnx-int8"), int8=True),
    }


def translators() -> dict[str, LineTranslator[Any]]:
    """One per variant."""
    return {
        name: Translator.load(folder) if name == "torch" else OnnxTranslator.load(folder)
        for name, folder in folders().items()
    }


def size() -> dict[str, Any]:
    """Installed bytes, and deployed bytes."""
    needed = {"torch": closure(["s2s"]) - {"s2s"}, "onnx": closure(RUNTIME_NEEDS.split())}
    own = bytes_when_installed(ROOT)
    return {
        "installed": {
            name: {"distributions": ["s2s", *sorted(names)], "bytes": own + installed_bytes(names)}
            for name, names in needed.items()
        },
        "sent_bytes": {
            name: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            for name, folder in folders().items()
        },
    }


def start() -> list[dict[str, Any]]:
    """Translate one line in a fresh process."""
    s2s = [sys.executable, "-m", "s2s", "translate"]
    commands = {name: [*s2s, str(folder)] for name, folder in folders().items()}

    def each() -> dict[str, Any]:
        return {f"{name}_seconds": seconds(command, LINE) for name, command in commands.items()}

    each()
    return repeated(each, STARTS)


def speed() -> dict[str, Any]:
    """Translate the whole test set, alternating."""
    ready, sources = translators(), lines("test", "en")
    measured: dict[str, Any] = {}
    for search, beam in SEARCHES.items():
        outputs = {name: translator.translate(sources, beam=beam) for name, translator in ready.items()}
        scores = {name: BLEU().score(found, [lines("test", "de")]) for name, found in outputs.items()}

        def each(beam: int = beam) -> dict[str, Any]:
            return {
                f"{name}_seconds": timed(lambda t=translator: t.translate(sources, beam=beam))
                for name, translator in ready.items()
            }

        measured[search] = {
            "sentences": len(sources),
            "BLEU": {name: {"value": one.value, "signature": one.signature} for name, one in scores.items()},
            "same_as_torch": {
                name: sum(one == other for one, other in zip(found, outputs["torch"], strict=True))
                for name, found in outputs.items()
            },
            "samples": repeated(each, SAMPLES),
        }
    return measured


def latency() -> dict[str, Any]:
    """Seconds per single sentence, the variants alternating."""
    ready, sources = translators(), lines("test", "en")[:SINGLE]
    measured: dict[str, Any] = {}
    for search, beam in SEARCHES.items():
        for translator in ready.values():
            translator.translate(sources[:5], beam=beam)
        found: dict[str, list[float]] = {name: [] for name in ready}
        for source in sources:
            for name, translator in ready.items():
                found[name].append(timed(lambda t=translator, s=source: t.translate(s, beam=beam)))  # noqa: B023
        measured[search] = {f"{name}_seconds": values for name, values in found.items()}
    return measured


def timed(work: Callable[[], Any]) -> float:
    """Wall-clock seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


PARTS: dict[str, Callable[[], Any]] = {"size": size, "start": start, "speed": speed, "latency": latency}


def main() -> None:
    path = RESULTS / "runtime.json"
    measured = json.loads(path.read_text()) if path.is_file() else {}
    for name in sys.argv[1:] or PARTS:
        measured[name] = PARTS[name]()
    kept = {name: measured[name] for name in PARTS if name in measured}
    save("runtime", kept, ["python", "benchmarks/runtime.py", *sys.argv[1:]])


if __name__ == "__main__":
    main()
