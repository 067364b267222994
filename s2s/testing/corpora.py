"""The conformance kit for corpus readers.

Each check takes a factory (spec) -> Corpus: a class, or a partial with the reader's options. The kit writes files that
the reader accepts by name: pairs.tsv, pairs.jsonl, or two line-aligned files. A reader of another format defines how to
write its files, for the kit only:

    @classmethod
    def write_sample(cls, folder: Path, pairs: Sequence[tuple[str, str]]) -> CorpusSpec:
        ...

A reader of texts without a source (`Corpus.sides`) is given pairs too, and writes only the targets. A reader of
words and their labels (`Corpus.labelled`) is given as many words as labels, separated by single spaces.

These files are read as they are, compressed, with other line endings, and with a byte that is not valid UTF-8.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from s2s.errors import DataError
from s2s.registry import catalogue
from s2s.testing import constructors
from s2s.testing.kit import Check, Nonconforming, part_of
from s2s.testing.texts import HARD_LINES, shortened
from s2s.text.corpus import Corpus, CorpusSpec, LineReport, Pair

CorpusFactory = Callable[[CorpusSpec], Corpus]
Pairs = Sequence[tuple[str, str]]

PAIRS: Pairs = tuple((f"source number {i}", f"Ziel Nummer {i}") for i in range(1, 8))
WORDS: Pairs = tuple((f"source-{i}", f"Ziel-{i}") for i in range(1, 8))
"""For readers of words and their labels, whose files do not contain a text of several words verbatim."""

SPOILT = 4
"""Which pair gets a byte that is not valid UTF-8, from 1."""

UNUSUAL = [line for line in HARD_LINES.values() if line.strip() and "\t" not in line and len(line) < 1000]

MANY, WIDTH = 2000, 500
"""Pairs in a file of 2 megabytes, and characters per side."""

SHARE_HELD = 0.25
"""Largest share of the file that may be held in memory; a reader that streams holds a line and a buffer."""


def check_constructor(factory: CorpusFactory) -> None:
    """The constructor is typed and documented, and a spec alone builds the reader."""
    constructors.check_constructor(factory)


def check_names(factory: CorpusFactory) -> None:
    """It accepts files by name: its own, compressed ones too, and no other reader's."""
    part = part_of(factory)
    with tempfile.TemporaryDirectory() as folder:
        spec = _sample(part, Path(folder), PAIRS)
    gone = [spec, _renamed(spec, ".gz")]  # the files no longer exist: only their names count
    for one in gone:
        if _takes(part, one) is not True:
            raise Nonconforming(
                f"that reads is not True for {_shown(one)}",
                "True",
                "Decide by the name alone; s2s.text.corpus.plain_suffix ignores .gz.",
            )
    odd = CorpusSpec(path="pairs.of-another-kind")
    if _takes(part, odd) is not False:
        raise Nonconforming(
            f"that reads is not False for {odd.path}",
            "False",
            "Accept only names of your format; users set `reader` for others.",
        )
    for name in catalogue().names("corpus"):
        other = catalogue().load("corpus", name)
        if other is not part and other.reads(spec):
            raise Nonconforming(
                f"that {name} reads {_shown(spec)} too",
                "one reader for a name",
                "Use another suffix, or return False, and let configurations name the reader.",
            )


def check_pairs(factory: CorpusFactory) -> None:
    """All pairs in order, each with its line number in the file."""
    with _written(factory, PAIRS) as spec:
        found = _read(factory, spec)
        _expect_pairs(found, _known(factory, PAIRS), "of a file")
        texts = [Path(path).read_text(encoding="utf-8").split("\n") for path in spec.paths]
        for pair, following in zip(found, [*found[1:], None], strict=True):
            if not isinstance(pair, Pair):
                raise Nonconforming(f"a {type(pair).__name__}", "a Pair", "Yield Pair(source, target, line).")
            end = following.line - 1 if isinstance(following, Pair) else None  # a pair may span several lines
            there = ["\n".join(lines[max(0, pair.line - 1) : end]) for lines in texts]
            said = pair.source or pair.target
            if not any(all(word in text for word in said.split()) for text in there):
                raise Nonconforming(
                    f"line {pair.line} for {said!r}",
                    "the line of the file, from 1, where it begins",
                    "read_lines gives the numbers; later messages about a pair name its line.",
                )


def check_texts(factory: CorpusFactory) -> None:
    """Texts are read verbatim, spaces and unusual characters included; only a line feed ends a line."""
    pairs = [(text, f"target of {i}") for i, text in enumerate(UNUSUAL)]
    pairs += [(f"source of {i}", text) for i, text in enumerate(UNUSUAL)]
    if part_of(factory).labelled:
        pairs = [_matched(source, target) for source, target in pairs]
    with _written(factory, [("first", "pair"), *pairs]) as spec:  # no byte order mark can come after it
        _expect_pairs(_read(factory, spec)[1:], _known(factory, pairs), "of unusual texts")


