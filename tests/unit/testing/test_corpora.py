"""The kit of readers against readers that are wrong, each in one way: the right check must say so."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from s2s.testing import KITS, check_corpus
from s2s.text.corpus import Corpus, CorpusSpec, LineReport, Pair, plain_suffix, read_lines


class Sound(Corpus):
    """Pairs with bars between their sides."""

    suffix = ".bars"

    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        return spec.path is not None and plain_suffix(spec.path) == cls.suffix

    @classmethod
    def write_sample(cls, folder: Path, pairs: Sequence[tuple[str, str]]) -> CorpusSpec:
        path = folder / f"pairs{cls.suffix}"
        path.write_bytes("".join(f"{source}|||{target}\n" for source, target in pairs).encode())
        return CorpusSpec(path=str(path))

    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        return read_lines(path, report)

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        (path,) = self.spec.paths
        for line, text in self.lines(path, report):
            if text is None:
                continue
            source, bars, target = text.partition("|||")
            if bars and source.strip() and target.strip():
                yield Pair(source, target, line)
            else:
                self.refuse(report, path, line)

    def refuse(self, report: LineReport, path: str, line: int) -> None:
        report.bad("not two sides", f"{path}:{line}")


class Undocumented(Sound):
    """An option that nobody explains."""

    def __init__(self, spec: CorpusSpec, *, bars: int = 3) -> None:
        super().__init__(spec)


class LooksIntoTheFile(Sound):
    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        return b"|||" in Path(spec.paths[0]).read_bytes()


class TakesNoCompressedOnes(Sound):
    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        return str(spec.path).endswith(".bars")


class TakesAll(Sound):
    @classmethod
    def reads(cls, spec: CorpusSpec) -> bool:
        return spec.path is not None


class TakesAnothers(Sound):
    suffix = ".tsv"


class NobodyCanWriteIt(Sound):
    write_sample = None  # type: ignore[assignment]


class Yields(Sound):
    """Changes what a sound one gives."""

    def pairs(self, report: LineReport) -> Iterator[Any]:
        return iter(self.changed(super().pairs(report)))

    def changed(self, pairs: Iterable[Pair]) -> Iterable[Any]:
        return pairs


class LastFirst(Yields):
    def changed(self, pairs: Iterable[Pair]) -> Iterable[Any]:
        return list(pairs)[::-1]


class LosesTheLast(Yields):
    def changed(self, pairs: Iterable[Pair]) -> Iterable[Any]:
        return list(pairs)[:-1]


class CountsFromNought(Yields):
    def changed(self, pairs: Iterable[Pair]) -> Iterable[Any]:
        return (pair._replace(line=pair.line - 1) for pair in pairs)


class NamesNoLine(Yields):
    def changed(self, pairs: Iterable[Pair]) -> Iterable[Any]:
        return (tuple(pair) for pair in pairs)


class Strips(Yields):
    def changed(self, pairs: Iterable[Pair]) -> Iterable[Any]:
        return (Pair(pair.source.strip(), pair.target.strip(), pair.line) for pair in pairs)


class ReadsByItself(Sound):
    """With Python alone."""

    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        return enumerate(self.split(Path(path).read_bytes(), path), start=1)

    def split(self, content: bytes, path: str) -> list[str]:
        return content.decode().removesuffix("\n").split("\n") if content else []


class SplitsAsPythonDoes(ReadsByItself):
    def split(self, content: bytes, path: str) -> list[str]:
        return content.decode().splitlines()


class KeepsReturns(ReadsByItself):
    pass


class DropsTheUnended(ReadsByItself):
    def split(self, content: bytes, path: str) -> list[str]:
        return content.decode().replace("\r\n", "\n").split("\n")[:-1]


class KeepsTheMark(ReadsByItself):
    pass


class HidesTheMark(ReadsByItself):
    def split(self, content: bytes, path: str) -> list[str]:
        return super().split(content.removeprefix(b"\xef\xbb\xbf"), path)


class KnowsNoGzip(ReadsByItself):
    pass


class ReplacesBadBytes(ReadsByItself):
    def split(self, content: bytes, path: str) -> list[str]:
        return content.decode(errors="replace").split("\n")[:-1]


class StumblesOverBadBytes(ReadsByItself):
    pass


class SaysTooLittle(Sound):
    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        return read_lines(path, Quiet(report.on_bad_line))


class Quiet(LineReport):
    def bad(self, reason: str, place: str, detail: str = "", *, count: int = 1) -> None:
        super().bad(reason, "somewhere", detail, count=count)


class StopsAtBadLines(Sound):
    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        for line, text in read_lines(path, report):
            if text is None:
                return
            yield line, text


class CountsNoBadLines(Sound):
    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        return read_lines(path, LineReport(report.on_bad_line))


class LooksAhead(Sound):
    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        return list(read_lines(path, report))


class GivesEmptySides(Sound):
    def pairs(self, report: LineReport) -> Iterator[Pair]:
        (path,) = self.spec.paths
        for line, text in self.lines(path, report):
            source, bars, target = str(text).partition("|||")
            if text is not None and bars:
                yield Pair(source, target, line)


class HidesEmptySides(Sound):
    def refuse(self, report: LineReport, path: str, line: int) -> None:
        pass


class EmptySidesSomewhere(Sound):
    def refuse(self, report: LineReport, path: str, line: int) -> None:
        report.bad("not two sides", "a line")


class NeedsAPair(ReadsByItself):
    def split(self, content: bytes, path: str) -> list[str]:
        lines = super().split(content, path)
        lines[0].index("|||")
        return lines


class RaisesWhateverComes(ReadsByItself):
    pass


class GivesNothingOfNoFile(Sound):
    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        return read_lines(path, report) if Path(path).exists() else []


class ReadsOnce(Sound):
    reading: Iterator[Pair] | None = None

    def pairs(self, report: LineReport) -> Iterator[Pair]:
        self.reading = self.reading or super().pairs(report)
        return self.reading


class HoldsAll(LooksAhead):
    pass


class CountsNoBytes(Sound):
    def lines(self, path: str, report: LineReport) -> Iterable[tuple[int, str | None]]:
        yield from read_lines(path, report)
        report.bytes_read.clear()


WRONG: list[tuple[type[Sound], str, str]] = [
    (Undocumented, "constructor", "does not tell of 'bars'; expected a line in its Args section"),
    (LooksIntoTheFile, "names", "FileNotFoundError from reads for pairs.bars.*; expected True or False"),
    (TakesNoCompressedOnes, "names", "reads is not True for pairs.bars.gz; expected True"),
    (TakesAll, "names", "reads is not False for pairs.of-another-kind; expected False"),
    (TakesAnothers, "names", "TSV reads pairs.tsv too; expected one reader for a name"),
    (
        NobodyCanWriteIt,
        "pairs",
        "reads none of pairs.tsv.*; expected files that the kit can write.*write_sample",
    ),
    (LastFirst, "pairs", "source number 7.* as pair 1 of a file; expected .*source number 1"),
    (LosesTheLast, "pairs", "6 pairs of a file; expected 7"),
    (CountsFromNought, "pairs", "line 0 for 'source number 1'; expected the line of the file, from 1"),
    (NamesNoLine, "pairs", "a tuple; expected a Pair. Yield Pair"),
    (Strips, "texts", "'two   spaces'.* of unusual texts; expected .*'  two   spaces  '"),
    (SplitsAsPythonDoes, "texts", r"not two sides"),
    (KeepsReturns, "line_ends", r"Ziel Nummer 1\\r.* as pair 1 of a file with \\r\\n at the ends of lines"),
    (DropsTheUnended, "line_ends", "6 pairs of a file without a line feed at its end; expected 7"),
    (KeepsTheMark, "byte_order_mark", r"ufeffsource number 1.* as pair 1 of a file with a byte order mark"),
    (HidesTheMark, "byte_order_mark", "no note of the byte order mark; expected one in report.notes"),
    (KnowsNoGzip, "compressed", "UnicodeDecodeError from pairs.bars.gz: .*; expected pairs, or a DataError"),
    (
        ReplacesBadBytes,
        "bad_lines",
        "no error for a byte that is no UTF-8; expected a DataError with pairs.bars:4",
    ),
    (
        StumblesOverBadBytes,
        "bad_lines",
        "UnicodeDecodeError from pairs.bars: .*; expected pairs, or a DataError",
    ),
    (
        SaysTooLittle,
        "bad_lines",
        "the message 'somewhere: not UTF-8.*; expected a DataError with pairs.bars:4",
    ),
    (StopsAtBadLines, "bad_lines", "3 pairs around a line that is not UTF-8, skipped; expected 6"),
    (
        CountsNoBadLines,
        "bad_lines",
        r"a report of \[\] where one line is not UTF-8; expected one skipped line, at",
    ),
    (LooksAhead, "bad_lines", "0 pairs before a line that is not UTF-8; expected 3"),
    (GivesEmptySides, "empty_sides", "'a target alone'.* as pair 2 around one without text on one side"),
    (HidesEmptySides, "empty_sides", "0 skipped lines where the pair .* is; expected 1"),
    (
        EmptySidesSomewhere,
        "empty_sides",
        "the message 'a line: not two sides.*; expected a DataError that names file",
    ),
    (NeedsAPair, "no_pairs", "IndexError from pairs.bars: .*; expected pairs"),
    (RaisesWhateverComes, "unreadable", "Error from pairs.bars.*; expected pairs, or a DataError"),
    (
        GivesNothingOfNoFile,
        "unreadable",
        "0 pairs of a file that is missing; expected a DataError that names",
    ),
    (ReadsOnce, "again", "as pair 2 read at the same time as others; .*keep nothing of the reading on self"),
    (
        HoldsAll,
        "streaming",
        r"[\d,]+ bytes of memory to read a file of 2,0\d\d,\d+; expected 50\d,\d+ at most",
    ),
    (CountsNoBytes, "progress", r"bytes_read \{\} after all was read; expected \{.*pairs.bars"),
]


def test_a_sound_reader_passes() -> None:
    check_corpus(Sound)


@pytest.mark.parametrize(
    ("reader", "check", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_wrong_reader_fails(reader: type[Sound], check: str, message: str) -> None:
    (run,) = (one for one in KITS["corpus"] if one.name == check)
    with pytest.raises(AssertionError, match=f"(?s){message}"):
        run(reader)


def test_every_check_has_a_reader_that_it_catches() -> None:
    assert {check for _, check, _ in WRONG} == {check.name for check in KITS["corpus"]}
