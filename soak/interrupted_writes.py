"""Everything that s2s saves, on a disk that fails at each operation, or killed at each operation and byte."""

import io
import os
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

import s2s.export.folder
from s2s.commands import tokenizer as tokenizer_command
from s2s.commands.output import Output
from s2s.export.graphs import Graphs
from s2s.inference.bundle import add_shortlist, load_bundle
from s2s.inference.exported import EXPORTED
from s2s.inference.model_bundle import build, load_any_bundle, save_model_bundle
from s2s.inference.outgoing import Outgoing
from s2s.nn.forecaster import ForecastModel
from s2s.registry.parts import factory
from s2s.text.corpus import CorpusSpec
from s2s.text.shortlist import Shortlist
from s2s.text.store import PairStore
from s2s.text.store_builder import pair_store
from s2s.text.tokenizer import Tokenizer
from s2s.training.callbacks import DurableCheckpoints
from soak.attack import Attack, Broken, Outcome
from soak.faults import KILLED_AT_BYTE, LIMITED, VANISHED, Ended, Fault, faults_of, run
from tests.references.tiny import tiny_bundle

FAULTS_IN_AN_ATTEMPT = 10
SIZES = 20
"""Number of file size limits tried for each saved artifact."""


class Saved(ABC):
    """An artifact that s2s saves, in two versions: 0 and 1.

    Attributes:
        name: the file or folder name.
        beside: names that remain beside it, other than locks.
        begun: names of partial results that are kept for resuming when writing fails.
        side_by_side: both versions are kept side by side, so that nothing is replaced.
    """

    name: str
    beside: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()
    side_by_side = False

    def prepare(self, shared: Path) -> None:
        """Create the inputs of both versions once; then record what reading each version gives."""
        self.make(shared)
        self._versions = []
        for version in (0, 1):
            folder = shared / f"version-{version}"
            folder.mkdir()
            self.write(folder, version)
            self._versions.append(self.read(folder / self.name))

    def found(self, folder: Path) -> set[int]:
        """The readable versions."""
        place = folder / self.name
        if not place.exists():
            return set()
        return {self._versions.index(self.read(place))}

    @abstractmethod
    def make(self, shared: Path) -> None: ...

    @abstractmethod
    def write(self, folder: Path, version: int) -> None: ...

    @abstractmethod
    def read(self, place: Path) -> object: ...

    def go_on(self, folder: Path, version: int) -> None:
        """The user's action after a failure."""
        self.write(folder, version)


class SavedCheckpoint(Saved):
    name = "last.ckpt"

    def make(self, shared: Path) -> None:
        self._content = [{"global_step": step, "weights": torch.full((3_000,), step)} for step in (0, 1)]

    def write(self, folder: Path, version: int) -> None:
        DurableCheckpoints().save_checkpoint(self._content[version], folder / self.name)

    def read(self, place: Path) -> object:
        loaded = torch.load(place, weights_only=True)
        return loaded["global_step"], loaded["weights"].tolist()


class SavedBundle(Saved):
    name = "bundle"

    def make(self, shared: Path) -> None:
        """Nothing: a tiny bundle is written faster than it is copied."""

    def write(self, folder: Path, version: int) -> None:
        tiny_bundle(folder / self.name, seed=version)

    def read(self, place: Path) -> object:
        return {name: value.tolist() for name, value in load_bundle(place).model.state_dict().items()}


class SavedForecaster(Saved):
    name = "forecaster"

    def make(self, shared: Path) -> None:
        encoder = {"class_path": "Recurrent", "init_args": {"hidden_size": 4, "bidirectional": False}}
        self._config: dict[str, Any] = {
            "columns": ["a"],
            "targets": ["a"],
            "encoder": encoder,
            "history": 3,
        }
        self._models = [build(ForecastModel, self._config) for _ in (0, 1)]

    def write(self, folder: Path, version: int) -> None:
        model = self._models[version]
        save_model_bundle(folder / self.name, model=model, model_config=self._config, tokenizers={})

    def read(self, place: Path) -> object:
        return {name: value.tolist() for name, value in load_any_bundle(place).model.state_dict().items()}


class SavedShortlist(Saved):
    name = "bundle"

    def make(self, shared: Path) -> None:
        self._bundle = tiny_bundle(shared / "bundle")
        vocabulary = load_bundle(self._bundle).source_tokenizer.vocabulary_size
        always = np.arange(4, dtype=np.int32)
        self._lists = [
            Shortlist(np.full((vocabulary, 2), 4 + version, np.int32), always) for version in (0, 1)
        ]

    def write(self, folder: Path, version: int) -> None:
        if not (folder / self.name).exists():
            tiny_bundle(folder / self.name)
        add_shortlist(folder / self.name, self._lists[version])

    def read(self, place: Path) -> object:
        shortlist = load_bundle(place).shortlist
        return None if shortlist is None else shortlist.beside.tolist()

    def found(self, folder: Path) -> set[int]:
        if (folder / self.name).exists() and self.read(folder / self.name) is None:
            return set()  # the bundle exists, but has none yet
        return super().found(folder)


