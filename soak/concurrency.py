"""Concurrent use: readers and writers of one path, runs in one folder, threads and forks of one translator."""

import io
import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import torch

from s2s.errors import DataError, S2SError
from s2s.inference.bundle import load_bundle
from s2s.inference.outgoing import Outgoing
from s2s.inference.translator import Translator
from s2s.registry.parts import factory
from s2s.text.corpus import CorpusSpec
from s2s.text.store_builder import pair_store
from s2s.training.callbacks import DurableCheckpoints
from s2s.training.run_folder import RunFolder
from soak.attack import Attack, Broken, Outcome
from tests.references.tiny import sentences, tiny_bundle

PROCESSES = 4
THREADS = 32
READS = 6
LINES = 400
_SECONDS = 120.0


def at_once(work: Callable[[int], Any], count: int = PROCESSES) -> list[Any]:
    """JSON-serializable return values of forked children that start together; an S2SError as {"error": its text}.

    Raises:
        Broken: one died, or does not end.
    """
    gate, opened = os.pipe()
    pipes, children = [], []
    for number in range(count):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(opened)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                os.read(gate, 1)  # until the parent closes it
                os.write(write, json.dumps(_told(work, number)).encode())
            finally:
                os._exit(0)
        os.close(write)
        pipes.append(read)
        children.append(child)
    os.close(gate)
    os.close(opened)
    told = [_read(pipe, child) for pipe, child in zip(pipes, children, strict=True)]
    for child in children:
        os.waitpid(child, 0)
    if not all(told):
        raise Broken(f"a child died: {told}")
    return [json.loads(one) for one in told]


def _told(work: Callable[[int], Any], number: int) -> Any:
    try:
        return work(number)
    except S2SError as error:
        return {"error": str(error)}
    except BaseException as error:
        return {"crash": f"{type(error).__name__}: {error}"}


