"""Builds token stores: corpora are read and encoded once, on all cores, by one of several processes that need them."""

import errno
import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from s2s.cores import available_cores
from s2s.counted import counted
from s2s.durable import Lock, durable_folder, make_folder, write_durably, writing
from s2s.errors import DataError
from s2s.resources import no_file
from s2s.text.corpus import BadLinePolicy, CorpusSpec, LineReport, Pair, Sides, open_corpus, reader_name
from s2s.text.store import ID_TYPES, SIDES, PairStore
from s2s.text.tokenizer import Tokenizer
from s2s.untrusted import ordinary, parse_json

TooLongPolicy: TypeAlias = Literal["skip", "truncate", "error"]

_FORMAT = 2  # part of every fingerprint: raise it when the files' layout or the treatment of text changes
_CHUNK_PAIRS = 10_000  # encoded at once: enough for the tokenizer's threads, few megabytes
_CHUNK_LETTERS = 2**23  # and no more than these, so that long lines do not fill the memory
_PARALLEL_BYTES = (
    2**24
)  # of text, some 100,000 pairs: seconds of work for one core, and starting the others takes 0.1 s
_WATCH_SECONDS = 0.5  # between a worker's looks at whether its parent still lives
_POLL_SECONDS = 0.1  # between looks at whether another process has built what is waited for
_SETTLED_NS = 2_000_000_000  # a file changed less than 2 s before it was read may change again unseen


def file_digest(path: str, cache: Path) -> str:
    """The SHA-256 of a file's contents; cached while size and modification time stay the same.

    Raises:
        DataError: the file cannot be read, or is a pipe or the like, which can be read only once.
    """
    known_path = cache / "files.json"
    try:
        known = parse_json(known_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known, dict):  # only a cache: without it the digest is computed
        known = {}
    key = str(Path(path).resolve())
    try:
        status = os.stat(path)
        stamp = [status.st_size, status.st_mtime_ns]
        match known.get(key):
            case [size, time_ns, str(digest)] if [size, time_ns] == stamp:
                return digest
        now = time.time_ns()
        with ordinary(Path(path)) as file:
            digest = _digest(file)
    except FileNotFoundError as error:
        raise DataError(no_file(path)) from error
    except OSError as error:
        remedy = "; text is read more than once: write it to a file first" * (error.errno == errno.EINVAL)
        raise DataError(f"cannot read {path}: {error.strerror}{remedy}") from error
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
    sides: Sequence[Sides] = SIDES,
) -> PairStore:
    """The store of some corpora, built first if it is not in the cache.

    It is rebuilt when the files' contents, a tokenizer, an option or the store's format changed. A store
    appears only when it is complete; of several processes one builds and the others wait.

    Args:
        cache: folder that holds stores.
        name: the split, part of the store's folder name.
        corpora: what to read, in order.
        source_tokenizer: gives the ids of sources.
        target_tokenizer: gives the ids of targets.
        on_bad_line: what to do with lines that cannot be used.
        max_source_tokens: longest source, in tokens; None: no limit.
        max_target_tokens: longest target, in tokens without bos and eos; None: no limit.
        on_too_long: what to do with pairs beyond these limits.
        one_to_one: a pair is bad if its sides have different numbers of tokens, as for words and their labels.
        sides: sides to store; texts of the other side are empty.

    Raises:
        DataError: a file cannot be read, a line is bad, or no pair is left.
        WriteError: it cannot be written.
    """
    options: list[object] = [on_bad_line, max_source_tokens, max_target_tokens, on_too_long]
    options += ["one to one"] if one_to_one else []
    if len(sides) < len(SIDES):
        options += sides
    parts = [_FORMAT, options, source_tokenizer.fingerprint(), target_tokenizer.fingerprint()]
    for spec in corpora:
        digests = [file_digest(path, cache) for path in spec.paths]
        parts.append([reader_name(spec), *spec.treatment, *digests])
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
    """Let one process build a cache folder, while others wait and print a note.

    Where the file system has no locks, nobody waits: each process builds, and the last to finish wins.

    Args:
        folder: folder to build; meanwhile there is a file NAME.lock beside it.

    Raises:
        WriteError: the lock cannot be made.
    """
    path = folder.with_name(f"{folder.name}.lock")
    with writing(path):
        lock = _waited_for(path, folder)
    try:
        yield
    finally:
        lock.remove()


