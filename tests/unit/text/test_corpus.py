import gc
import gzip
import io
import sys
import tracemalloc
from pathlib import Path

import pytest

from s2s import registry
from s2s.errors import ConfigError, DataError
from s2s.registry import Catalogue, Entry
from s2s.text.corpus import (
    STANDARD_INPUT,
    CorpusSpec,
    LineReport,
    corpus_spec,
    open_corpus,
    raw_lines,
    read_lines,
)
from s2s_plugins.corpora.tsv import TSV


class Separated(TSV):
    """Cannot be built by a spec alone."""

    def __init__(self, spec: CorpusSpec, *, separator: str) -> None:
        super().__init__(spec)


def test_three_ways_to_name_a_corpus() -> None:
    assert corpus_spec("a.tsv") == CorpusSpec(path="a.tsv")
    assert corpus_spec("a.en, a.de") == CorpusSpec(source="a.en", target="a.de")
    assert corpus_spec({"source": "a.en", "target": "a.de", "weight": 2}).weight == 2
    assert corpus_spec({"path": "a.tsv", "source_key": 2}).source_key == "2"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a,b,c", "neither one file nor two"),
        ("a,", "neither one file nor two"),
        ({"pth": "a.tsv"}, "did you mean 'path'"),
        ("{pth: a.tsv}", "did you mean 'path'"),
        ("{pth: a.tsv", "is no mapping"),
        ("{path: 2001-99-99}", "is no mapping"),
        ("{path: " + "[" * 999, "is no mapping"),
        ({"source": "a"}, "`path`, or `source` and `target`"),
        ({"path": "a", "source": "b"}, "`path`, or `source` and `target`"),
        *(
            (
                {"path": "a.tsv", "weight": weight},
                f"weight of corpus a.tsv is {weight!r}; it must be a number above 0",
            )
            for weight in (0, float("nan"), "x", True, None)
        ),
        (
            "{path: a.tsv, reader: 3}",
            "reader of corpus a.tsv is 3; it must be the name of a reader: .*JSONL, .*TSV",
        ),
        (
            {"path": "a.tsv", "source_key": True},
            "source_key of corpus a.tsv is True; it must be a key .in quotes",
        ),
        ({"path": "a.tsv", "target_key": ["b"]}, r"target_key of corpus a.tsv is \['b'\]; it must be a key"),
        (CorpusSpec(path="a.tsv", source_key=2), "source_key of corpus a.tsv is 2; it must be a key"),  # type: ignore
        ({"path": "a.tsv", "references_key": [3, True]}, r"is \('3', True\); it must be a key"),
        ({"path": "a.tsv", "references_key": {"a": 1}}, "it must be a key"),
        (CorpusSpec(path="a.tsv", references_key="more"), "is 'more'; it must be a key"),  # type: ignore
        ({"path": "a.tsv", "tell_length": 1}, "tell_length of corpus a.tsv is 1; it must be true or false"),
        (3, "corpus 3 is neither the name of a file nor a mapping"),
    ],
)
def test_impossible_corpora(given: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        corpus_spec(given)  # type: ignore[arg-type]


def test_a_reader_with_an_option_that_nobody_can_give(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("corpus", "Separated", f"{__name__}:Separated", "made-up", "1")
    monkeypatch.setattr(registry, "_catalogue", Catalogue([*registry.catalogue().entries(), entry]))
    with pytest.raises(ConfigError, match="^corpus 'Separated': option 'separator' has no default; give it"):
        open_corpus({"path": "a.tsv", "reader": "Separated"})


def test_readers_are_found_by_name() -> None:
    assert type(open_corpus("a.TSV.gz")).__name__ == "TSV"
    assert type(open_corpus("a.jsonl")).__name__ == "JSONL"
    assert type(open_corpus("a,b")).__name__ == "Parallel"
    assert type(open_corpus({"path": "a.txt", "reader": "TSV"})).__name__ == "TSV"
    with pytest.raises(
        ConfigError,
        match=r"no reader takes a\.en\. .* give two: SOURCE,TARGET; .*\{path: a.en, reader: TSV\}: .*JSONL, Li",
    ):
        open_corpus("a.en")
    with pytest.raises(ConfigError, match="did you mean 'JSONL'"):
        open_corpus({"path": "a.txt", "reader": "JSON"})


def test_a_report_keeps_the_first_places_of_each_reason() -> None:
    report = LineReport("skip")
    for line in range(1, 1201):
        report.bad("empty line", f"a.en:{line}")
    assert report.lines() == ["skipped 1,200 lines: empty line, first at a.en:1, a.en:2, a.en:3"]
    with pytest.raises(DataError, match=r"a\.en:1: empty line \(why\); mend the file"):
        LineReport().bad("empty line", "a.en:1", "why")


@pytest.mark.parametrize("lines", [None, 1])
def test_a_stream_put_in_the_place_of_standard_input_stays_open(
    monkeypatch: pytest.MonkeyPatch, lines: int | None
) -> None:
    stream = io.BytesIO(b"a\nb\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    found = [
        line for line, _ in zip(raw_lines(STANDARD_INPUT, LineReport()), range(lines or 9), strict=False)
    ]
    gc.collect()
    assert found == [b"a", b"b"][:lines]
    assert not stream.closed


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as after `<&-`
    with pytest.raises(DataError, match="^standard input is closed; give a file$"):
        list(read_lines(STANDARD_INPUT, LineReport()))


def test_standard_input_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(content: bytes) -> LineReport:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        report = LineReport()
        list(read_lines(STANDARD_INPUT, report))
        return report

    assert read(b"\xef\xbb\xbfa\n").lines() == ["took the byte order mark off standard input"]
    for content, message in (
        (b"a\nb\xff\n", "standard input:2: not UTF-8"),
        ("a\n".encode("utf-16"), "standard input: this is UTF-16"),
        (gzip.compress(b"a\n", mtime=0)[:-9], "standard input: the compressed file is damaged"),
    ):
        with pytest.raises(DataError, match=f"^{message}"):
            read(content)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"source": "a.tsv", "target": "b.tsv", "reader": "TSV"},
            "TSV reads one file, `path`; .* names .*a.tsv and",
        ),
        (
            {"path": "a.txt", "reader": "Parallel"},
            "Parallel reads two files, `source` and `target`; .* names .*a.txt",
        ),
    ],
)
def test_a_reader_of_another_number_of_files(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_corpus(given)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr("s2s.text.corpus.LONGEST_LINE", 2**20)
    return b"x" * 2**20


def test_the_longest_line(tmp_path: Path, longest: bytes) -> None:
    path = tmp_path / "a.txt"
    for content in (longest, longest + b"\n", b"\n" + longest + b"\n"):
        path.write_bytes(content)
        assert list(raw_lines(str(path), LineReport()))[-1] == longest
    path.write_bytes(b"a\n\xef\xbb\xbf" + longest)  # the mark of the byte order counts
    with pytest.raises(DataError, match=r"a\.txt:2: longer than 1 MiB; split it, or leave it out"):
        list(raw_lines(str(path), LineReport("skip")))
    path.write_bytes(b"\xef\xbb\xbf" + longest + b"\nb")
    report = LineReport("skip")
    assert list(read_lines(str(path), report)) == [(1, None), (2, "b")]
    assert report.skipped == {"longer than 1 MiB": 1}


def test_a_small_file_that_unpacks_to_much(tmp_path: Path, longest: bytes) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"a\n" + bytes(2**25), 1))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"bomb\.gz:2: longer than 1 MiB"):
            list(read_lines(str(path), LineReport()))
        report = LineReport("skip")
        assert list(read_lines(str(path), report)) == [(1, "a"), (2, None)]
        assert tracemalloc.get_traced_memory()[1] < 6 * len(
            longest
        )  # of 32: the line, what it is read into, and some
    finally:
        tracemalloc.stop()
