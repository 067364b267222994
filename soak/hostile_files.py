"""Corrupted files from others: each is refused with a clear error, or gives a result; nothing is executed."""

import json
import os
import random
import warnings
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from soak.attack import Attack, Broken, Outcome
from soak.contained import results
from soak.mutated_files import copied, spoil

TEXT = ["abcdefghijklmnopqrstuvwxyz .,äßé", "the cat sat on the mat", "a dog ran", "das Haus am See"]
LINES = ["the cat", "äß dog mat", ""]
MUTATIONS = 10_000
EXPORT = Path(__file__).resolve().parents[1] / "tests" / "data" / "export_of_format_1"
"""Of `tests.references.tiny.tiny_bundle(folder, decoder="Recurrent")`, whose export takes a quarter of a minute."""
HARMLESS = {True: "harmless, equal result", False: "harmless, other result"}

CONFIG = """
task: Seq2Seq
run_folder: run
seed_everything: 3
model:
  embedding: {class_path: Lookup, init_args: {size: 8}}
  encoder: {class_path: Recurrent, init_args: {cell: {class_path: LSTM, init_args: {forget_bias: 1.0}}, hidden_size: 8}}
  decoder: {class_path: InputFeeding, init_args: {cell: GRU, attention: LuongDot, hidden_size: 8}}
  metric: {class_path: ChrF, init_args: {word_order: 2}}
  search: Greedy
  adam_betas: [0.9, 0.99]
data:
  train: [{path: pairs.tsv, weight: 2.0}, "a.en,a.de"]
  tokenizer: {class_path: SentencePiece, init_args: {vocabulary_size: 300}}
trainer:
  max_epochs: 3
  accelerator: cpu
  strategy: auto
  logger: [{class_path: CSVLogger, init_args: {save_dir: logs}}]
  callbacks: [{class_path: EarlyStopping, init_args: {monitor: loss}}]
  profiler: simple
  plugins: [{class_path: LightningEnvironment}]
"""


class Opening:
    """A corrupted copy and the function that opens it.

    Args:
        opens: opens a file or folder, and returns what it found.
        path: of the corrupted copy.
        told: how it is corrupted.
    """

    def __init__(self, opens: Callable[[Path], str], path: Path, told: str) -> None:
        self._opens, self.path, self._told = opens, path, told

    def __call__(self) -> str:
        return self._opens(self.path)

    def __str__(self) -> str:
        return f"{self.path.name}: {self._told}"


