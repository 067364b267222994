"""Token store: text pairs and their ids in memory-mapped files, built once for all epochs and workers."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from s2s.errors import DataError
from s2s.text.corpus import BadLinePolicy, CorpusSpec, LineReport, Pair, open_corpus
from s2s.text.tokenizer import Tokenizer

TooLongPolicy: TypeAlias = Literal["skip", "truncate", "error"]
Sides: TypeAlias = Literal["source", "target"]

_SIDES: tuple[Sides, Sides] = ("source", "target")
_FORMAT = 2  # part of every fingerprint: raise it when the files' layout or the treatment of text changes
_CHUNK_PAIRS = 10_000  # encoded at once: enough for the tokenizer's threads, few megabytes
_SETTLED_NS = 2_000_000_000  # a file changed less than 2 s before it was read may change again unseen


class PairStore:
    """Read access to a finished store; costs no memory to speak of, whatever its size.

    Attributes:
        folder: where the files are.
        fingerprint: of the text, the tokenizers and the options that made it.
        bounds: first and last + 1 pair of each corpus.
        report: what was skipped or cut when it was built, a line per reason.
    """

    def __init__(self, folder: Path, paths: Sequence[Sequence[str]]) -> None:
        self.folder = folder
        self._paths = [tuple(corpus) for corpus in paths]
        try:
            about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} is no finished token store: {error}") from error
        self.fingerprint: str = about["fingerprint"]
        self.bounds: list[tuple[int, int]] = [(start, stop) for start, stop in about["bounds"]]
        self.report: list[str] = about["report"]
        self._pairs: int = about["pairs"]
        self._ids = {side: self._map(f"{side}.ids", np.dtype(about[f"{side}_dtype"])) for side in _SIDES}
        self._id_offsets = {side: self._offsets(f"{side}.offsets") for side in _SIDES}
        self._text = {side: self._map(f"{side}.text", np.dtype(np.uint8)) for side in _SIDES}
        self._text_offsets = {side: self._offsets(f"{side}.text_offsets") for side in _SIDES}
        self._lines = self._map("lines", np.dtype(np.int64))
        for side in _SIDES:
            whole = (len(self._ids[side]), len(self._text[side]), len(self._lines))
            stated = (int(self._id_offsets[side][-1]), int(self._text_offsets[side][-1]), self._pairs)
            if whole != stated:
                raise DataError(f"{folder} is damaged: it holds {whole}, not {stated}; delete it")

    def _map(self, name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        path = self.folder / name
        if not path.exists() or path.stat().st_size % dtype.itemsize:
            raise DataError(f"{path} is missing or damaged; delete the folder")
        if path.stat().st_size == 0:
            return np.empty(0, dtype)
        return np.memmap(path, dtype, mode="r")

    def _offsets(self, name: str) -> npt.NDArray[np.int64]:
        offsets = self._map(name, np.dtype(np.int64))
        if len(offsets) != self._pairs + 1:
            raise DataError(f"{self.folder / name} is damaged; delete the folder")
        return offsets

    def __reduce__(self) -> tuple[type["PairStore"], tuple[Path, list[tuple[str, ...]]]]:
        """A worker process maps the files anew."""
        return PairStore, (self.folder, self._paths)

    def __len__(self) -> int:
        """Number of pairs."""
        return self._pairs

    def lengths(self, side: Sides) -> npt.NDArray[np.int64]:
        """Tokens per sentence, without bos and eos, [pairs]."""
        return np.diff(self._id_offsets[side])

    def ids(self, side: Sides, pair: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        """The ids of one sentence, without bos and eos, [time]."""
        offsets = self._id_offsets[side]
        return self._ids[side][int(offsets[pair]) : int(offsets[pair + 1])]

    def text(self, side: Sides, pair: int) -> str:
        """One sentence as it stood in the file."""
        offsets = self._text_offsets[side]
        return self._text[side][int(offsets[pair]) : int(offsets[pair + 1])].tobytes().decode("utf-8")

    def origin(self, pair: int) -> str:
        """File(s) and line of a pair, for messages."""
        corpus = next(i for i, (start, stop) in enumerate(self.bounds) if start <= pair < stop)
        return f"{','.join(self._paths[corpus])}:{int(self._lines[pair])}"


def file_digest(path: str, cache: Path) -> str:
    """The SHA-256 of a file's contents; not computed again while size and time of change stay the same.

    Raises:
        DataError: the file cannot be read.
    """
    known_path = cache / "files.json"
    try:
        known: dict[str, list[Any]] = json.loads(known_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    key = str(Path(path).resolve())
    try:
        status = os.stat(path)
        stamp = [status.st_size, status.st_mtime_ns]
        if key in known and known[key][:2] == stamp:
            return str(known[key][2])
        now = time.time_ns()
        with open(path, "rb") as file:
            digest = _digest(file)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; paths are relative to {Path.cwd()}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if now - status.st_mtime_ns > _SETTLED_NS:
        known[key] = [*stamp, digest]
        cache.mkdir(parents=True, exist_ok=True)
        beside = known_path.with_name(f"files.json.{os.getpid()}")
        beside.write_text(json.dumps(known, indent=0), encoding="utf-8")
        beside.replace(known_path)
    return digest


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def pair_store(
    cache: Path,
    name: str,
    corpora: Sequence[CorpusSpec],
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    *,
    on_bad_line: BadLinePolicy = "error",
    max_source_tokens: int | None = None,
    max_target_tokens: int | None = None,
    on_too_long: TooLongPolicy = "skip",
) -> PairStore:
    """The store of some corpora: opened if it is there, built first if not.

    It is built anew when the files' contents, a tokenizer, an option or the store's format changed. A build
    is written beside its place and renamed when it is whole; of several processes one builds and the others
    wait.

    Args:
        cache: folder that holds stores.
        name: the split, part of the store's folder name.
        corpora: what to read, in order.
        source_tokenizer: gives the ids of sources.
        target_tokenizer: gives the ids of targets.
        on_bad_line: what happens to lines that cannot be used.
        max_source_tokens: longest source, in tokens; None: no limit.
        max_target_tokens: longest target, in tokens without bos and eos; None: no limit.
        on_too_long: what happens to pairs beyond these limits.

    Raises:
        DataError: a file cannot be read, a line is bad, or no pair is left.
    """
    options = [on_bad_line, max_source_tokens, max_target_tokens, on_too_long]
    parts = [_FORMAT, options, source_tokenizer.fingerprint(), target_tokenizer.fingerprint()]
    for spec in corpora:
        digests = [file_digest(path, cache) for path in spec.paths]
        parts.append([type(open_corpus(spec)).__qualname__, spec.source_key, spec.target_key, *digests])
    fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    folder = cache / f"{name}-{fingerprint[:16]}"
    paths = [spec.paths for spec in corpora]
    if not (folder / "store.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / "store.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                builder = _Builder(
                    folder.with_name(f"{folder.name}.partial"),
                    fingerprint,
                    (source_tokenizer, target_tokenizer),
                    LineReport(on_bad_line),
                    (max_source_tokens, max_target_tokens),
                    on_too_long,
                )
                builder.build(name, corpora)
                builder.folder.rename(folder)
                _sync_folder(cache)
    return PairStore(folder, paths)


class _Builder:
    """Writes a store, a chunk of pairs at a time."""

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        tokenizers: tuple[Tokenizer, Tokenizer],
        report: LineReport,
        limits: tuple[int | None, int | None],
        on_too_long: TooLongPolicy,
    ) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.tokenizers = dict(zip(_SIDES, tokenizers, strict=True))
        self.report = report
        self.too_long = LineReport("error" if on_too_long == "error" else "skip")
        self.limits = dict(zip(_SIDES, limits, strict=True))
        self.truncate = on_too_long == "truncate"
        self.dtypes = {side: _id_type(self.tokenizers[side].vocabulary_size) for side in _SIDES}
        self.pairs = 0
        self.ends = {name: 0 for side in _SIDES for name in (f"{side}.offsets", f"{side}.text_offsets")}

    def build(self, name: str, corpora: Sequence[CorpusSpec]) -> None:
        """Reads all corpora and leaves a whole store in the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        started = time.monotonic()
        console = Console(stderr=True)
        names = [*self.ends, *(f"{side}.{what}" for side in _SIDES for what in ("ids", "text")), "lines"]
        self.files: dict[str, IO[bytes]] = {}
        bounds = []
        try:
            for file in names:
                self.files[file] = open(self.folder / file, "wb")  # noqa: SIM115 (closed below, all together)
            for offsets in self.ends:
                self.files[offsets].write(np.zeros(1, np.int64).tobytes())
            with _progress(console) as progress:
                size = sum(_size(spec) for spec in corpora)
                task = progress.add_task(f"storing {name}", total=size, lines="")
                for spec in corpora:
                    start = self.pairs
                    self._corpus(spec, progress, task)
                    bounds.append((start, self.pairs))
            for stream in self.files.values():
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            for stream in self.files.values():
                stream.close()
        lines = self.report.lines() + self.too_long.lines()
        if self.pairs == 0:
            shutil.rmtree(self.folder)
            files = " and ".join(",".join(spec.paths) for spec in corpora)
            raise DataError("; ".join([f"{files}: no pair is left to use", *lines]))
        about = {
            "fingerprint": self.fingerprint,
            "pairs": self.pairs,
            "bounds": bounds,
            "source_dtype": self.dtypes["source"].name,
            "target_dtype": self.dtypes["target"].name,
            "report": lines,
        }
        with open(self.folder / "store.json", "w", encoding="utf-8") as last:
            json.dump(about, last, indent=1)
            last.flush()
            os.fsync(last.fileno())
        _sync_folder(self.folder)
        tokens = ", ".join(f"{self.ends[f'{side}.offsets']:,} {side} tokens" for side in _SIDES)
        seconds = time.monotonic() - started
        console.print(
            f"{name}: {self.pairs:,} pairs, {tokens}, stored in {seconds:.1f} s",
            highlight=False,
            soft_wrap=True,
        )

    def _corpus(self, spec: CorpusSpec, progress: Progress, task: TaskID) -> None:
        before = progress.tasks[task].completed
        pairs = open_corpus(spec).pairs(self.report)
        self.report.bytes_read.clear()
        while chunk := list(islice(pairs, _CHUNK_PAIRS)):
            self._chunk(spec, chunk)
            done = before + sum(self.report.bytes_read.values())
            progress.update(task, completed=done, lines=f"{self.pairs:,} pairs")
        progress.update(task, completed=before + _size(spec))

    def _chunk(self, spec: CorpusSpec, chunk: list[Pair]) -> None:
        texts = {"source": [pair.source for pair in chunk], "target": [pair.target for pair in chunk]}
        ids = {side: self.tokenizers[side].encode_batch(texts[side]) for side in _SIDES}
        kept = [i for i, pair in enumerate(chunk) if self._fits(spec, pair, {s: ids[s][i] for s in _SIDES})]
        for side in _SIDES:
            limit = self.limits[side]
            sentences = [ids[side][i][:limit] for i in kept]
            encoded = [texts[side][i].encode("utf-8") for i in kept]
            flat = np.fromiter((t for sentence in sentences for t in sentence), self.dtypes[side])
            self.files[f"{side}.ids"].write(flat.tobytes())
            self.files[f"{side}.text"].write(b"".join(encoded))
            self._lengths(f"{side}.offsets", [len(sentence) for sentence in sentences])
            self._lengths(f"{side}.text_offsets", [len(text) for text in encoded])
        self.files["lines"].write(np.array([chunk[i].line for i in kept], np.int64).tobytes())
        self.pairs += len(kept)

    def _fits(self, spec: CorpusSpec, pair: Pair, ids: dict[Sides, list[int]]) -> bool:
        """Whether a pair is used, perhaps cut; says so if not."""
        for side in _SIDES:
            if not ids[side]:  # a normalization may delete characters; attention over nothing is no number
                self.report.bad(f"no tokens in the {side}", f"{','.join(spec.paths)}:{pair.line}")
                return False
        fits = True
        for side in _SIDES:
            limit = self.limits[side]
            if limit is None or len(ids[side]) <= limit:
                continue
            place = f"{','.join(spec.paths)}:{pair.line}"
            reason = f"{side} longer than {limit} tokens"
            if self.truncate:
                self.too_long.shortened(reason, place)
            elif self.too_long.on_bad_line == "error":
                raise DataError(
                    f"{place}: {reason} (it has {len(ids[side])}); raise max_{side}_tokens, or choose "
                    "on_too_long: skip or truncate"
                )
            elif fits:
                self.too_long.bad(reason, place)
                fits = False
        return fits

    def _lengths(self, name: str, lengths: list[int]) -> None:
        ends = self.ends[name] + np.cumsum(np.array(lengths, np.int64))
        self.files[name].write(ends.tobytes())
        self.ends[name] = int(ends[-1]) if lengths else self.ends[name]


