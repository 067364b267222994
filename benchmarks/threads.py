"""The effect of CPU threads on translation, on an idle machine and beside other programs.

    python benchmarks/threads.py             1, 2, 4 ... threads up to all cores, into results/threads.json
    python benchmarks/threads.py 1 2         only these numbers of threads

Each number of threads is measured in separate processes, alternating, greedy, float32, with the model of trained.py:

* many: seconds of the test set, one batch per thread, as `Translator` does it;
* single: seconds per single sentence, each searched by one thread, which an idle one helps, as `Translator` does it;
* shared: the same, but torch splits the products of a sentence among all threads, which `Translator` does not do.

`beside` is the same while one busy-looping program per core is running. The outputs of many are compared with those
of one thread.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from machine import repeated, save
from trained import bundle
from workload import lines

SINGLE = 30
SAMPLES = 3
QUESTIONS = ("many", "single", "shared")


def child(threads: int) -> None:
    """Print what this process measured, as JSON."""
    import torch

    from s2s.inference.translator import Translator
    from s2s.inference.workers import Workers

    translator = Translator.load(bundle(), threads=threads)
    sources = lines("test", "en")
    outputs = translator.translate(sources, beam=1)  # warm up

    def each() -> list[float]:
        seconds = []
        for source in sources[:SINGLE]:
            began = time.perf_counter()
            translator.translate(source, beam=1)
            seconds.append(time.perf_counter() - began)
        return seconds

    began = time.perf_counter()
    translator.translate(sources, beam=1)
    found = {"many": [(time.perf_counter() - began) / len(sources)], "single": each()}
    torch.set_num_threads(threads)
    with mock.patch.object(Workers, "start", lambda self, tasks: tasks):  # runs in the calling thread
        found["shared"] = each()
    print(json.dumps({**found, "outputs": outputs}))


def measure(threads: int) -> dict[str, Any]:
    """One sample: seconds per sentence for each question, and the outputs."""
    found = subprocess.run(
        [sys.executable, __file__, "child", str(threads)],
        env={name: value for name, value in os.environ.items() if not name.startswith("OMP_")},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    measured: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return measured


@contextmanager
def others(number: int) -> Iterator[None]:
    """Run the given number of busy-looping programs."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def numbers() -> list[int]:
    """1, 2, 4 and so on, and the number of cores."""
    cores = os.cpu_count() or 1
    return sorted({cores, *(2**power for power in range(10) if 2**power <= cores)})


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(int(sys.argv[2]))
        return
    chosen = [*map(int, sys.argv[1:])] or numbers()
    reference = measure(1)["outputs"]
    runs: dict[str, dict[str, Any]] = {}
    for where in ("alone", "beside"):
        for _ in range(SAMPLES):
            for threads in chosen:
                if where == "alone":
                    samples = repeated(lambda t=threads: measure(t), 1)
                else:  # load of other programs is intended
                    with others(os.cpu_count() or 1):
                        samples = [{**measure(threads), "others": 0.0}]
                new = {"where": where, "threads": threads, "differ": 0, "samples": []}
                run = runs.setdefault(f"{where} {threads}", new)
                for sample in samples:
                    pairs = zip(sample.pop("outputs"), reference, strict=True)
                    run["differ"] = max(run["differ"], sum(one != other for one, other in pairs))
                run["samples"] += samples
                print(where, threads, flush=True)
    save("threads", {"runs": list(runs.values())}, ["python", "benchmarks/threads.py", *sys.argv[1:]])


if __name__ == "__main__":
    main()
