"""Text pairs from files: corpus specifications, line readers, and the handling of bad lines."""

import codecs
import gzip
import io
import math
import re
import sys
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import IO, Literal, NamedTuple, TypeAlias, cast

import yaml

from s2s.counted import counted
from s2s.errors import ConfigError, DataError
from s2s.registry import catalogue
from s2s.registry.near_names import unknown
from s2s.registry.parts import check_complete
from s2s.resources import locate, no_file
from s2s.text.wanted_length import told
from s2s.untrusted import parse_yaml

BadLinePolicy: TypeAlias = Literal["error", "skip"]
Sides: TypeAlias = Literal["source", "target"]

STANDARD_INPUT = "-"
STDIN_CLOSED = "standard input is closed; give a file"
LONGEST_LINE = 2**24
"""Maximum bytes of a line: five times War and Peace. Processing takes many times a line's size, and without a limit a
small compressed file could fill any memory."""
LINE_COST = 64
"""Memory overhead of a line beside its text, in bytes, where many are kept together."""

_SHOWN = 3  # locations kept per reason
_GZIP_MAGIC = b"\x1f\x8b"
_PROGRESS_LINES = 1024  # asking a compressed file for its position costs more than reading a line


@dataclass(frozen=True)
class CorpusSpec:
    """One corpus of text pairs, as a configuration names it.

    Attributes:
        path: one file that holds both sides (.tsv, .jsonl, also .gz).
        source: file of source lines, if the sides are two line-aligned files.
        target: file of target lines, line-aligned with `source`.
        weight: how many times each pair is seen per epoch; a fraction is drawn anew in each epoch.
        source_key: where the source is in a record: key (JSONL) or column number from 1 (TSV).
        target_key: where the target is in a record; it is what the model learns to produce.
        references_key: where additional references for scoring are: a key (JSONL) of a text or a list of texts, or a
            column (TSV); or several of these. Each record must have the same number.
        reader: name of the reader in the catalogue; null: chosen by the files' names.
        tell_length: put the length of each target, in words, in front of its source, so that a length can be requested
            from the model; list the corpus a second time without this to train it on sources without a length, too.
    """

    path: str | None = None
    source: str | None = None
    target: str | None = None
    weight: float = 1.0
    source_key: str | None = None
    target_key: str | None = None
    references_key: tuple[str, ...] = ()
    reader: str | None = None
    tell_length: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, one or two."""
        if self.path is not None:
            return (self.path,)
        return (self.source or "", self.target or "")

    @property
    def treatment(self) -> list[object]:
        """The settings that determine which text is read from the files, for fingerprints."""
        further = [["references", *self.references_key]] if self.references_key else []
        return [self.source_key, self.target_key, *further, *(["length"] if self.tell_length else [])]


CorpusInput: TypeAlias = str | CorpusSpec | Mapping[str, object]


def corpus_spec(given: CorpusInput) -> CorpusSpec:
    """Makes a spec from user input: "pairs.tsv", "train.en,train.de", or a mapping with its fields.

    Raises:
        ConfigError: a field that does not exist or has an invalid value, or no file.
    """
    if isinstance(given, str) and given.lstrip().startswith(
        "{"
    ):  # a mapping that the command line left as text
        try:
            given = parse_yaml(given)
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(f"corpus {given!r} is no mapping: {error}") from error
    if isinstance(given, CorpusSpec):
        spec = given
    elif isinstance(given, str):
        parts = [part.strip() for part in given.split(",")]
        if len(parts) > 2 or not all(parts):
            raise ConfigError(f"corpus {given!r} is neither one file nor two with a comma between them")
        spec = CorpusSpec(path=parts[0]) if len(parts) == 1 else CorpusSpec(source=parts[0], target=parts[1])
    elif not isinstance(given, Mapping):
        raise ConfigError(f"corpus {given!r} is neither the name of a file nor a mapping")
    else:
        known = [f.name for f in fields(CorpusSpec)]
        for name in given:
            if name not in known:
                raise ConfigError(unknown("field of a corpus", str(name), known))
        values = {
            name: _keys(name, value) if name.endswith("_key") else value for name, value in given.items()
        }
        spec = CorpusSpec(**values)  # type: ignore[arg-type]
    if (spec.path is None) == (spec.source is None and spec.target is None) or (
        spec.path is None and (spec.source is None or spec.target is None)
    ):
        raise ConfigError(f"a corpus is `path`, or `source` and `target`; this one is {given!r}")
    _check_values(spec)
    return replace(
        spec,
        path=locate(spec.path) if spec.path else None,
        source=locate(spec.source) if spec.source else None,
        target=locate(spec.target) if spec.target else None,
    )


def _keys(name: str, value: object) -> object:
    # Numbers of columns are written without quotes.
    if name != "references_key":
        return str(value) if type(value) is int else value
    keys = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(_keys("", key) for key in keys)


def _check_values(spec: CorpusSpec) -> None:
    """Raises a ConfigError if a field has an invalid value."""
    for name in ("path", "source", "target"):
        if not isinstance(getattr(spec, name), str | None):
            raise ConfigError(f"{name} of a corpus is {getattr(spec, name)!r}; it must be the name of a file")
    key = "a key (in quotes, where YAML takes it for something else) or the number of a column"
    readers = ", ".join(catalogue().names("corpus"))
    several = isinstance(spec.references_key, list | tuple)
    weighed = isinstance(spec.weight, int | float) and not isinstance(spec.weight, bool)
    for name, good, wanted in (
        ("source_key", isinstance(spec.source_key, str | None), key),
        ("target_key", isinstance(spec.target_key, str | None), key),
        (
            "references_key",
            several and all(isinstance(one, str) for one in spec.references_key),
            f"{key}, or a list of them",
        ),
        ("reader", isinstance(spec.reader, str | None), f"the name of a reader: {readers}"),
        ("tell_length", isinstance(spec.tell_length, bool), "true or false"),
        ("weight", weighed and 0 < spec.weight < math.inf, "a number above 0"),
    ):
        if not good:
            given = getattr(spec, name)
            raise ConfigError(f"{name} of corpus {','.join(spec.paths)} is {given!r}; it must be {wanted}")


class Pair(NamedTuple):
    """A source and a target line, and the line (from 1) of the file they come from.

    Attributes:
        references: further targets, for scores.
    """

    source: str
    target: str
    line: int
    references: tuple[str, ...] = ()

    def texts(self, sides: Sequence[Sides]) -> tuple[str, ...]:
        """Those of some sides, in their order."""
        return tuple(self.source if side == "source" else self.target for side in sides)


@dataclass
class LineReport:
    """Report of reading a corpus: bad lines raise an error, or are counted and left out.

    Attributes:
        on_bad_line: `error` or `skip`.
        skipped: lines left out, per reason.
        cut: lines shortened, per reason.
        first: the first few places, per reason.
        details: more about the first of them, per reason.
        notes: what was fixed on the way (a byte order mark taken off).
        bytes_read: reading position in each file, in bytes on disk.
        remedy: what the user can do about a bad line that is an error.
    """

    on_bad_line: BadLinePolicy = "error"
    skipped: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[str]] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    bytes_read: dict[str, int] = field(default_factory=dict)
    remedy: str = "mend the file, or leave such lines out with on_bad_line: skip"

    def bad(self, reason: str, place: str, detail: str = "", *, count: int = 1) -> None:
        """Raises, or counts, a line that cannot be used.

        Args:
            reason: what is wrong, in the same words for all such lines.
            place: file and line, `train.en:17`.
            detail: more about this line.
            count: number of such lines.

        Raises:
            DataError: `on_bad_line` is `error`.
        """
        if self.on_bad_line == "error":
            raise DataError(f"{place}: {reason}{f' ({detail})' if detail else ''}; {self.remedy}")
        self.skipped[reason] += count
        self.details.setdefault(reason, detail)
        self._remember(reason, place)

    def shortened(self, reason: str, place: str) -> None:
        """Counts a line of which only the beginning is used."""
        self.cut[reason] += 1
        self._remember(reason, place)

    def _remember(self, reason: str, place: str) -> None:
        places = self.first.setdefault(reason, [])
        if len(places) < _SHOWN:
            places.append(place)

    def lines(self, *, detailed: bool = False) -> list[str]:
        """The report for the user, a line per reason; empty if there is nothing to report.

        Args:
            detailed: add details about the first line of each reason, for when no line could be used.
        """
        said = [
            f"{done} {counted(count, 'line')}: {reason}, "
            f"{'first ' if count > len(self.first[reason]) else ''}at {', '.join(self.first[reason])}"
            + (f" ({self.details[reason]})" if detailed and self.details.get(reason) else "")
            for done, counts in (("skipped", self.skipped), ("shortened", self.cut))
            for reason, count in sorted(counts.items())
        ]
        return said + self.notes


class Corpus(ABC):
    """A reader that streams text pairs without keeping them in memory."""

    files: int = 1
    """How many files it reads: 1 that holds both sides, or 2, one for each side."""

    gives_references: bool = False
    """Whether its pairs have the references that `CorpusSpec.references_key` asks for."""

    labelled: bool = False
    """Whether a source is words with single spaces between them (no others are kept), and its target as many labels."""

    sides: tuple[Sides, ...] = ("source", "target")
    """Sides of its texts. A reader of texts without sources returns them as targets, with empty sources."""

    def __init__(self, spec: CorpusSpec) -> None:
        self.spec = spec

    @classmethod
    @abstractmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """Whether this reader handles files of these names; used when the spec names no reader."""

    @abstractmethod
    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """All good pairs in order; `report.bad` is told of the others.

        Raises:
            DataError: a file cannot be read, or a line is bad and the report's policy is `error`.
        """


def open_corpus(given: CorpusInput, sides: Sequence[Sides] = ()) -> Corpus:
    """The reader of a corpus.

    Args:
        given: the corpus.
        sides: what its texts must have.

    Raises:
        ConfigError: no reader, or more than one, takes files of these names, or it reads another number of files, or
            cannot give references; or its texts lack a side.
    """
    spec = corpus_spec(given)
    corpus = _opened_as_it_is(spec)
    for side in sides:
        if side not in corpus.sides:
            raise ConfigError(
                f"{','.join(spec.paths)} holds texts without a {side} (reader {type(corpus).__name__}), and pairs are "
                "wanted; give two files, SOURCE,TARGET, or a file of pairs"
            )
    if spec.references_key:
        if not corpus.gives_references:
            able = [
                name
                for name in catalogue().names("corpus")
                if catalogue().load("corpus", name).gives_references
            ]
            raise ConfigError(
                f"reader {type(corpus).__name__} gives no references ({','.join(spec.paths)}: references_key "
                f"{', '.join(spec.references_key)}). What does: {', '.join(able)}"
            )
        corpus = Referenced(corpus)
    return ToldLengths(corpus) if spec.tell_length else corpus


def open_text(given: CorpusInput) -> Corpus:
    """The reader of a corpus for commands that take any text: a file without a known format is read as `AnyLines`.

    Args:
        given: as for `open_corpus`; a file is one of lines if no reader takes its name, or `Lines` does.

    Raises:
        ConfigError: see `open_corpus`.
    """
    spec = corpus_spec(given)
    more_than_a_name = spec != CorpusSpec(path=spec.path)
    return open_corpus(spec) if more_than_a_name or set(_takers(spec)) - {"Lines"} else AnyLines(spec)


class AnyLines(Corpus):
    """A file of lines, whatever its name. Every line is a text, even an empty one, which training cannot use."""

    sides = ("target",)

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """None by its name."""
        return False

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """See `Corpus.pairs`."""
        (path,) = self.spec.paths
        return (Pair("", text, line) for line, text in read_lines(path, report) if text is not None)


class Referenced(Corpus):
    """A corpus whose pairs have references (`CorpusSpec.references_key`), as many as its first pair has.

    Args:
        corpus: as it is.
    """

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(corpus.spec)
        self.corpus = corpus

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """None by its name."""
        return False

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """See `Corpus.pairs`; a pair with more or fewer references than the first one is bad."""
        first: Pair | None = None
        for pair in self.corpus.pairs(report):
            first = first or pair
            if len(pair.references) == len(first.references):
                yield pair
                continue
            detail = f"{len(pair.references)}, and {len(first.references)} in line {first.line}"
            report.bad("another number of references", f"{','.join(self.spec.paths)}:{pair.line}", detail)


class ToldLengths(Corpus):
    """A corpus with the length of each target in front of its source: `CorpusSpec.tell_length`.

    Args:
        corpus: as it is.
    """

    def __init__(self, corpus: Corpus) -> None:
        super().__init__(corpus.spec)
        self.corpus = corpus
        self.sides = corpus.sides

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        """None by its name."""
        return False

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        """See `Corpus.pairs`."""
        for pair in self.corpus.pairs(report):
            yield pair._replace(source=told(pair.source, pair.target))


def reader_name(spec: CorpusSpec) -> str:
    """Name of the reader of a corpus in the catalogue.

    Raises:
        ConfigError: no reader, or more than one, takes files of these names.
    """
    if spec.reader is not None:
        return spec.reader
    names, takers = catalogue().names("corpus"), _takers(spec)
    if not takers and spec.path is not None:
        raise ConfigError(
            f"no reader takes {spec.path}. If it is one file of lines, give two: SOURCE,TARGET; if it holds pairs, "
            f"name its `reader`, as {{path: {spec.path}, reader: TSV}}: {', '.join(names)}"
        )
    if len(takers) != 1:
        raise ConfigError(
            f"{'no reader takes' if not takers else ' and '.join(takers) + ' both take'} "
            f"{','.join(spec.paths)}; name one with `reader`: {', '.join(names)}"
        )
    return takers[0]


def _takers(spec: CorpusSpec) -> list[str]:
    """Which readers take files of these names."""
    return [name for name in catalogue().names("corpus") if catalogue().load("corpus", name).reads(spec)]


def _opened_as_it_is(spec: CorpusSpec) -> Corpus:
    name = reader_name(spec)
    reader = catalogue().load("corpus", name)
    check_complete("corpus", name, reader, {})
    if reader.files != len(spec.paths):
        wanted = "one file, `path`" if reader.files == 1 else "two files, `source` and `target`"
        raise ConfigError(f"reader {name} reads {wanted}; this corpus names {' and '.join(spec.paths)}")
    opened: Corpus = reader(spec)
    return opened


def shown(path: str) -> str:
    """The name of a file in messages; `-` is standard input."""
    return "standard input" if path == STANDARD_INPUT else path


def plain_suffix(path: str) -> str:
    """The suffix that shows a file's format, without `.gz`: ".tsv" for "pairs.tsv.gz"."""
    return Path(re.sub(r"\.gz$", "", path)).suffix.lower()