def corpus_lines(
    corpora: Sequence[CorpusSpec], sides: Sequence[Sides], on_bad_line: BadLinePolicy
) -> Iterator[str]:
    """The text of some sides of corpora, for a tokenizer to learn from; a bar shows the progress."""
    console = Console(stderr=True)
    with _progress(console) as progress:
        size = sum(_size(spec) for spec in corpora)
        task = progress.add_task(f"reading {' and '.join(sides)} for the tokenizer", total=size, lines="")
        report = LineReport(on_bad_line)
        before = 0
        for spec in corpora:
            report.bytes_read.clear()
            for number, pair in enumerate(open_corpus(spec).pairs(report)):
                for side in sides:
                    yield pair.source if side == "source" else pair.target
                if number % _CHUNK_PAIRS == 0:
                    progress.update(task, completed=before + sum(report.bytes_read.values()))
            before += _size(spec)
            progress.update(task, completed=before)


def _size(spec: CorpusSpec) -> int:
    """Bytes of a corpus on disk; 0 for what is missing, which its reader will say better."""
    return sum(os.path.getsize(path) for path in spec.paths if os.path.exists(path))


def _progress(console: Console) -> Progress:
    """A bar on a terminal; nothing elsewhere."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[lines]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _id_type(vocabulary_size: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if vocabulary_size <= 2**16 else np.uint32)


def _sync_folder(folder: Path) -> None:
    """Makes names in a folder survive a crash of the machine; not every system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