class SavedExport(Saved):
    name = "export"

    def make(self, shared: Path) -> None:
        self._bundles = [tiny_bundle(shared / str(version), seed=version) for version in (0, 1)]
        weights = numpy_helper.from_array(np.arange(600, dtype=np.float32), "weights")
        graph = helper.make_graph([], "graph", [], [], [weights])
        # Creating real graphs takes longer than a thousand attempts; the writing code does not inspect them.
        s2s.export.folder.to_onnx = lambda model: Graphs(  # type: ignore[attr-defined]
            *(helper.make_model(graph) for _ in Graphs._fields)
        )
        s2s.export.folder.verify = lambda *_, **__: None  # type: ignore[attr-defined]

    def write(self, folder: Path, version: int) -> None:
        s2s.export.folder.export_bundle(self._bundles[version], folder / self.name)

    def read(self, place: Path) -> object:
        config = EXPORTED.read_config(place)
        EXPORTED.check_files(place, config)
        onnx.load(place / "step.onnx")
        return config["bundle"]


class SavedStore(Saved):
    name = "cache"
    beside = frozenset({"files.json"})
    side_by_side = True

    def make(self, shared: Path) -> None:
        self._texts = []
        for version in (0, 1):
            text = shared / f"{version}.tsv"
            text.write_text("".join(f"{n} {version}\t{n}\n" for n in range(200)), encoding="utf-8")
            os.utime(text, (0, 0))  # long ago, so that its digest is kept
            self._texts.append(str(text))
        self._tokenizer: Tokenizer = factory("tokenizer", "Bytes")()

    def write(self, folder: Path, version: int) -> None:
        pair_store(folder, "train", [CorpusSpec(path=self._texts[version])], *[self._tokenizer] * 2)

    def prepare(self, shared: Path) -> None:
        self.make(shared)

    def read(self, place: Path) -> object:
        store = PairStore(place, [[]])
        return [
            (store.text("source", pair), store.ids("target", pair).tolist()) for pair in range(len(store))
        ]

    def found(self, folder: Path) -> set[int]:
        found = set()
        for about in folder.glob("train-*/store.json"):
            version = PairStore(about.parent, [[]]).text("source", 0)[-1]
            rows = [(f"{n} {version}", self._tokenizer.encode(str(n))) for n in range(200)]
            if self.read(about.parent) != rows:
                raise Broken(f"{about.parent} is not what was stored")
            found.add(int(version))
        return found


class SavedTokenizer(Saved):
    name = "tokenizer"
    side_by_side = True  # the command refuses to replace one

    def make(self, shared: Path) -> None:
        self._text = shared / "text"
        self._text.write_text("äbc\n" * 50, encoding="utf-8")

    def write(self, folder: Path, version: int) -> None:
        words = [
            "train",
            str(self._text),
            "--out",
            str(folder / f"{self.name}-{version}"),
            "--kind",
            "Characters",
        ]
        tokenizer_command.main(words)

    def prepare(self, shared: Path) -> None:
        self.make(shared)

    def read(self, place: Path) -> object:
        return tokenizer_command.read_tokenizer(place).encode("cab")

    def found(self, folder: Path) -> set[int]:
        learnt = factory("tokenizer", "Characters")()
        learnt.train(["äbc"])
        found = set()
        for place in folder.glob(f"{self.name}-*"):
            if self.read(place) != learnt.encode("cab"):
                raise Broken(f"{place} has learnt something else")
            found.add(int(place.name[-1]))
        return found


class SavedOutput(Saved):
    name = "scores.txt"

    def make(self, shared: Path) -> None:
        """Nothing."""

    def write(self, folder: Path, version: int) -> None:
        with Output(str(folder / self.name)) as out:
            for line in range(3_000):
                out.write(f"{version} {line}\n")

    def read(self, place: Path) -> object:
        return place.read_bytes()