def _read(pipe: int, child: int) -> bytes:
    told = b""
    with open(pipe, "rb", buffering=0) as stream:
        while True:
            if not select.select([stream], [], [], _SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
                raise Broken("a child does not end")
            if not (more := stream.read(1 << 16)):
                return told
            told += more


def _weights(bundle: Path) -> float:
    return float(sum(value.double().sum() for value in load_bundle(bundle).model.state_dict().values()))


class Concurrency(Attack):
    name = "concurrency"
    promise = (
        "Readers of what is being replaced get one version, whole; two runs in one folder, two writers of one output "
        "and two builders of one store are right or refused by name; a translator serves 32 threads and forked "
        "processes as it serves one"
    )
    units = "meetings"
    attempts = 400
    short = 7

    def prepare(self, folder: Path) -> None:
        self._bundles = [tiny_bundle(folder / str(seed), seed=seed) for seed in (0, 1)]
        self._sums = [_weights(bundle) for bundle in self._bundles]
        self._lines = sentences(THREADS * 2)
        self._translator = Translator.load(self._bundles[0])
        self._translations = self._translator.translate(self._lines)
        self._meetings = [
            self._bundle_replaced,
            self._checkpoint_replaced,
            self._one_store,
            self._one_output,
            self._one_run_folder,
            self._threads,
            self._forked,
        ]

    def attempt(self, number: int, folder: Path) -> Outcome:
        meeting = self._meetings[number % len(self._meetings)]
        with redirect_stderr(io.StringIO()):
            counts = meeting(folder)
        return Outcome(
            Counter(
                {f"{meeting.__name__.strip('_').replace('_', ' ')}: {what}": n for what, n in counts.items()}
            )
        )

    def _bundle_replaced(self, folder: Path) -> Counter[str]:
        place = tiny_bundle(folder / "bundle")

        def work(number: int) -> Any:
            if number < 2:  # both writers use the same path
                for turn in range(READS):
                    tiny_bundle(place, seed=turn % 2)
                return []
            return [_weights(place) for _ in range(READS)]

        told = at_once(work)
        for one in told:
            if not isinstance(one, list) or not set(one) <= set(self._sums):
                raise Broken(f"a reader got neither version: {one}")
        _expect_names(folder, {"bundle"})
        return Counter({"one version": sum(map(len, told))})

    def _checkpoint_replaced(self, folder: Path) -> Counter[str]:
        place = folder / "best.ckpt"
        content = [{"step": step, "weights": torch.full((20_000,), step)} for step in (0, 1)]
        DurableCheckpoints().save_checkpoint(content[0], place)

        def work(number: int) -> Any:
            if number < 2:
                for turn in range(READS * 4):
                    DurableCheckpoints().save_checkpoint(content[turn % 2], place)
                return []
            return [_step(place) for _ in range(READS * 4)]

        told = at_once(work)
        for one in told:
            if not isinstance(one, list) or not set(one) <= {0, 1}:
                raise Broken(f"a reader got neither version: {one}")
        _expect_names(folder, {"best.ckpt"})
        return Counter({"one version": sum(map(len, told))})

    def _one_store(self, folder: Path) -> Counter[str]:
        tokenizer = factory("tokenizer", "Bytes")()
        for name in ("a", "b"):
            (folder / f"{name}.tsv").write_text(
                "".join(f"{n} {name}\t{n}\n" for n in range(LINES)), encoding="utf-8"
            )

        def work(number: int) -> Any:
            name = "ab"[number // (PROCESSES - 1)]  # one of them builds a different one
            corpus = CorpusSpec(path=str(folder / f"{name}.tsv"))
            store = pair_store(folder / "cache", "train", [corpus], tokenizer, tokenizer)
            return all(store.text("source", n) == f"{n} {name}" for n in range(LINES)) and len(store) == LINES

        told = at_once(work)
        if told != [True] * PROCESSES:
            raise Broken(f"not the store that was asked for: {told}")
        names = os.listdir(folder / "cache")
        if len([name for name in names if name.startswith("train-") and "." not in name]) != 2:
            raise Broken(f"not two stores: {names}")
        return Counter({"right": PROCESSES})

    def _one_output(self, folder: Path) -> Counter[str]:
        path = folder / "out"

        def work(number: int) -> Any:
            with Outgoing(str(path)) as out:
                for line in range(LINES):
                    out.write(f"{number} {line}\n", [b"x"])
            return os.getpid()

        return _right_or_refused(at_once(work), folder, {"out"}, lambda: _of_one(path))

    def _one_run_folder(self, folder: Path) -> Counter[str]:
        run = folder / "run"

        def work(number: int) -> Any:
            held = RunFolder(run, "", overwrite=False)
            (run / "held").mkdir()  # fails if another is here
            time.sleep(0.02)
            (run / "held").rmdir()
            held.release()
            return os.getpid()

        return _right_or_refused(at_once(work), folder, set(), lambda: None)

    def _threads(self, folder: Path) -> Counter[str]:
        own = [self._lines[start::THREADS] for start in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            found: list[Any] = list(pool.map(self._translator.translate, own))
        if found != [self._translations[start::THREADS] for start in range(THREADS)]:
            raise Broken("a thread got other translations than the one that was alone")
        return Counter({"as alone": THREADS})

    def _forked(self, folder: Path) -> Counter[str]:
        told = at_once(lambda number: self._translator.translate(self._lines))
        if told != [self._translations] * PROCESSES:
            raise Broken(f"a forked process got other translations than its parent: {str(told)[:300]}")
        return Counter({"as the parent": PROCESSES})


def _step(place: Path) -> int:
    loaded = torch.load(place, weights_only=True)
    step = int(loaded["step"])
    if not torch.equal(loaded["weights"], torch.full((20_000,), step)):
        raise DataError("half of each")
    return step


def _of_one(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines != [f"{lines[0][0]} {line}" for line in range(LINES)]:
        raise Broken("what was written is of several")


def _right_or_refused(
    told: list[Any], folder: Path, names: set[str], check: Callable[[], None]
) -> Counter[str]:
    done = [one for one in told if isinstance(one, int)]
    refused = [one["error"] for one in told if isinstance(one, dict) and "error" in one]
    if not done or len(done) + len(refused) != len(told):
        raise Broken(f"neither done nor refused: {told}")
    for message in refused:
        if "(process " not in message and "another run is writing" not in message:  # it has only just started
            raise Broken(f"it is not said who is at work: {message}")
    check()
    _expect_names(folder, names)
    return Counter({"done": len(done), "refused by name": len(refused)})


def _expect_names(folder: Path, names: set[str]) -> None:
    if set(os.listdir(folder)) != names:
        raise Broken(f"left over: {set(os.listdir(folder)) - names}")
