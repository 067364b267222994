"""Train the recipe airline-passengers with several seeds, and evaluate its forecasts of the last 48 months.

    python benchmarks/airline.py

Needs $S2S_DATA with series/airline-passengers.csv. Writes results/airline.json, and plots/airline.png for the first
seed.

Three protocols, each with the weights trained on the first 72 months and selected on the following 24. MASE is
scaled by the mean absolute error of the seasonal naive forecast (m = 12) within the first 96 months.
"""

import json
import shutil
import statistics
import time
from pathlib import Path

from machine import RESULTS, ROOT, provenance

import s2s

SEEDS = (1, 2, 3, 4, 5)
PROTOCOLS = {
    48: "48 steps from the first 96 months",
    12: "12 steps, rolling origin",
    1: "1 step, rolling origin",
}


def main() -> None:
    began = time.time()
    runs, folder = [], ROOT / "runs" / "airline-passengers"
    for seed in SEEDS:
        fitted = s2s.fit("airline-passengers", seed_everything=seed, run_folder=folder, overwrite=True)
        runs.append(fitted.module.backtests("test"))
        if seed == SEEDS[0]:
            fitted.module.write_forecast()
            picture = Path(fitted.module.trainer.default_root_dir) / "test.forecast.png"
            shutil.copy(picture, RESULTS.parent / "plots" / "airline.png")
    test: dict[str, dict[str, dict[str, dict[str, object]]]] = {}
    for index, first in enumerate(runs[0]):
        samples = [run[index].accuracy for run in runs]
        row = test.setdefault(PROTOCOLS[first.steps], {})[first.system] = {}
        for name in ("mae", "rmse", "mase"):
            values = [float(getattr(one, name)[0]) for one in samples]
            row[name.upper()] = {"mean": statistics.mean(values), "seeds": values}
    minutes = round((time.time() - began) / 60, 2)
    about = {"recipe": "airline-passengers", **provenance(["benchmarks/airline.py"]), "minutes": minutes}
    (RESULTS / "airline.json").write_text(
        json.dumps({**about, "seeds": SEEDS, "test": test}, indent=1) + "\n"
    )
    for protocol, systems in test.items():
        for system, figures in systems.items():
            print(f"{protocol:<34} {system:<15}", {name: figures[name]["mean"] for name in figures})


if __name__ == "__main__":
    main()