def read_lines(path: str, report: LineReport) -> Iterator[tuple[int, str | None]]:
    r"""Yields number (from 1) and text of each line of a UTF-8 file, plain or gzip.

    Lines end at "\n" or "\r\n" and nowhere else: U+2028, U+0085 and their like stay in the text. A byte
    order mark is taken off and noted. A line that is not UTF-8, or longer than `LONGEST_LINE`, is reported, and
    its text is None. The path `-` is standard input.

    Raises:
        DataError: the file cannot be opened or its compression is damaged.
    """
    for line, content in enumerate(_lines(path, report, report.bad), start=1):
        try:
            text = None if content is None else content.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte 0x{error.object[error.start]:02x} at position {error.start + 1}"
            report.bad("not UTF-8", f"{shown(path)}:{line}", detail)
            text = None
        yield line, text


def raw_lines(path: str, report: LineReport, opened: io.BufferedReader | None = None) -> Iterator[bytes]:
    """The lines that `read_lines` decodes, as bytes, without line ends; all line readers use this.

    Args:
        path: path of a file; `-` is standard input.
        report: receives notes about a byte order mark, and the reading position.
        opened: the file, if the caller has opened it and will close it.

    Raises:
        DataError: the file cannot be opened, its compression is damaged, it is UTF-16, or a line is longer than
            `LONGEST_LINE`.
    """

    def refuse(reason: str, place: str) -> None:
        raise DataError(f"{place}: {reason}; split it, or leave it out")

    return (line for line in _lines(path, report, refuse, opened) if line is not None)


