"""Token store: text pairs and their ids in files, read on demand by the training process and its workers."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from s2s.errors import DataError
from s2s.text.corpus import CorpusSpec, LineReport, Sides, open_corpus
from s2s.untrusted import ordinary, read_json

SIDES: tuple[Sides, Sides] = ("source", "target")
ID_TYPES: dict[str, np.dtype[Any]] = {"uint16": np.dtype(np.uint16), "uint32": np.dtype(np.uint32)}
_COUNTED = 2**20  # ids read at once where all are gone through


class Column:
    """Numbers in a file. Slices are read on demand, and not cached.

    Not a memory map: its pages would count as memory of the process from first use to its end.

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
            self._file = ordinary(path).detach()  # stays open, and reads without buffering
        except OSError as error:
            raise DataError(f"{path} is missing or damaged; delete the folder") from error
        size = os.fstat(self._file.fileno()).st_size
        if size % dtype.itemsize:
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
        """Fills a buffer, possibly only in part; returns how many bytes were read."""
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [into], position)
        # Windows and old macOS, where a worker process opens the file anew instead of sharing it.
        with self._lock:
            self._file.seek(position)
            return self._file.readinto(into) or 0


class Lengths:
    """Tokens of each sentence, as differences of neighbours in a column of offsets."""

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
                f"{self._offsets.path} is damaged: its offsets do not increase; delete the folder"
            )
        return lengths


class PairStore:
    """Read access to a finished store; takes almost no memory, whatever its size.

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
        self._ids = {side: Column(folder / f"{side}.ids", about.dtypes[side]) for side in SIDES}
        self._id_offsets = {side: self._offsets(f"{side}.offsets") for side in SIDES}
        self._text = {side: Column(folder / f"{side}.text", np.dtype(np.uint8)) for side in SIDES}
        self._text_offsets = {side: self._offsets(f"{side}.text_offsets") for side in SIDES}
        self._lines = Column(folder / "lines", np.dtype(np.int64))
        for side in SIDES:
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
        """A worker process opens the files anew."""
        return PairStore, (self.folder, self._paths)

    def __len__(self) -> int:
        """Number of pairs."""
        return self._pairs

    def lengths(self, side: Sides) -> Lengths:
        """Tokens per sentence, without bos and eos, [pairs]; to be read in slices."""
        return Lengths(self._id_offsets[side])

    def tokens(self, side: Sides) -> int:
        """Tokens of one side, without bos and eos."""
        return len(self._ids[side])

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
        """The file or files of a pair, and its line there, from 1."""
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
        raise DataError(
            f"{folder} is no finished token store: {error}; delete it, and training writes it again"
        ) from error
    try:
        pairs, bounds = told["pairs"], [(start, stop) for start, stop in told["bounds"]]
        dtypes: dict[Sides, np.dtype[Any]] = {side: ID_TYPES[told[f"{side}_dtype"]] for side in SIDES}
        starts, ends = [0, *(stop for _, stop in bounds)], [*(start for start, _ in bounds), pairs]
        if type(pairs) is not int or starts != ends or starts != sorted(starts):
            raise ValueError(f"bounds, {bounds!r:.60} of {pairs!r:.60} pairs")
        return _About(str(told["fingerprint"]), pairs, bounds, list(map(str, told["report"])), dtypes)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} is damaged: store.json lacks or misstates {error}; delete it") from error


def further_references(store: PairStore, corpora: Sequence[CorpusSpec]) -> list[list[str]]:
    """Additional references (`CorpusSpec.references_key`); not stored, but read from the files, because it is rare.

    Args:
        store: of the corpora.
        corpora: as they were stored.

    Returns:
        sets of references, each with one for each pair.

    Raises:
        DataError: pairs have different numbers of references.
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