def check_line_ends(factory: CorpusFactory) -> None:
    r"""Lines may end in \r\n, and the last one may have no line ending."""
    with _written(factory, PAIRS) as spec:
        for what, change in (
            (r"with \r\n at the ends of lines", lambda content: content.replace(b"\n", b"\r\n")),
            ("without a line feed at its end", lambda content: content.removesuffix(b"\n")),
        ):
            with _changed(spec, change) as changed:
                _expect_pairs(_read(factory, changed), _known(factory, PAIRS), f"of a file {what}")


def check_byte_order_mark(factory: CorpusFactory) -> None:
    """A byte order mark is not part of the text: it is removed, and the report notes it."""
    with (
        _written(factory, PAIRS) as spec,
        _changed(spec, lambda content: b"\xef\xbb\xbf" + content) as changed,
    ):
        report = LineReport()
        _expect_pairs(
            _read(factory, changed, report), _known(factory, PAIRS), "of a file with a byte order mark"
        )
        if not report.notes:
            raise Nonconforming(
                "no note of the byte order mark",
                "one in report.notes",
                "Read with s2s.text.corpus.read_lines, which does that.",
            )


def check_compressed(factory: CorpusFactory) -> None:
    """A file compressed by gzip gives the same pairs."""
    with _written(factory, PAIRS) as spec, _changed(spec, gzip.compress, ".gz") as changed:
        _expect_pairs(_read(factory, changed), _known(factory, PAIRS), "of a compressed file")


def check_bad_lines(factory: CorpusFactory) -> None:
    """A line that is not UTF-8 raises an error with its place, or is counted and skipped; others are read."""
    pairs = WORDS if part_of(factory).labelled else PAIRS
    known = _known(factory, pairs)
    others = [pair for i, pair in enumerate(known, start=1) if i != SPOILT]
    remedy = "Call report.bad(reason, f'{path}:{line}') for each bad line, and continue with the next."
    with _written(factory, pairs) as spec:
        for text in filter(None, known[SPOILT - 1]):
            with _changed(spec, partial(_spoilt, text=text.encode())) as changed:
                place = _place_of(b"\xff", changed)
                read: list[Pair] = []
                try:
                    for pair in _pairs(factory, changed, LineReport("error")):
                        read.append(pair)
                    found = "no error"
                except DataError as error:
                    named = re.search(rf"{re.escape(place)}\b", str(error))
                    found = "" if named else f"the message {str(error)!r}"
                if found:
                    raise Nonconforming(
                        f"{found} for a byte that is no UTF-8", f"a DataError with {place}", remedy
                    )
                _expect_pairs(read, known[: SPOILT - 1], "before a line that is not UTF-8")
                report = LineReport("skip")
                _expect_pairs(
                    _read(factory, changed, report), others, "around a line that is not UTF-8, skipped"
                )
                if report.skipped.total() != 1 or place not in str(report.first):
                    raise Nonconforming(
                        f"a report of {report.lines()} where one line is not UTF-8",
                        f"one skipped line, at {place}",
                        remedy,
                    )


def check_empty_sides(factory: CorpusFactory) -> None:
    """A pair without text on one side raises an error with its place, or is counted and skipped."""
    remedy = "Call report.bad if source.strip() or target.strip() is empty: nothing can be learnt from it."
    sides = part_of(factory).sides
    for bad in (("", "a target alone"), ("a source alone", ""), (" ", "a target alone"), ("a source", " ")):
        if all(text.strip() for text, side in zip(bad, ("source", "target"), strict=True) if side in sides):
            continue
        with _written(factory, [PAIRS[0], bad, PAIRS[1]]) as spec:
            report = LineReport("skip")
            expected = _known(factory, PAIRS[:2])
            _expect_pairs(_read(factory, spec, report), expected, "around one without text on one side")
            if report.skipped.total() != 1:
                raise Nonconforming(
                    f"{report.skipped.total()} skipped lines where the pair {bad} is", "1", remedy
                )
            try:
                found = f"{len(list(_pairs(factory, spec, LineReport('error'))))} pairs, {bad} among them"
            except DataError as error:
                if Path(spec.paths[0]).stem in str(error):
                    continue
                found = f"the message {str(error)!r}"
            raise Nonconforming(found, "a DataError that names file and line", remedy)


def check_no_pairs(factory: CorpusFactory) -> None:
    """A file without pairs gives none, without an error."""
    with _written(factory, []) as spec:
        _expect_pairs(_read(factory, spec), [], "of a file without any")