def _waited_for(path: Path, folder: Path) -> Lock:
    told = False
    while True:
        try:
            return Lock.of_new_file(path, folder_too=True)
        except BlockingIOError:
            if not told:
                print(f"s2s: waiting for another process that is building {folder}", file=sys.stderr)
            told = True
            time.sleep(_POLL_SECONDS)


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
        self.tokenizers = dict(zip(SIDES, tokenizers, strict=True))
        self.report = report
        self.too_long = LineReport("error" if on_too_long == "error" else "skip")
        self.limits = dict(zip(SIDES, limits, strict=True))
        self.truncate = on_too_long == "truncate"
        self.one_to_one = one_to_one
        self.sides = sides
        self.dtypes = {side: _id_type(self.tokenizers[side].vocabulary_size) for side in SIDES}
        self.pairs = 0
        self.ends = {name: 0 for side in SIDES for name in (f"{side}.offsets", f"{side}.text_offsets")}

    def build(self, name: str, corpora: Sequence[CorpusSpec]) -> None:
        """Reads all corpora and writes a complete store to the folder."""
        started = time.monotonic()
        console = Console(stderr=True)
        names = [*self.ends, *(f"{side}.{what}" for side in SIDES for what in ("ids", "text")), "lines"]
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
            lines = self.report.lines(detailed=True) + self.too_long.lines()
            raise DataError("; ".join([f"{files}: no pair {'is left to use' if lines else 'in it'}", *lines]))
        about = {
            "fingerprint": self.fingerprint,
            "pairs": self.pairs,
            "bounds": bounds,
            "source_dtype": self.dtypes["source"].name,
            "target_dtype": self.dtypes["target"].name,
            "report": lines,
        }
        (self.folder / "store.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        both = len(self.sides) == len(SIDES)
        tokens = ", ".join(
            counted(self.ends[f"{side}.offsets"], f"{f'{side} ' * both}token") for side in self.sides
        )
        seconds = time.monotonic() - started
        console.print(
            f"{name}: {counted(self.pairs, 'pair' if both else 'text')}, {tokens}, stored in {seconds:.1f} s",
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
        """Encoded chunks, in order; on all cores if the text is large enough to make starting processes worthwhile."""
        processes = available_cores(os.cpu_count() or 1) if hasattr(os, "sched_getaffinity") else 1
        if processes == 1 or size < _PARALLEL_BYTES or "fork" not in multiprocessing.get_all_start_methods():
            yield from map(self.encode, chunks)
            return
        # Forked: they inherit the tokenizers, which need not be picklable, and do not import the main module.
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
        """The encoded columns of some pairs; changes no state, so that any process may do it."""
        texts = {"source": [pair.source for pair in pairs], "target": [pair.target for pair in pairs]}
        texts |= {side: [""] * len(pairs) for side in SIDES if side not in self.sides}
        ids: dict[Sides, list[list[int]]] = {
            side: self.tokenizers[side].encode_batch(texts[side]) if side in self.sides else [[]] * len(pairs)
            for side in SIDES
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
        for side in SIDES:
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
        """Reports why a pair is skipped or cut."""
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
        """End this worker when its parent was killed: it would wait forever otherwise."""
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
    """The text of some sides of corpora, to train a tokenizer on; a bar shows the progress."""
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
                yield from pair.texts(sides)
                if number % _CHUNK_PAIRS == 0:
                    progress.update(task, completed=before + sum(report.bytes_read.values()))
            before += _size(spec)
            progress.update(task, completed=before)
    if nothing:
        files = " and ".join(",".join(spec.paths) for spec in corpora)
        raise DataError(
            "; ".join([f"{files}: there is no pair of lines to learn from", *report.lines(detailed=True)])
        )


def _size(spec: CorpusSpec) -> int:
    """Bytes of a corpus on disk; missing files count as 0, because the reader gives a better error."""
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
    return ID_TYPES["uint16" if vocabulary_size <= 2**16 else "uint32"]