class SavedTranslation(Saved):
    name = "out.gz"
    begun = frozenset({"out.gz.partial", "out.gz.partial.json"})

    def make(self, shared: Path) -> None:
        """Nothing."""

    def write(self, folder: Path, version: int, *, resume: bool = False) -> None:
        with Outgoing(str(folder / self.name), made_of={"version": version}, resume=resume) as out:
            for window in range(out.lines // 2, 4):
                lines = [f"{version} {window} {line}\n" for line in range(2)]
                out.write("".join(lines), [line.encode() for line in lines])

    def go_on(self, folder: Path, version: int) -> None:
        self.write(folder, version, resume=True)

    def read(self, place: Path) -> object:
        return place.read_bytes()


SAVED: tuple[type[Saved], ...] = (
    SavedCheckpoint,
    SavedBundle,
    SavedForecaster,
    SavedShortlist,
    SavedExport,
    SavedStore,
    SavedTokenizer,
    SavedOutput,
    SavedTranslation,
)


class Case(NamedTuple):
    """A fault while version 1 of an artifact is written."""

    saved: Saved
    replaces: bool
    fault: Fault


class InterruptedWrites(Attack):
    name = "interrupted-writes"
    promise = (
        "What is saved is there whole or not at all, whatever call to the disk fails and wherever the process is "
        "killed; the version before stays readable, an error says what to do, and the next write leaves no rubbish"
    )
    units = "faults"
    attempts = 400
    short = 6

    def prepare(self, folder: Path) -> None:
        kinds = []
        for number, kind in enumerate(SAVED):
            saved = kind()
            shared = folder / str(number)
            shared.mkdir()
            with redirect_stderr(io.StringIO()):
                saved.prepare(shared)
            for replaces in (False, True):
                kinds.append([Case(saved, replaces, fault) for fault in _faults(saved, replaces, shared)])
                random.Random(1).shuffle(kinds[-1])
        # Interleaved, so that the first attempts cover every artifact.
        self._cases = [case for cases in zip_longest(*kinds) for case in cases if case is not None]

    def attempt(self, number: int, folder: Path) -> Outcome:
        counts: Counter[str] = Counter()
        for place in range(FAULTS_IN_AN_ATTEMPT):
            case = self._cases[(number * FAULTS_IN_AN_ATTEMPT + place) % len(self._cases)]
            own = folder / str(place)
            own.mkdir()
            try:
                counts[_try(case, own)] += 1
            except Exception as error:
                what = f"{type(case.saved).__name__}, {'replaced' if case.replaces else 'new'}, {case.fault}"
                raise Broken(f"{what}: {type(error).__name__}: {error}") from error
        return Outcome(counts, {"kinds_of_faults": len(self._cases)})


def _faults(saved: Saved, replaces: bool, shared: Path) -> Iterator[Fault]:
    """All possible faults while version 1 is written."""
    folder = shared / f"counted-{replaces}"
    folder.mkdir()
    with redirect_stderr(io.StringIO()):
        if replaces:
            saved.write(folder, 0)
        ended = run(lambda: saved.write(folder, 1), folder, None)
    if ended.how != "done":
        raise Broken(f"{type(saved).__name__} cannot be written at all: {ended.message}")
    for at, call in enumerate(ended.calls):
        yield from (Fault(what, at) for what in faults_of(call))
    largest = max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    for size in np.linspace(0, largest - 1, SIZES).astype(int).tolist():
        yield from (Fault(what, size) for what in (LIMITED, KILLED_AT_BYTE))


def _try(case: Case, folder: Path) -> str:
    """Let a write fail, check what remains, and write again.

    Raises:
        Broken: something was lost, half written or left over, or the error does not help.
    """
    saved, before = case.saved, {0} if case.replaces else set()
    with redirect_stderr(io.StringIO()):
        if case.replaces:
            saved.write(folder, 0)
        ended = run(lambda: saved.write(folder, 1), folder, case.fault)
    vanished = case.fault.what == VANISHED
    _check_told(ended, folder, vanished)
    found = saved.found(folder) if folder.exists() else set()
    lost = not before <= found if saved.side_by_side else bool(before) and not found
    if lost and not vanished:
        raise Broken("the version before is lost")
    if not found <= {0, 1} or ended.how == "done" and 1 not in found and not vanished:
        raise Broken(f"it ended well, and there is {found}")
    if ended.how == "refused":
        _check_tidy(folder, saved.beside | saved.begun)
    folder.mkdir(exist_ok=True)
    with redirect_stderr(io.StringIO()):
        if 1 not in found or not saved.side_by_side:
            saved.go_on(folder, 1)
    if 1 not in saved.found(folder):
        raise Broken("it cannot be written afterwards")
    if not (saved.side_by_side and 1 in found):  # otherwise nobody writes it again
        _check_tidy(folder, saved.beside)
    return (
        "new version whole" if 1 in found else "version before whole" if before & found else "nothing there"
    )


def _check_told(ended: Ended, folder: Path, vanished: bool) -> None:
    if ended.how == "crashed":
        raise Broken(f"no error for people: {ended.message}")
    if ended.how == "refused":
        path, _, remedy = ended.message.partition("; ")
        if str(folder) not in path or not remedy:
            raise Broken(f"the error names no path or no remedy: {ended.message}")
        if not vanished and not path.startswith("cannot write "):
            raise Broken(f"the error says something else: {ended.message}")


def _check_tidy(folder: Path, allowed: frozenset[str]) -> None:
    names = os.listdir(folder) if folder.exists() else []
    strange = [name for name in names if name.startswith(".") or ".partial" in name and name not in allowed]
    if strange:
        raise Broken(f"left over: {', '.join(strange)}")