def check_unreadable(factory: CorpusFactory) -> None:
    """A file that is missing, or compressed and truncated, raises a DataError that names it."""
    with (
        _written(factory, PAIRS) as spec,
        _changed(spec, lambda content: gzip.compress(content)[:-9], ".gz") as cut,
    ):
        _expect_refused(factory, cut, "a compressed file that is truncated")
    _expect_refused(factory, spec, "a file that is missing")  # its folder has been removed


def check_again(factory: CorpusFactory) -> None:
    """A reader can be read twice, also concurrently, with the same result."""
    with _written(factory, PAIRS) as spec:
        corpus, known = factory(spec), _known(factory, PAIRS)
        first, second = corpus.pairs(LineReport()), corpus.pairs(LineReport())
        alternating = [pair for both in zip(first, second, strict=False) for pair in both]
        remedy = "Open the file in pairs, and keep nothing of the reading on self."
        _expect_pairs(alternating[::2], known, "read at the same time as others", remedy)
        _expect_pairs(alternating[1::2], known, "read at the same time as others", remedy)
        _expect_pairs(list(corpus.pairs(LineReport())), known, "read a second time", remedy)


def check_streaming(factory: CorpusFactory) -> None:
    """It yields pairs as it reads, and holds none: files may be larger than memory."""
    pairs = [(f"{i} {'s' * WIDTH}", f"{i} {'t' * WIDTH}") for i in range(MANY)]
    with _written(factory, pairs) as spec:
        size = sum(Path(path).stat().st_size for path in spec.paths)
        del pairs
        before = tracemalloc.is_tracing()
        tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            for _ in factory(spec).pairs(LineReport()):
                pass
            peak = tracemalloc.get_traced_memory()[1] - held
        finally:
            if not before:
                tracemalloc.stop()
    if peak > SHARE_HELD * size:
        raise Nonconforming(
            f"{peak:,} bytes of memory to read a file of {size:,}",
            f"{SHARE_HELD * size:,.0f} at most",
            "Yield each pair as its line is read; read_lines does not hold the others.",
        )


def check_progress(factory: CorpusFactory) -> None:
    """The report counts the bytes read of each file, as stored on disk."""
    with _written(factory, PAIRS) as spec, _changed(spec, gzip.compress, ".gz") as compressed:
        for one in (spec, compressed):
            report = LineReport()
            _read(factory, one, report)
            sizes = {path: Path(path).stat().st_size for path in one.paths}
            if report.bytes_read != sizes:
                raise Nonconforming(
                    f"bytes_read {report.bytes_read} after all was read",
                    f"{sizes}",
                    "Read with read_lines or raw_lines, which count them; progress bars show this.",
                )


CORPUS_CHECKS = tuple(
    Check("corpus", run)
    for run in (
        check_constructor,
        check_names,
        check_pairs,
        check_texts,
        check_line_ends,
        check_byte_order_mark,
        check_compressed,
        check_bad_lines,
        check_empty_sides,
        check_no_pairs,
        check_unreadable,
        check_again,
        check_streaming,
        check_progress,
    )
)
"""All of them, in the order in which they are run."""


def _sample(part: Any, folder: Path, pairs: Pairs) -> CorpusSpec:
    """Write these pairs to files that the reader accepts."""
    write = getattr(part, "write_sample", None)
    if write is not None:
        spec: CorpusSpec = write(folder, pairs)
        return spec
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    records = [json.dumps({"source": s, "target": t}, ensure_ascii=False) for s, t in pairs]
    columns = [f"{source}\t{target}" for source, target in pairs]
    for files in (
        {"pairs.tsv": columns},
        {"pairs.jsonl": records},
        {"pairs.source": sources, "pairs.target": targets},
    ):
        paths = [str(folder / name) for name in files]
        spec = CorpusSpec(path=paths[0]) if len(paths) == 1 else CorpusSpec(source=paths[0], target=paths[1])
        if _takes(part, spec):
            for path, lines in zip(paths, files.values(), strict=True):
                Path(path).write_bytes("".join(f"{line}\n" for line in lines).encode())
            return spec
    raise Nonconforming(
        "that it reads none of pairs.tsv, pairs.jsonl, and pairs.source with pairs.target, and has no write_sample",
        "files that the kit can write",
        "Give it a class method write_sample(folder, pairs) -> CorpusSpec that writes a file of its format.",
    )


def _known(factory: CorpusFactory, pairs: Pairs) -> Pairs:
    """The pairs as the reader should yield them: some readers have only one side."""
    sides = part_of(factory).sides
    return [(source if "source" in sides else "", target) for source, target in pairs]


