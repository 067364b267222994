"""Token store: text pairs and their ids in memory-mapped files, built once for all epochs and workers."""

import hashlib
import io
import json
import multiprocessing
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from s2s.durable import durable_folder, make_folder, write_durably, writing
from s2s.errors import DataError
from s2s.text.corpus import BadLinePolicy, CorpusSpec, LineReport, Pair, Sides, open_corpus
from s2s.text.tokenizer import Tokenizer
from s2s.untrusted import parse_json, read_json

TooLongPolicy: TypeAlias = Literal["skip", "truncate", "error"]

_SIDES: tuple[Sides, Sides] = ("source", "target")
_ID_TYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype(np.uint16), "uint32": np.dtype(np.uint32)}
_FORMAT = 2  # part of every fingerprint: raise it when the files' layout or the treatment of text changes
_CHUNK_PAIRS = 10_000  # encoded at once: enough for the tokenizer's threads, few megabytes
_CHUNK_LETTERS = 2**23  # and no more than these, so that long lines do not fill the memory
_PARALLEL_BYTES = (
    2**24
)  # of text, some 100,000 pairs: seconds of work for one core, and starting the others takes 0.1 s
_COUNTED = 2**20  # ids read at once where all are gone through
_WATCH_SECONDS = 0.5  # between a worker's looks at whether its parent still lives
_SETTLED_NS = 2_000_000_000  # a file changed less than 2 s before it was read may change again unseen