class HostileFiles(Attack):
    """Copies of a valid file or folder, each corrupted in one or two places.

    Attributes:
        at_once: copies per attempt, opened in one process.
        names_path: whether a refusal must name the path.
    """

    units = "mutations"
    at_once: ClassVar[int] = 50
    attempts = MUTATIONS // at_once
    short = 1
    names_path: ClassVar[bool] = True

    @abstractmethod
    def make(self, folder: Path) -> Path:
        """Create the valid file or folder."""

    @abstractmethod
    def open(self, path: Path) -> str:
        """Open a file or folder and use it; return the result as text."""

    def files(self, good: Path) -> list[Path]:
        """Relative paths of the files that may be corrupted; for a single file only `.`."""
        if good.is_file():
            return [Path()]
        return sorted(path.relative_to(good) for path in good.rglob("*") if path.is_file())

    def warm(self, good: Path) -> None:
        """Import everything needed for opening, so that forked processes import nothing more."""
        self.open(good)

    def seal(self, path: Path) -> None:
        """Correct the checksums, as an attacker would."""

    def prepare(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._good = self.make(folder)
            self.warm(self._good)
        [good] = results([Opening(self.open, self._good, "as it was")], folder)
        if good.what != "opened":
            raise Broken(f"the good one was refused: {good.told}")
        self._expected = good.told

    def attempt(self, number: int, folder: Path) -> Outcome:
        openings = []
        for i in range(self.at_once):
            chance = random.Random(f"{self.name} {number} {i}")
            path = copied(self._good, folder / f"{i}{self._good.suffix}")
            told = []
            for _ in range(chance.choice((1, 1, 1, 2))):
                victim = path / self._victim(chance)
                if not os.path.lexists(victim) or not victim.is_file() or victim.stat().st_size > 10**8:
                    continue
                told.append(f"{victim.name}: {spoil(victim, chance)}")
            if chance.random() < 0.7:
                self.seal(path)
                told.append("sealed")
            openings.append(Opening(self.open, path, f"attempt {number}, {', '.join(told)}"))
        counts: Counter[str] = Counter()
        broken = []
        for opening, result in zip(openings, results(openings, folder), strict=True):
            if result.what == "broken":
                broken.append(result.told)
            elif result.what == "opened":
                counts[HARMLESS[result.told == self._expected]] += 1
            elif self.names_path and str(opening.path) not in result.told:
                broken.append(f"{opening} was refused without its path: {result.told}")
            else:
                counts["refused"] += 1
        if broken:
            raise Broken("\n".join(broken))
        return Outcome(counts)

    def _victim(self, chance: random.Random) -> Path:
        return chance.choice(self.files(self._good))


class HostileBundles(HostileFiles):
    name = "hostile-bundles"
    promise = "a spoilt bundle is refused with its path, or translates; nothing is executed, and memory stays bounded"

    def make(self, folder: Path) -> Path:
        from tests.references.tiny import tiny_bundle

        return tiny_bundle(folder / "bundle", tokenizer="Characters")

    def files(self, good: Path) -> list[Path]:
        return [path for path in super().files(good) if path.name != "README.md"]

    def seal(self, path: Path) -> None:
        seal_shipped(path, "config.json")

    def open(self, path: Path) -> str:
        from s2s.inference.translator import Translator

        return repr(Translator.load(path, threads=1).translate(LINES, max_tokens=20))


class HostileExports(HostileFiles):
    name = "hostile-exports"
    promise = "a spoilt ONNX folder is refused with its path, or translates"

    def make(self, folder: Path) -> Path:
        return copied(EXPORT, folder / "exported")

    def files(self, good: Path) -> list[Path]:
        return [path for path in super().files(good) if path.name != "README.md"]

    def seal(self, path: Path) -> None:
        seal_shipped(path, "export.json")

    def warm(self, good: Path) -> None:
        import s2s.runtime.translator  # noqa: F401  (an onnxruntime session has threads, which do not survive a fork)

    def open(self, path: Path) -> str:
        from s2s.runtime.translator import OnnxTranslator

        return repr(OnnxTranslator.load(path, threads=1).translate(LINES, max_tokens=20))


class HostileTokenizers(HostileFiles):
    name = "hostile-tokenizers"
    promise = (
        "a spoilt tokenizer model is refused with its path, or splits text; no crafted one ends the process"
    )
    attempts = 7 * HostileFiles.attempts  # there are seven models, each corrupted equally often

    def make(self, folder: Path) -> Path:
        from s2s.registry.parts import factory

        for name, spec in self.specs().items():
            tokenizer = factory("tokenizer", spec)()
            tokenizer.train([*TEXT, *LINES] * 3)
            tokenizer.save(folder / "tokenizers" / name)
        return folder / "tokenizers"

    @staticmethod
    def specs() -> dict[str, Any]:
        from s2s.registry import catalogue

        small = {"vocabulary_size": 300}
        unigram = {
            "vocabulary_size": 60,
            "algorithm": "unigram",
            "byte_fallback": False,
            "normalization": "nmt_nfkc_cf",
            "sampling_alpha": 0.2,
        }
        own = {
            "SentencePiece": {"class_path": "SentencePiece", "init_args": {**small, "sampling_alpha": 0.1}},
            "unigram": {"class_path": "SentencePiece", "init_args": unigram},
        }
        return {**{name: name for name in catalogue().names("tokenizer")}, **own}

    def open(self, path: Path) -> str:
        from s2s.registry.parts import factory

        found = []
        for name, spec in self.specs().items():
            tokenizer = factory("tokenizer", spec)()
            tokenizer.load(path / name)
            ids = tokenizer.encode_batch(LINES)
            size = tokenizer.vocabulary_size
            if any(not 0 <= i < size for line in ids for i in line):
                raise Broken(f"ids beyond the vocabulary of {size}: {ids}")
            some = list(range(min(size, 400)))
            texts = [tokenizer.decode(some), *map(tokenizer.decode, ids), *tokenizer.tokens(some)]
            drawn = [tokenizer.encode_sampled(line, seed=1) for line in LINES]
            found.append((ids, texts, drawn, [tokenizer.normalize(line) for line in LINES]))
        return repr(found)


class HostileStores(HostileFiles):
    name = "hostile-stores"
    promise = "a spoilt token store is refused with its path, or read as numbers and text"

    def make(self, folder: Path) -> Path:
        from s2s.registry.parts import factory
        from s2s.text.corpus import corpus_spec
        from s2s.text.store_builder import pair_store

        pairs = folder / "pairs.tsv"
        pairs.write_text("".join(f"{a}\t{b}\n" for a, b in zip(TEXT, TEXT[::-1], strict=True)), "utf-8")
        tokenizer = factory("tokenizer", "Bytes")()
        return pair_store(folder / "cache", "train", [corpus_spec(str(pairs))], tokenizer, tokenizer).folder

    def open(self, path: Path) -> str:
        from s2s.text.store import PairStore

        store = PairStore(path, [("pairs.tsv",)])
        found: list[Any] = []
        for side in ("source", "target"):
            found += [store.lengths(side)[0:].tolist(), store.ends(side).tolist()]
            found += [store.id_counts(side).tolist()]
            for pair in range(len(store)):
                found += [store.ids(side, pair).tolist(), store.text(side, pair), store.origin(pair)]
        return repr(found)


class HostileCheckpoints(HostileFiles):
    name = "hostile-checkpoints"
    promise = "a spoilt checkpoint or run folder is refused with its path, or becomes a bundle; nothing is unpickled"
    at_once = 20
    attempts = MUTATIONS // at_once

    def make(self, folder: Path) -> Path:
        import s2s

        pairs = folder / "pairs.tsv"
        pairs.write_text("".join(f"{a}\t{b}\n" for a, b in zip(TEXT, TEXT[::-1], strict=True)), "utf-8")
        small = {"class_path": "Recurrent", "init_args": {"cell": "GRU", "hidden_size": 8}}
        config = {
            "model": {
                "embedding": {"class_path": "Lookup", "init_args": {"size": 8}},
                "encoder": small,
                "decoder": small,
            },
            "data": {"train": str(pairs), "validation": str(pairs), "tokenizer": "Characters"},
            "trainer": {"max_steps": 2, "accelerator": "cpu", "logger": False},
        }
        return s2s.fit(config, run_folder=str(folder / "run")).run_folder

    def files(self, good: Path) -> list[Path]:
        names = ["checkpoints/last.ckpt", "checkpoints/best.ckpt"]
        others = [path for path in super().files(good) if path.suffix in (".json", ".yaml", ".model")]
        kept = [path for path in others if "bundle" not in path.parts]
        return [path for path in map(Path, names) if (good / path).exists()] * 4 + kept

    def open(self, path: Path) -> str:
        from s2s.inference.conversion import read
        from s2s.inference.translator import Translator

        bundle = read(path, checkpoint="last")
        return repr(Translator(bundle, threads=1).translate(LINES, max_tokens=10))


class HostileConfigs(HostileFiles):
    name = "hostile-configs"
    promise = "a configuration builds only parts of plugins and listed classes; a spoilt one is refused, or understood"
    at_once = 10
    attempts = MUTATIONS // at_once
    names_path = False  # the error names an option instead, as configurations are merged

    def make(self, folder: Path) -> Path:
        path = folder / "run.yaml"
        path.write_text(CONFIG, "utf-8")
        return path

    def open(self, path: Path) -> str:
        from s2s.training.cli import _Run
        from s2s.training.options import read_config

        return _Run("fit", [read_config(str(path))], only_print=True).config_text()


def seal_shipped(folder: Path, name: str) -> None:
    """Write correct checksums into a bundle or export, if its configuration is still readable."""
    from s2s.inference import checksums

    path = folder / name
    try:
        config = json.loads(path.read_bytes()) if path.is_file() and path.stat().st_size < 10**7 else None
        if not isinstance(config, dict) or not isinstance(config.get("sha256"), dict):
            return
        for file in config["sha256"]:
            if (folder / file).is_file() and (folder / file).stat().st_size < 10**7:
                config["sha256"][file] = checksums.of_file(folder / file)
        if not config.get("unsigned"):
            config = checksums.signed(config)
        path.write_text(json.dumps(config), "utf-8")
    except (ValueError, OSError, RecursionError):
        return
