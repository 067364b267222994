"""The cost of busy waiting between threads: training alone, and beside other programs.

    python benchmarks/waiting.py             into results/waiting.json

Threads that share a product wait for the slowest at its end, spinning meanwhile: by default GNU's OpenMP, used by torch
on Linux, spins 300,000 times (`library`), which is longer than the time slice of a preempted thread. An environment
variable makes them spin less (`short`). Both are measured in separate processes, alternating, in target tokens
per second of a minimal loop (workload.train_step) with all cores:

* alone;
* programs: beside one busy-looping program per core;
* training: beside another training of the same kind.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

from machine import repeated, save
from threads import others

SAMPLES = 3
SECONDS = 12.0
WARM_UP = 3
WAYS: dict[str, dict[str, str]] = {"library": {}, "short": {"GOMP_SPINCOUNT": "10000"}}
CIRCUMSTANCES = ("alone", "programs", "training")


def child() -> None:
    """Print target tokens per second, measured over at least one step."""
    from workload import batches, build_model, build_optimizer, target_tokens, train_step

    model = build_model(False)
    optimizer = build_optimizer(model)
    given = batches()
    for batch in given[:WARM_UP]:
        train_step(model, optimizer, batch)
    began = time.perf_counter()
    done: list[Any] = []
    while not done or time.perf_counter() - began < SECONDS:
        done.append(given[WARM_UP + len(done)])
        train_step(model, optimizer, done[-1])
    print(json.dumps(target_tokens(done) / (time.perf_counter() - began)))


def measure(way: str, number: int) -> dict[str, Any]:
    """The mean of the given number of simultaneous trainings."""
    waiting = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"}
    clean = {name: value for name, value in os.environ.items() if name not in waiting}
    trainings = [
        subprocess.Popen(
            [sys.executable, __file__, "child"], env={**clean, **WAYS[way]}, stdout=subprocess.PIPE, text=True
        )
        for _ in range(number)
    ]
    found = [json.loads(training.communicate()[0].splitlines()[-1]) for training in trainings]
    return {"target_tokens_per_second": sum(found) / number}


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child()
        return
    runs = {
        (where, way): {"where": where, "way": way, "samples": []} for where in CIRCUMSTANCES for way in WAYS
    }
    for _ in range(SAMPLES):
        for (where, way), run in runs.items():
            if where == "programs":  # load of other programs is intended
                with others(os.cpu_count() or 1):
                    run["samples"].append({**measure(way, 1), "others": 0.0})
            else:
                number = 2 if where == "training" else 1
                run["samples"] += repeated(lambda way=way, number=number: measure(way, number), 1)
            print(where, way, run["samples"][-1], flush=True)
    save("waiting", {"ways": WAYS, "runs": list(runs.values())}, ["python", "benchmarks/waiting.py"])


if __name__ == "__main__":
    main()