class Column:
    """Numbers in a file. A part is read when it is asked for, and forgotten.

    Not a memory map: its pages count as the process's own from when they are touched to its end.

    Args:
        path: the file.
        dtype: of its numbers.

    Raises:
        DataError: the file is missing, or its size fits no such numbers.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype
        self._lock = threading.Lock()
        try:
            # Not blocking: a pipe in its place must not make us wait.
            self._file: io.FileIO = open(path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115 (stays open)
        except OSError as error:
            raise DataError(f"{path} is missing or damaged; delete the folder") from error
        status = os.fstat(self._file.fileno())
        size = status.st_size
        if size % dtype.itemsize or not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is missing or damaged; delete the folder")
        self._length = size // dtype.itemsize

    def __reduce__(self) -> tuple[type["Column"], tuple[Path, np.dtype[Any]]]:
        """A worker process opens the file anew."""
        return Column, (self.path, self.dtype)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> npt.NDArray[Any]:
        start, stop, _ = part.indices(self._length)
        numbers = np.empty(max(0, stop - start), self.dtype)
        done = 0
        while done < numbers.nbytes:  # by position, for a forked process shares the file with others
            into = numbers.data.cast("B")[done:]
            read = self._read(into, start * self.dtype.itemsize + done)
            if not read:
                raise DataError(f"{self.path} has become shorter; delete the folder")
            done += read
        return numbers

    def _read(self, into: memoryview, position: int) -> int:
        """Fills a part of a buffer; how much, only the system knows."""
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [into], position)
        # Windows and old macOS, where a worker process opens the file anew instead of sharing it.
        with self._lock:
            self._file.seek(position)
            return self._file.readinto(into)


class Lengths:
    """Differences of the neighbours in a column of offsets: the tokens of each sentence."""

    def __init__(self, offsets: Column) -> None:
        self._offsets = offsets
        self._whole = int(offsets[len(offsets) - 1 :][0])

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, part: slice) -> npt.NDArray[np.int64]:
        start, stop, _ = part.indices(len(self))
        ends = self._offsets[start : max(start, stop) + 1]
        lengths = np.diff(ends)
        if len(lengths) and (ends[0] < 0 or ends[-1] > self._whole or lengths.min() < 0):
            raise DataError(
                f"{self._offsets.path} is damaged: what it holds does not rise; delete the folder"
            )
        return lengths


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
        about = _about(folder)
        self.fingerprint = about.fingerprint
        self.bounds = about.bounds
        self.report = about.report
        self._pairs = about.pairs
        self._ids = {side: Column(folder / f"{side}.ids", about.dtypes[side]) for side in _SIDES}
        self._id_offsets = {side: self._offsets(f"{side}.offsets") for side in _SIDES}
        self._text = {side: Column(folder / f"{side}.text", np.dtype(np.uint8)) for side in _SIDES}
        self._text_offsets = {side: self._offsets(f"{side}.text_offsets") for side in _SIDES}
        self._lines = Column(folder / "lines", np.dtype(np.int64))
        for side in _SIDES:
            whole = (len(self._ids[side]), len(self._text[side]), len(self._lines))
            stated = (
                *(int(o[side][self._pairs :][0]) for o in (self._id_offsets, self._text_offsets)),
                self._pairs,
            )
            if whole != stated:
                raise DataError(f"{folder} is damaged: it holds {whole}, not {stated}; delete it")

    def _offsets(self, name: str) -> Column:
        offsets = Column(self.folder / name, np.dtype(np.int64))
        if len(offsets) != self._pairs + 1:
            raise DataError(f"{self.folder / name} is damaged; delete the folder")
        return offsets

    def __reduce__(self) -> tuple[type["PairStore"], tuple[Path, list[tuple[str, ...]]]]:
        """A worker process maps the files anew."""
        return PairStore, (self.folder, self._paths)

    def __len__(self) -> int:
        """Number of pairs."""
        return self._pairs

    def lengths(self, side: Sides) -> Lengths:
        """Tokens per sentence, without bos and eos, [pairs]; to be asked for by slices."""
        return Lengths(self._id_offsets[side])

    def ids(self, side: Sides, pair: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        """The ids of one sentence, without bos and eos, [time]."""
        return self._ids[side][self._place(self._id_offsets[side], pair)]

    def id_counts(self, side: Sides) -> npt.NDArray[np.int64]:
        """How often each id occurs on one side, [ids]; ids above the greatest that occurs are left out."""
        column = self._ids[side]
        counts = np.zeros(0, np.int64)
        for start in range(0, len(column), _COUNTED):
            found = np.bincount(column[start : start + _COUNTED], minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        return counts

    def text(self, side: Sides, pair: int) -> str:
        """One sentence as it stood in the file."""
        text = self._text[side][self._place(self._text_offsets[side], pair)].tobytes()
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{self._text[side].path} is damaged: {error}; delete the folder") from error

    def ends(self, side: Sides) -> npt.NDArray[np.int64]:
        """Tokens up to the end of each sentence, without bos and eos, [pairs]."""
        return self._id_offsets[side][1:]

    @staticmethod
    def _place(offsets: Column, pair: int) -> slice:
        start, stop = offsets[pair : pair + 2].tolist()
        if not 0 <= start <= stop:
            raise DataError(
                f"{offsets.path} is damaged: pair {pair} from {start} to {stop}; delete the folder"
            )
        return slice(start, stop)

    def origin(self, pair: int) -> str:
        """File(s) and line of a pair, for messages."""
        paths, line = self.line(pair)
        return f"{','.join(paths)}:{line}"

    def line(self, pair: int) -> tuple[tuple[str, ...], int]:
        """The file or files that a pair stands in, and its line there, from 1: whoever wants more of it looks there."""
        corpus = next(i for i, (start, stop) in enumerate(self.bounds) if start <= pair < stop)
        return self._paths[corpus], int(self._lines[pair : pair + 1][0])


class _About(NamedTuple):
    """What store.json says; see `PairStore`."""

    fingerprint: str
    pairs: int
    bounds: list[tuple[int, int]]
    report: list[str]
    dtypes: dict[Sides, np.dtype[Any]]


def _about(folder: Path) -> _About:
    try:
        told = read_json(folder / "store.json")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is no finished token store: {error}") from error
    try:
        pairs, bounds = told["pairs"], [(start, stop) for start, stop in told["bounds"]]
        dtypes: dict[Sides, np.dtype[Any]] = {side: _ID_TYPES[told[f"{side}_dtype"]] for side in _SIDES}
        starts, ends = [0, *(stop for _, stop in bounds)], [*(start for start, _ in bounds), pairs]
        if type(pairs) is not int or starts != ends or starts != sorted(starts):
            raise ValueError(f"bounds, {bounds!r:.60} of {pairs!r:.60} pairs")
        return _About(str(told["fingerprint"]), pairs, bounds, list(map(str, told["report"])), dtypes)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} is damaged: store.json lacks or misstates {error}; delete it") from error


def further_references(store: PairStore, corpora: Sequence[CorpusSpec]) -> list[list[str]]:
    """References beside the targets (`CorpusSpec.references_key`), read anew of the files, for scores are made rarely.

    Args:
        store: of the corpora.
        corpora: as they were stored.

    Returns:
        sets of them, each with one for each pair.

    Raises:
        DataError: not all pairs have as many.
    """
    rows: list[tuple[str, ...]] = []
    for spec, (start, stop) in zip(corpora, store.bounds, strict=True):
        of_lines = {}
        if spec.references_key:
            of_lines = {pair.line: pair.references for pair in open_corpus(spec).pairs(LineReport("skip"))}
        rows += [of_lines.get(store.line(pair)[1], ()) for pair in range(start, stop)]
    for pair, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{store.origin(pair)} has {len(row)} references beside its target, and {store.origin(0)} has "
                f"{len(rows[0])}; all pairs that are scored together must have as many (references_key)"
            )
    return [list(texts) for texts in zip(*rows, strict=True)]


def file_digest(path: str, cache: Path) -> str:
    """The SHA-256 of a file's contents; not computed again while size and time of change stay the same.

    Raises:
        DataError: the file cannot be read.
    """
    known_path = cache / "files.json"
    try:
        known = parse_json(known_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known, dict):  # only a memory: without it the digest is computed
        known = {}
    key = str(Path(path).resolve())
    try:
        status = os.stat(path)
        stamp = [status.st_size, status.st_mtime_ns]
        match known.get(key):
            case [size, time_ns, str(digest)] if [size, time_ns] == stamp:
                return digest
        now = time.time_ns()
        with open(path, "rb") as file:
            digest = _digest(file)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}; paths are relative to {Path.cwd()}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if now - status.st_mtime_ns > _SETTLED_NS:
        known[key] = [*stamp, digest]
        make_folder(cache)
        write_durably(known_path, json.dumps(known, indent=0))
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
    one_to_one: bool = False,
    sides: Sequence[Sides] = _SIDES,
) -> PairStore:
    """The store of some corpora: opened if it is there, built first if not.

    It is built anew when the files' contents, a tokenizer, an option or the store's format changed. A build
    is there when it is whole; of several processes one builds and the others wait.

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
        one_to_one: a pair is bad if its sides have unequal numbers of tokens, as words and their labels must not.
        sides: that are stored; of the other each text is empty.

    Raises:
        DataError: a file cannot be read, a line is bad, or no pair is left.
        WriteError: it cannot be written.
    """
    options: list[object] = [on_bad_line, max_source_tokens, max_target_tokens, on_too_long]
    options += ["one to one"] if one_to_one else []
    if len(sides) < len(_SIDES):
        options += sides
    parts = [_FORMAT, options, source_tokenizer.fingerprint(), target_tokenizer.fingerprint()]
    for spec in corpora:
        digests = [file_digest(path, cache) for path in spec.paths]
        reader = [type(open_corpus(replace(spec, tell_length=False))).__qualname__]
        parts.append([*reader, *spec.treatment, *digests])
    fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    folder = cache / f"{name}-{fingerprint[:16]}"
    paths = [spec.paths for spec in corpora]
    if not (folder / "store.json").exists():
        with one_builder(folder):
            if not (folder / "store.json").exists():
                with durable_folder(folder) as new:
                    builder = _Builder(
                        new,
                        fingerprint,
                        (source_tokenizer, target_tokenizer),
                        LineReport(on_bad_line),
                        (max_source_tokens, max_target_tokens),
                        on_too_long,
                        one_to_one,
                        sides,
                    )
                    builder.build(name, corpora)
    return PairStore(folder, paths)


@contextmanager
def one_builder(folder: Path) -> Iterator[None]:
    """What is built in a cache, built by one process; others wait, and say for whom.

    Args:
        folder: that is built; a file NAME.lock beside it is made, and stays.

    Raises:
        WriteError: the lock cannot be made.
    """
    make_folder(folder.parent)
    path = folder.with_name(f"{folder.name}.lock")
    lock = FileLock(path)
    with writing(path):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            print(f"s2s: waiting for another process, which makes {folder}", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


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
        one_to_one: bool,
        sides: Sequence[Sides],
    ) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self.tokenizers = dict(zip(_SIDES, tokenizers, strict=True))
        self.report = report
        self.too_long = LineReport("error" if on_too_long == "error" else "skip")
        self.limits = dict(zip(_SIDES, limits, strict=True))
        self.truncate = on_too_long == "truncate"
        self.one_to_one = one_to_one
        self.sides = sides
        self.dtypes = {side: _id_type(self.tokenizers[side].vocabulary_size) for side in _SIDES}
        self.pairs = 0
        self.ends = {name: 0 for side in _SIDES for name in (f"{side}.offsets", f"{side}.text_offsets")}

    def build(self, name: str, corpora: Sequence[CorpusSpec]) -> None:
        """Reads all corpora and leaves a whole store in the folder."""
        started = time.monotonic()
        console = Console(stderr=True)
        names = [*self.ends, *(f"{side}.{what}" for side in _SIDES for what in ("ids", "text")), "lines"]
        bounds = []
        with ExitStack() as opened:
            self.files = {file: opened.enter_context(open(self.folder / file, "wb")) for file in names}
            for offsets in self.ends:
                self.files[offsets].write(np.zeros(1, np.int64).tobytes())
            with _progress(console) as progress:
                size = sum(_size(spec) for spec in corpora)
                task = progress.add_task(f"storing {name}", total=size, lines="")
                for spec in corpora:
                    start = self.pairs
                    self._corpus(spec, progress, task)
                    bounds.append((start, self.pairs))
        lines = self.report.lines() + self.too_long.lines()
        if self.pairs == 0:
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
        (self.folder / "store.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        both = len(self.sides) == len(_SIDES)
        tokens = ", ".join(
            f"{self.ends[f'{side}.offsets']:,} {f'{side} ' * both}tokens" for side in self.sides
        )
        seconds = time.monotonic() - started
        console.print(
            f"{name}: {self.pairs:,} {'pairs' if both else 'texts'}, {tokens}, stored in {seconds:.1f} s",
            highlight=False,
            soft_wrap=True,
        )

    def _corpus(self, spec: CorpusSpec, progress: Progress, task: TaskID) -> None:
        before = progress.tasks[task].completed
        pairs = open_corpus(spec, self.sides).pairs(self.report)
        self.report.bytes_read.clear()
        for chunk in self._encoded(_chunks(pairs), _size(spec)):
            self._write(spec, chunk)
            done = before + sum(self.report.bytes_read.values())
            progress.update(task, completed=done, lines=f"{self.pairs:,} pairs")
        progress.update(task, completed=before + _size(spec))

    def _encoded(self, chunks: Iterator[list[Pair]], size: int) -> Iterator["_Chunk"]:
        """Chunks in their order, encoded by all cores if the text is so large that starting processes pays."""
        processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        if processes == 1 or size < _PARALLEL_BYTES or "fork" not in multiprocessing.get_all_start_methods():
            yield from map(self.encode, chunks)
            return
        # Forked: they inherit the tokenizers, which need not be able to travel, and ask nothing of the main module.
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(processes, context, initializer=_Worker.begin, initargs=(self,)) as pool:
            waiting: deque[Future[_Chunk]] = deque()
            try:
                for chunk in chunks:
                    waiting.append(pool.submit(_Worker.encode, chunk))
                    if len(waiting) > 2 * processes:  # so that memory stays flat
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def encode(self, pairs: list[Pair]) -> "_Chunk":
        """What is written of some pairs; changes nothing, so that any process may do it."""
        texts = {"source": [pair.source for pair in pairs], "target": [pair.target for pair in pairs]}
        texts |= {side: [""] * len(pairs) for side in _SIDES if side not in self.sides}
        ids: dict[Sides, list[list[int]]] = {
            side: self.tokenizers[side].encode_batch(texts[side]) if side in self.sides else [[]] * len(pairs)
            for side in _SIDES
        }
        kept, problems = [], []
        for i, pair in enumerate(pairs):
            counts: dict[Sides, int] = {side: len(ids[side][i]) for side in self.sides}
            fits = self._fits(counts)
            if not fits:
                problems.append((pair.line, counts))
            if fits or (self.truncate and all(counts.values()) and self._matches(counts)):
                kept.append(i)
        columns: dict[str, bytes] = {"lines": np.array([pairs[i].line for i in kept], np.int64).tobytes()}
        lengths: dict[str, npt.NDArray[np.int64]] = {}
        for side in _SIDES:
            sentences = [ids[side][i][: self.limits[side]] for i in kept]
            encoded = [texts[side][i].encode("utf-8") for i in kept]
            flat = np.fromiter(chain.from_iterable(sentences), self.dtypes[side])
            columns |= {f"{side}.ids": flat.tobytes(), f"{side}.text": b"".join(encoded)}
            lengths[f"{side}.offsets"] = np.array([len(sentence) for sentence in sentences], np.int64)
            lengths[f"{side}.text_offsets"] = np.array([len(text) for text in encoded], np.int64)
        return _Chunk(len(kept), columns, lengths, problems)

    def _fits(self, counts: dict[Sides, int]) -> bool:
        """Whether a pair of so many tokens is used as it is."""
        limits = ((counts[side], self.limits[side]) for side in counts)
        short = all(count and (limit is None or count <= limit) for count, limit in limits)
        return short and self._matches(counts)

    def _matches(self, counts: dict[Sides, int]) -> bool:
        """Whether each source token has its target token, where it must."""
        return not self.one_to_one or counts["source"] == counts["target"]

    def _write(self, spec: CorpusSpec, chunk: "_Chunk") -> None:
        for line, counts in chunk.problems:
            self._tell(f"{','.join(spec.paths)}:{line}", counts)
        for name, content in chunk.columns.items():
            self.files[name].write(content)
        for name, added in chunk.lengths.items():
            ends = self.ends[name] + np.cumsum(added)
            self.files[name].write(ends.tobytes())
            self.ends[name] = int(ends[-1]) if len(ends) else self.ends[name]
        self.pairs += chunk.pairs

    def _tell(self, place: str, counts: dict[Sides, int]) -> None:
        """Says why a pair is not used, or not whole."""
        for side in counts:
            if not counts[side]:  # a normalization may delete characters; attention over nothing is no number
                self.report.bad(f"no tokens in the {side}", place)
                return
        if not self._matches(counts):
            detail = f"{counts['source']} and {counts['target']}"
            self.report.bad("not as many tokens in the target as in the source", place, detail)
            return
        for side in counts:
            limit = self.limits[side]
            if limit is None or counts[side] <= limit:
                continue
            reason = f"{side} longer than {limit} tokens"
            if self.truncate:
                self.too_long.shortened(reason, place)
            elif self.too_long.on_bad_line == "error":
                raise DataError(
                    f"{place}: {reason} (it has {counts[side]}); raise max_{side}_tokens, or choose "
                    "on_too_long: skip or truncate"
                )
            else:
                self.too_long.bad(reason, place)
                return


def _chunks(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    """Pairs that are encoded together."""
    chunk: list[Pair] = []
    letters = 0
    for pair in pairs:
        chunk.append(pair)
        letters += len(pair.source) + len(pair.target)
        if len(chunk) == _CHUNK_PAIRS or letters >= _CHUNK_LETTERS:
            yield chunk
            chunk, letters = [], 0
    if chunk:
        yield chunk


class _Chunk(NamedTuple):
    """Some pairs as they are written.

    Attributes:
        pairs: how many.
        columns: what is appended to files, by their names.
        lengths: of what is appended, [pairs], by the names of the files of offsets.
        problems: the lines that are not used, or not whole, with the tokens of each side.
    """

    pairs: int
    columns: dict[str, bytes]
    lengths: dict[str, npt.NDArray[np.int64]]
    problems: list[tuple[int, dict[Sides, int]]]


class _Worker:
    """What a forked process knows: the builder, from before the fork."""

    builder: _Builder

    @classmethod
    def begin(cls, builder: _Builder) -> None:
        """Called once in each process."""
        cls.builder = builder
        threading.Thread(target=cls._end_with_parent, daemon=True).start()

    @staticmethod
    def _end_with_parent() -> None:
        """A parent that was killed tells nobody: its workers would wait for more for ever."""
        parent = multiprocessing.parent_process()
        while parent is not None and os.getppid() == parent.pid:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    @classmethod
    def encode(cls, pairs: list[Pair]) -> _Chunk:
        """See `_Builder.encode`."""
        return cls.builder.encode(pairs)


def corpus_lines(
    corpora: Sequence[CorpusSpec], sides: Sequence[Sides], on_bad_line: BadLinePolicy
) -> Iterator[str]:
    """The text of some sides of corpora, for a tokenizer to learn from; a bar shows the progress."""
    console = Console(stderr=True)
    with _progress(console) as progress:
        size = sum(_size(spec) for spec in corpora)
        task = progress.add_task(f"reading {' and '.join(sides)} for the tokenizer", total=size, lines="")
        report = LineReport(on_bad_line)
        before, nothing = 0, True
        for spec in corpora:
            report.bytes_read.clear()
            for number, pair in enumerate(open_corpus(spec, sides).pairs(report)):
                nothing = False
                for side in sides:
                    yield pair.source if side == "source" else pair.target
                if number % _CHUNK_PAIRS == 0:
                    progress.update(task, completed=before + sum(report.bytes_read.values()))
            before += _size(spec)
            progress.update(task, completed=before)
    if nothing:
        files = " and ".join(",".join(spec.paths) for spec in corpora)
        raise DataError("; ".join([f"{files}: there is no pair of lines to learn from", *report.lines()]))


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
    return _ID_TYPES["uint16" if vocabulary_size <= 2**16 else "uint32"]


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
