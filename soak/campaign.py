"""Runs the attempts of an attack and saves progress, so that an interrupted campaign is resumed."""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, provenance
from soak.attack import Attack, Broken

RESULTS = Path(__file__).resolve().parent / "results"
MOST_TOLD = 20
"""The number of broken promises reported in full; all are counted."""
SAVED_EVERY_SECONDS = 5.0


@dataclass
class Tally:
    """Results of the attempts so far.

    Args:
        attempts: number done.
        counts: how often each thing happened.
        broken: attempts that broke the promise.
        told: the first MOST_TOLD of them: number and message.
        figures: measurements.
        seconds: total time.
    """

    attempts: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def run(
    attack: Attack,
    attempts: int,
    *,
    seconds: float = math.inf,
    again: bool = False,
    results: Path = RESULTS,
) -> Tally:
    """Run the remaining attempts, and write results/NAME.json.

    Attempts made with different code are discarded, as they say nothing about this code.

    Args:
        attack: the attack to run.
        attempts: the total number of attempts in the end.
        seconds: no attempt is started after that many; the next call resumes.
        again: start over.
        results: folder of the results.
    """
    path = results / f"{attack.name}.json"
    made_by = provenance(["python", "-m", "soak", attack.name, "--attempts", str(attempts)])
    tally = Tally() if again else _before(path, made_by["commit"])
    if tally.attempts >= attempts:
        return tally
    with tempfile.TemporaryDirectory(prefix=f"soak-{attack.name}-") as root:
        shared = Path(root) / "shared"
        shared.mkdir()
        attack.prepare(shared)
        saved = began = time.monotonic()
        before = tally.seconds
        try:
            while tally.attempts < attempts and time.monotonic() - began < seconds:
                _attempt(attack, tally, Path(root) / "attempt")
                tally.seconds = before + time.monotonic() - began
                if time.monotonic() - saved > SAVED_EVERY_SECONDS:
                    saved = time.monotonic()
                    _write(path, attack, tally, made_by)
                    _say(attack, tally, attempts)
        finally:
            _write(path, attack, tally, made_by)
            _say(attack, tally, attempts)
    return tally


def _attempt(attack: Attack, tally: Tally, folder: Path) -> None:
    folder.mkdir()
    try:
        outcome = attack.attempt(tally.attempts, folder)
        tally.counts += outcome.counts
        tally.figures |= outcome.figures
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # errors that the attack did not expect, and panics of Rust libraries
        tally.broken += 1
        why = str(error) if isinstance(error, Broken) else traceback.format_exc()
        for place in (ROOT, sys.prefix, sys.base_prefix):  # results are read on other machines
            why = why.replace(f"{place}/", "")
        if len(tally.told) < MOST_TOLD:
            tally.told.append({"attempt": tally.attempts, "what": why})
        print(f"{attack.name}, attempt {tally.attempts}: BROKEN: {why}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    tally.attempts += 1


def _before(path: Path, commit: str) -> Tally:
    if not path.is_file():
        return Tally()
    told = json.loads(path.read_text(encoding="utf-8"))
    if not _same_code(told["commit"], commit):
        print(
            f"{path.name} is of commit {told['commit'][:7]}, whose code was another; begun anew", flush=True
        )
        return Tally()
    tally = Tally(**told["tally"])
    tally.counts = Counter(tally.counts)
    return tally


def _same_code(one: str, other: str) -> bool:
    command = ["git", "diff", "--quiet", one, other, "--", "s2s", "plugins", "soak", ":!soak/results"]
    return one == other or subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def _write(path: Path, attack: Attack, tally: Tally, made_by: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {**made_by, "promise": attack.promise, "units": attack.units, "tally": vars(tally)}
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _say(attack: Attack, tally: Tally, attempts: int) -> None:
    came = ", ".join(f"{count:,} {what}" for what, count in sorted(tally.counts.items()))
    print(
        f"{attack.name}: {tally.attempts:,} of {attempts:,} attempts, {tally.seconds:.0f} s: "
        f"{came or 'nothing yet'}; {tally.broken} broken",
        flush=True,
    )