def _lines(
    path: str,
    report: LineReport,
    too_long: Callable[[str, str], None],
    opened: io.BufferedReader | None = None,
) -> Iterator[bytes | None]:
    """See `raw_lines`; None for a line that is too long, if `too_long` only counts it."""
    line = 0
    try:
        with _opened(path) if opened is None else nullcontext(opened) as raw:
            compressed = raw.peek(2)[:2] == _GZIP_MAGIC
            # The second buffer because a file of gzip's own reads line by line in half the speed.
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if compressed else raw
            read = partial(stream.readline, LONGEST_LINE + 1)
            for line, content in enumerate(iter(read, b""), start=1):  # noqa: B007
                if line % _PROGRESS_LINES == 0 and raw.seekable():
                    report.bytes_read[path] = raw.tell()
                if len(content) > LONGEST_LINE and not content.endswith(b"\n"):
                    too_long(f"longer than {LONGEST_LINE >> 20} MiB", f"{shown(path)}:{line}")
                    while content and not content.endswith(b"\n"):
                        content = read()
                    yield None
                    continue
                if line == 1:
                    content = _without_mark(content, path, report)
                yield content.removesuffix(b"\n").removesuffix(b"\r")
            if raw.seekable():
                report.bytes_read[path] = raw.tell()
    except FileNotFoundError as error:
        raise DataError(no_file(path)) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{shown(path)}: the compressed file is damaged or cut off after line {line} ({error})"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {shown(path)}: {error.strerror}") from error


def _opened(path: str) -> AbstractContextManager[io.BufferedReader]:
    if path != STANDARD_INPUT:
        return open(path, "rb")
    if sys.stdin is None:
        raise DataError(STDIN_CLOSED)
    stream = sys.stdin.buffer  # a program that calls ours may have put another stream there
    return nullcontext(stream) if isinstance(stream, io.BufferedReader) else _buffered(stream)


@contextmanager
def _buffered(stream: IO[bytes]) -> Iterator[io.BufferedReader]:
    reader: io.BufferedReader = io.BufferedReader(cast(io.RawIOBase, stream))
    try:
        yield reader
    finally:
        reader.detach()  # or it would close the stream, which is not ours, when it goes


def _without_mark(content: bytes, path: str, report: LineReport) -> bytes:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{shown(path)}: this is UTF-16; write it as UTF-8")
    if content.startswith(codecs.BOM_UTF8):
        report.notes.append(f"took the byte order mark off {shown(path)}")
        return content.removeprefix(codecs.BOM_UTF8)
    return content