def _matched(source: str, target: str) -> tuple[str, str]:
    """As many words as labels: the shorter text is repeated."""
    words, labels = source.split(), target.split()
    most = max(len(words), len(labels))
    return " ".join(islice(cycle(words), most)), " ".join(islice(cycle(labels), most))


@contextmanager
def _written(factory: CorpusFactory, pairs: Pairs) -> Iterator[CorpusSpec]:
    with tempfile.TemporaryDirectory() as folder:
        yield _sample(part_of(factory), Path(folder), pairs)


@contextmanager
def _changed(spec: CorpusSpec, change: Callable[[bytes], bytes], suffix: str = "") -> Iterator[CorpusSpec]:
    """Copies of the files with changed contents."""
    with tempfile.TemporaryDirectory() as folder:
        copies = {path: str(Path(folder) / (Path(path).name + suffix)) for path in spec.paths}
        for path, copy in copies.items():
            Path(copy).write_bytes(change(Path(path).read_bytes()))
        yield _with_paths(spec, copies)


def _spoilt(content: bytes, *, text: bytes) -> bytes:
    return content.replace(text, b"\xff")


def _renamed(spec: CorpusSpec, suffix: str) -> CorpusSpec:
    return _with_paths(spec, {path: path + suffix for path in spec.paths})


def _with_paths(spec: CorpusSpec, others: dict[str, str]) -> CorpusSpec:
    return replace(
        spec,
        path=others.get(spec.path or ""),
        source=others.get(spec.source or ""),
        target=others.get(spec.target or ""),
    )


def _takes(part: Any, spec: CorpusSpec) -> object:
    try:
        answer: object = part.reads(spec)
    except Exception as error:
        raise Nonconforming(
            f"{type(error).__name__} from reads for {_shown(spec)}: {error}",
            "True or False",
            "Use only the names in the spec: the files need not exist.",
        ) from error
    return answer


def _pairs(factory: CorpusFactory, spec: CorpusSpec, report: LineReport) -> Iterator[Pair]:
    """What a reader yields; any error other than a DataError becomes a Nonconforming."""
    try:
        yield from factory(spec).pairs(report)
    except DataError:
        raise
    except Exception as error:
        raise Nonconforming(
            f"{type(error).__name__} from {_shown(spec)}: {error}",
            "pairs, or a DataError",
            "Read with s2s.text.corpus.read_lines, which handles damaged and compressed files.",
        ) from error


def _read(factory: CorpusFactory, spec: CorpusSpec, report: LineReport | None = None) -> list[Pair]:
    try:
        return list(_pairs(factory, spec, report or LineReport()))
    except DataError as error:
        raise Nonconforming(
            f"a DataError from {_shown(spec)}: {error}", "pairs", "Nothing is wrong with this file."
        ) from error


def _expect_pairs(found: Iterable[Any], expected: Pairs, what: str, remedy: str = "") -> None:
    remedy = remedy or "Yield the pairs of the file in order; lose, strip and split nothing."
    pairs = [tuple(pair[:2]) for pair in found]
    for number, (pair, wanted) in enumerate(zip(pairs, expected, strict=False), start=1):
        if pair != wanted:
            told, right = (", ".join(map(shortened, sides)) for sides in (pair, wanted))
            raise Nonconforming(f"{told} as pair {number} {what}", right, remedy)
    if len(pairs) != len(expected):
        raise Nonconforming(f"{len(pairs)} pairs {what}", f"{len(expected)}", remedy)


def _expect_refused(factory: CorpusFactory, spec: CorpusSpec, what: str) -> None:
    try:
        found = f"{len(list(islice(_pairs(factory, spec, LineReport()), 9)))} pairs of {what}"
    except DataError as error:
        if any(Path(path).name in str(error) for path in spec.paths):
            return
        found = f"the message {str(error)!r} for {what}"
    raise Nonconforming(
        found,
        f"a DataError that names {_shown(spec)}",
        "Read with s2s.text.corpus.read_lines, which does that.",
    )


def _place_of(mark: bytes, spec: CorpusSpec) -> str:
    """File and line where some bytes occur."""
    for path in spec.paths:
        before, found, _ = Path(path).read_bytes().partition(mark)
        if found:
            return f"{Path(path).name}:{before.count(bytes([10])) + 1}"
    raise Nonconforming(
        "that the file does not contain a text verbatim",
        "that write_sample writes UTF-8",
        "Set `labelled` if the file has a word and its label in each line; declare bad_lines in expected_failures "
        "if the format does not hold plain text.",
    )


def _shown(spec: CorpusSpec) -> str:
    return ", ".join(Path(path).name for path in spec.paths)
