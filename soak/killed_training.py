"""Training killed at random moments, repeatedly, and resumed; it must equal a training that was never killed."""

import csv
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from soak.attack import Attack, Broken, Outcome

MOMENTS = [
    "setting up",
    "learning the tokenizer",
    "building the store",
    "between two steps",
    "in a step",
    "in a validation",
    "in a save",
    "writing the bundle",
]
"""The phases of a training; of nested ones the innermost counts."""

PAIRS = 300
BATCHES = 19
"""Per epoch: PAIRS in batches of 16."""

EPOCHS = 3
LEAVE_SECONDS = 10.0
WAIT_SECONDS = 120.0
"""A training takes a few seconds; one that takes this long hangs."""

TIMED = "tokens_per_second"
"""The only column of metrics.csv that differs between identical runs."""

FRESH_EVERY = 8
"""One attempt in this many starts a fresh Python for each training; the others fork a process with all imports done."""


class Kill(NamedTuple):
    """When a training is killed.

    Args:
        moment: one of MOMENTS.
        time: at which occurrence of the moment.
        share: after which part of its usual duration.
    """

    moment: int
    time: int
    share: float


class Clock:
    """The current phase of a training, reported by the training through a file that both processes map."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(8 * 3 * len(MOMENTS)))
        self._table = np.memmap(path, np.float64, "r+", shape=(3, len(MOMENTS)))
        self.times = self._table[1]
        self.seconds = self._table[2]

    @property
    def moment(self) -> int:
        """The current moment, an index into MOMENTS."""
        return int(self._table[0, 0])

    @contextmanager
    def at(self, moment: str) -> Iterator[None]:
        """Mark a moment for the duration of a block; the enclosing moment continues afterwards."""
        place, before, began = MOMENTS.index(moment), self._table[0, 0], time.monotonic()
        self._table[0, 0] = place
        self.times[place] += 1
        try:
            yield
        finally:
            self.seconds[place] += time.monotonic() - began
            self._table[0, 0] = before

    def mean_seconds(self, moment: int) -> float:
        """Mean duration of a moment."""
        return float(self.seconds[moment] / max(1.0, self.times[moment]))


def train(argv: list[str], clock: str, said: str) -> None:
    """One life of a training, in a separate process: what `s2s fit` does, reporting its phase to the clock."""
    from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop

    import s2s.training.cli
    from s2s.__main__ import main
    from s2s.text.store_builder import _Builder
    from s2s.training.callbacks import BestAndLast, BundleWriter, DurableCheckpoints
    from s2s.training.loop import EpochLoop, FitLoop
    from s2s_plugins.tokenizers.sentencepiece import SentencePiece

    # A fork server passes on its start method; a command starts its workers by forking.
    multiprocessing.set_start_method("fork", force=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a shell
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored under nohup
    os.setpgid(0, 0)  # signals to it and its workers must not reach the attacking process
    watch = Clock(Path(clock))

    def told(holder: Any, name: str, moment: str) -> None:
        real: Callable[..., Any] = getattr(holder, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            with watch.at(moment):
                return real(*arguments, **options)

        setattr(holder, name, timed)

    told(s2s.training.cli, "run", "setting up")  # everything not covered more precisely below
    told(SentencePiece, "train", "learning the tokenizer")
    told(_Builder, "build", "building the store")
    told(FitLoop, "run", "between two steps")
    told(EpochLoop, "advance", "in a step")
    told(_EvaluationLoop, "run", "in a validation")
    told(DurableCheckpoints, "save_checkpoint", "in a save")
    told(BundleWriter, "on_fit_end", "writing the bundle")
    real = BestAndLast.setup

    def often(self: BestAndLast, *arguments: Any, **options: Any) -> None:
        self.last_every_seconds = 0.05
        real(self, *arguments, **options)

    BestAndLast.setup = often  # type: ignore[method-assign]
    with open(said, "a", encoding="utf-8") as out:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(out.fileno(), stream.fileno())
    status = main(["fit", *argv])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class KilledTraining(Attack):
    """Kills by SIGKILL; counts are by the phase that it hits."""

    name = "killed-training"
    promise = (
        "a training that is killed and gone on with is the training that was never killed: weights, optimizer, "
        "schedule, patience, metrics and best score, bit for bit"
    )
    units = "kills"
    attempts = 200
    short = 2

    def prepare(self, folder: Path) -> None:
        self.shared = folder
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(
            [
                "s2s.training.cli",
                "s2s_plugins.tasks.seq2seq",
                "s2s_plugins.tokenizers.sentencepiece",
                __name__,
            ]
        )
        chance = random.Random(8)
        for split, size in (("train", PAIRS), ("validation", 12)):
            lines = []
            for _ in range(size):
                words = [
                    chance.choice("abcdefgh") * chance.randint(1, 2) for _ in range(chance.randint(1, 9))
                ]
                lines.append(f"{' '.join(words)}\t{' '.join(reversed(words))}\n")
            (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")

    def attempt(self, number: int, folder: Path) -> Outcome:
        precision, workers = ("32-true", "bf16-mixed")[number % 2], number // 2 % 3
        patience = (50, 2)[number // 6 % 2]  # the second stops early
        whole = self._never_killed(precision, patience)
        typical = Clock(whole.parent / "clock")
        counts: Counter[str] = Counter()
        kills = _kills(random.Random(number))
        run = folder / "run"
        fresh = number % FRESH_EVERY == FRESH_EVERY - 1
        for life, kill in enumerate([*kills, None]):
            # a different number of workers in each life, which must not matter
            config = self._config(folder, run, precision, (workers + life) % 3, patience)
            going_on = ["--ckpt_path", "last"] if (run / "checkpoints" / "last.ckpt").is_file() else []
            clock = folder / f"clock-{life}"
            died_at = self._live([*config, *going_on], clock, folder / "said", kill, typical, fresh=fresh)
            if died_at is None:
                break
            counts[died_at] += 1
        _compare(
            whole,
            run,
            f"{precision}, {workers} workers, patience {patience}, killed {dict(counts)} ({kills})",
        )
        if not counts:
            counts["ended before it was killed"] += 1
        return Outcome(counts)

    def _config(self, folder: Path, run: Path, precision: str, workers: int, patience: int) -> list[str]:
        options = {
            "model.embedding": {"class_path": "Lookup", "init_args": {"size": 16, "dropout": 0.2}},
            "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8, "dropout": 0.3}},
            "model.decoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 16, "dropout": 0.3}},
            "model.learning_rate": 0.02,
            "model.warmup_steps": 5,
            "model.schedule": "plateau",
            "model.plateau_patience": 1,
            "model.patience": patience,
            "model.average_decay": 0.9,
            "data.train": str(self.shared / "train.tsv"),
            "data.validation": str(self.shared / "validation.tsv"),
            "data.tokenizer": {
                "class_path": "SentencePiece",
                "init_args": {"vocabulary_size": 30, "byte_fallback": False, "sampling_alpha": 0.2},
            },
            "data.batch_sentences": 16,
            "data.cache": str(folder / "cache"),
            "data.num_workers": workers,
            "trainer.max_epochs": EPOCHS,
            "trainer.precision": precision,
            "trainer.val_check_interval": 0.5,
            "trainer.log_every_n_steps": 3,
            "trainer.accelerator": "cpu",
            "run_folder": str(run),
        }
        words = []
        for key, value in options.items():
            words += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
        return words

    def _never_killed(self, precision: str, patience: int) -> Path:
        folder = self.shared / f"{precision}-{patience}"
        run = folder / "run"
        if not run.is_dir():
            folder.mkdir()
            config = self._config(folder, run, precision, 0, patience)
            self._live(config, folder / "clock", folder / "said", None, None, fresh=False)
        return run

    def _live(
        self,
        argv: list[str],
        clock: Path,
        said: Path,
        kill: Kill | None,
        typical: Clock | None,
        *,
        fresh: bool,
    ) -> str | None:
        """One life of a training; the phase in which it was killed, None if it finished.

        Raises:
            Broken: it ended otherwise.
        """
        watch = Clock(clock)
        process: Any
        if fresh:
            code = f"from soak.killed_training import train; train({argv!r}, {str(clock)!r}, {str(said)!r})"
            process = subprocess.Popen([sys.executable, "-c", code])
        else:
            process = self.processes.Process(target=train, args=(argv, str(clock), str(said)))
            process.start()
        ended: Callable[[], bool] = lambda: (process.poll() if fresh else process.exitcode) is not None  # noqa: E731
        deadline = time.monotonic() + WAIT_SECONDS
        died_at = None
        if kill is not None and typical is not None:
            while not ended() and time.monotonic() < deadline and watch.times[kill.moment] < kill.time:
                time.sleep(0.0002)
            time.sleep(kill.share * typical.mean_seconds(kill.moment))
            if not ended():
                with suppress(ProcessLookupError):  # it has just ended
                    died_at = self._end(process.pid, watch, kill)
        while not ended() and time.monotonic() < deadline:
            time.sleep(0.002)
        status = process.returncode if fresh else process.exitcode
        if status is None:
            process.kill()
            raise Broken(f"a training hangs, {MOMENTS[watch.moment]}: {_last_said(said)}")
        if status == 0:
            return None
        if died_at is None or status not in self.statuses:
            raise Broken(f"a training ended with status {status}: {_last_said(said)}")
        self._ended(said, died_at)
        return died_at

    statuses: tuple[int, ...] = (-signal.SIGKILL,)
    """Expected exit statuses of a training that was ended."""

    def _end(self, pid: int, watch: Clock, kill: Kill) -> str:
        """End a training; return its phase."""
        os.kill(pid, signal.SIGKILL)
        return MOMENTS[watch.moment]

    def _ended(self, said: Path, at: str) -> None:
        """Called after the training has been ended."""


class EndedTraining(KilledTraining):
    """Sends a signal to a training and all its workers, as clusters do."""

    name = "ended-training"
    promise = (
        "SIGTERM, SIGUSR1, SIGHUP or Ctrl-C to a training and its workers: it saves, tells how to go on and leaves "
        "within 10 s; gone on with, it is the training that was never ended"
    )
    units = "signals"
    attempts = 100
    short = 1
    statuses = (129, 130, 138, 143)

    def attempt(self, number: int, folder: Path) -> Outcome:
        self.slowest = 0.0
        outcome = super().attempt(number, folder)
        return Outcome(outcome.counts, {"seconds_to_leave": self.slowest})

    def _end(self, pid: int, watch: Clock, kill: Kill) -> str:
        number = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)[int(kill.share * 1000) % 4]
        at = MOMENTS[watch.moment]
        os.killpg(pid, number)
        self.began = time.monotonic()
        return at

    def _ended(self, said: Path, at: str) -> None:
        seconds = time.monotonic() - self.began
        self.slowest = max(self.slowest, seconds)
        told = _last_said(said)
        if seconds > LEAVE_SECONDS:
            raise Broken(f"a training needed {seconds:.1f} s to leave, {at}: {told}")
        if "s2s: stopped" not in told:
            raise Broken(f"a training left without a word, {at}: {told}")


def _kills(chance: random.Random) -> list[Kill]:
    """One to four kills; in half of the cases two are within one epoch."""
    kills = []
    for _ in range(chance.randint(1, 3)):
        moment = chance.randrange(len(MOMENTS))
        most = {"in a step": 3 * BATCHES, "in a validation": 6, "in a save": 12, "building the store": 2}
        kills.append(Kill(moment, chance.randint(1, most.get(MOMENTS[moment], 1)), chance.random()))
    if chance.random() < 0.5:
        step = MOMENTS.index("in a step")
        kills += [Kill(step, chance.randint(2, BATCHES // 2), chance.random()) for _ in range(2)]
    return kills


def _last_said(said: Path) -> str:
    return said.read_text(encoding="utf-8", errors="replace")[-1500:]


def _compare(whole: Path, run: Path, how: str) -> None:
    """Compare a run with the one that was never killed.

    Raises:
        Broken: they differ.
    """
    import torch

    for name in ("last", "best"):
        ours, theirs = (
            torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True) for folder in (run, whole)
        )
        for checkpoint in (ours, theirs):
            del checkpoint["run"]["config"]  # folders and workers differ
            del checkpoint["pace"]["seconds"]
            # If a missed validation is being made up for, loaders have no state yet (later an empty one) and Lightning
            # has not counted the batch before it as completed, which it does once training continues.
            loops = checkpoint["loops"]["fit_loop"]
            loops["state_dict"].pop("combined_loader", None)
            for counts in ("total", "current"):
                del loops["epoch_loop.batch_progress"][counts]["completed"]
        _same(ours, theirs, f"{name}.ckpt", how)
    _same(_metrics(run), _metrics(whole), "metrics.csv", how)
    shipped = [json.loads((folder / "bundle" / "config.json").read_text("utf-8")) for folder in (run, whole)]
    for part in ("training", "scores"):
        _same(shipped[0][part], shipped[1][part], f"bundle/config.json: {part}", how)
    weights = [(folder / "bundle" / "weights.safetensors").read_bytes() for folder in (run, whole)]
    _same(weights[0], weights[1], "bundle/weights.safetensors", how)


def _metrics(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != TIMED} for row in rows]


def _same(ours: Any, theirs: Any, where: str, how: str) -> None:
    import torch

    if isinstance(ours, dict) and isinstance(theirs, dict) and set(ours) == set(theirs):
        for key in ours:
            _same(ours[key], theirs[key], f"{where}: {key}", how)
    elif isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)) and len(ours) == len(theirs):
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            _same(*pair, f"{where}: {i}", how)
    elif isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        # as bytes: NaN is NaN, and 0 is not -0
        if ours.dtype != theirs.dtype or ours.numpy().tobytes() != theirs.numpy().tobytes():
            raise Broken(f"{where} differs; {how}")
    elif ours != theirs and not (ours != ours and theirs != theirs):
        told = [repr(value)[:300] for value in (ours, theirs)]
        raise Broken(f"{where} is {told[0]}, never killed {told[1]}; {how}")
