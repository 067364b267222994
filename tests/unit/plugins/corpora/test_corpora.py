"""The three readers: good lines as they stand, bad ones named or counted."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s.errors import ConfigError, DataError
from s2s.text.corpus import LineReport, Pair, open_corpus

Write = Callable[[str, bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return writing


def good(corpus: object, report: LineReport | None = None) -> list[Pair]:
    return list(open_corpus(corpus).pairs(report or LineReport()))  # type: ignore[arg-type]


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_the_same_pairs_in_three_formats(write: Write, gz: str) -> None:
    source = write(f"a.en{gz}", "one\r\ntwo \u2028 half\u0085\n\tthree".encode())
    target = write(f"a.de{gz}", b"eins\nzwei\r\ndrei\n")
    expected = [Pair("one", "eins", 1), Pair("two \u2028 half\u0085", "zwei", 2), Pair("\tthree", "drei", 3)]
    assert good(f"{source},{target}") == expected
    tsv = write(f"a.tsv{gz}", "one\teins\r\ntwo \u2028 half\u0085\tzwei\nthree\tdrei".encode())
    assert good(tsv)[:2] == expected[:2]
    records = [{"source": pair.source, "target": pair.target} for pair in expected]
    lines = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    assert good(write(f"a.jsonl{gz}", lines.encode())) == expected


BAD = [
    ("parallel", b"a\n\nc\n", b"x\ny\nz\n", "empty line", "a.en:2"),
    ("parallel", b"a\nb\nc\n", b"x\n  \nz\n", "empty line", "a.de:2"),
    ("parallel", b"a\nb\xff\nc\n", b"x\ny\nz\n", "not UTF-8", "a.en:2"),
    ("parallel", b"a\nb\nc\n", b"x\n\xe4\nz\n", "not UTF-8", "a.de:2"),
    ("tsv", b"a\tx\nb\nc\tz\n", None, "not two columns", "a.tsv:2"),
    ("tsv", b"a\tx\nb\ty\t1\nc\tz\n", None, "not two columns", "a.tsv:2"),
    ("tsv", b"a\tx\n\ty\nc\tz\n", None, "empty column", "a.tsv:2"),
    ("tsv", b"a\tx\n\nc\tz\n", None, "empty line", "a.tsv:2"),
    ("tsv", b"a\tx\n\xc3\t\nc\tz\n", None, "not UTF-8", "a.tsv:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n{"source":"b"}\n{"source":"c","target":"z"}\n', None,
     "no key 'target'", "a.jsonl:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n{}\n{"source":"c","target":"z"}', None,
     "no key 'source'", "a.jsonl:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n{"source\n{"source":"c","target":"z"}', None,
     "not JSON", "a.jsonl:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n' + b"[" * 99_999 + b'\n{"source":"c","target":"z"}', None,
     "not JSON", "a.jsonl:2"),
    ("tsv", b"a\tx\n" + b"b" * 2**20 + b"\ty\nc\tz\n", None,
     "longer than 1 MiB", "a.tsv:2"),
    ("lines", b"a\n" + b"b" * (2 * 2**20 + 9) + b"\nc\n", b"x\ny\nz\n",
     "longer than 1 MiB", "a.en:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n[1]\n{"source":"c","target":"z"}', None,
     "not a JSON object", "a.jsonl:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n{"source":"b","target":3}\n{"source":"c","target":"z"}', None,
     "no text under 'target'", "a.jsonl:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n{"source":"b","target":" "}\n{"source":"c","target":"z"}', None,
     "empty under 'target'", "a.jsonl:2"),
    ("jsonl", b'{"source":"a","target":"x"}\n{"source":"\\ud800","target":"y"}\n'
     b'{"source":"c","target":"z"}', None,
     "half a character under 'source'", "a.jsonl:2"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "first", "second", "reason", "place"), BAD)
def test_a_bad_line_is_named_or_counted(
    write: Write,
    form: str,
    first: bytes,
    second: bytes | None,
    reason: str,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("s2s.text.corpus.LONGEST_LINE", 2**20)
    corpus = (
        write(f"a.{form}", first) if second is None else f"{write('a.en', first)},{write('a.de', second)}"
    )
    with pytest.raises(DataError, match=f"{place}: {reason}.*on_bad_line: skip"):
        good(corpus)
    report = LineReport("skip")
    assert good(corpus, report) == [Pair("a", "x", 1), Pair("c", "z", 3)]
    assert report.skipped == {reason: 1}
    assert report.lines()[0].startswith(f"skipped 1 line: {reason}, at ")
    assert report.lines()[0].endswith(place)


@pytest.mark.parametrize(("sources", "targets"), [(2, 5), (5, 2)])
def test_files_of_unequal_length(write: Write, sources: int, targets: int) -> None:
    corpus = ",".join([write("a.en", b"a\n" * sources), write("a.de", b"x\n" * targets)])
    longer = "a.en" if sources > targets else "a.de"
    with pytest.raises(DataError, match=rf"{longer}:3: no partner.*{longer} has 5 lines, .* has 2"):
        good(corpus)
    report = LineReport("skip")
    assert len(good(corpus, report)) == 2
    assert report.skipped == {"no partner in the other file": 3}


def test_columns_and_keys_can_be_chosen(write: Write) -> None:
    tsv = write("a.tsv", b"1\tx\ta\n2\ty\tb\n3\tz\n")
    chosen = {"path": tsv, "source_key": 3, "target_key": 2}
    with pytest.raises(DataError, match="a.tsv:3: fewer than 3 columns"):
        good(chosen)
    assert good(chosen, LineReport("skip")) == [Pair("a", "x", 1), Pair("b", "y", 2)]
    jsonl = write("a.jsonl", b'{"body":"a\\nb","subject":"x"}\n')
    assert good({"path": jsonl, "source_key": "body", "target_key": "subject"}) == [Pair("a\nb", "x", 1)]


def test_references_beside_the_target(write: Write) -> None:
    records = [
        {"source": "a", "target": "x", "more": ["x 1", "x\n2"], "other": "x 3"},
        {"source": "b", "target": "y", "more": ["y 1", "y 2"], "other": "y 3"},
    ]
    jsonl = write("a.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())
    assert good({"path": jsonl, "references_key": ["other", "more"]}) == [
        Pair("a", "x", 1, ("x 3", "x 1", "x\n2")),
        Pair("b", "y", 2, ("y 3", "y 1", "y 2")),
    ]
    assert good({"path": jsonl, "references_key": "other"})[1] == Pair("b", "y", 2, ("y 3",))
    tsv = write("a.tsv", b"a\tx\tx 1\tx 2\nb\ty\ty 1\ty 2\n")
    assert good({"path": tsv, "references_key": [4, 3]})[0] == Pair("a", "x", 1, ("x 2", "x 1"))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["z"], r"a.jsonl:2: another number of references \(1, and 2 in line 1\)"),
        ([], r"a.jsonl:2: no text under 'more' \(a list\)"),
        (["z", 2], r"a.jsonl:2: no text under 'more' \(a int\)"),
        (["z", " "], "a.jsonl:2: empty under 'more'"),
        (None, "a.jsonl:2: no key 'more'"),
    ],
)
def test_references_that_are_none(write: Write, more: list[object] | None, reason: str) -> None:
    whole: dict[str, object] = {"source": "a", "target": "x", "more": ["x 1", "x 2"]}
    wrong = {key: value for key, value in (whole | {"more": more}).items() if value is not None}
    lines = "".join(json.dumps(record) + "\n" for record in (whole, wrong, whole))
    corpus = {"path": write("a.jsonl", lines.encode()), "references_key": "more"}
    with pytest.raises(DataError, match=reason):
        good(corpus)
    assert [pair.line for pair in good(corpus, LineReport("skip"))] == [1, 3]


def test_who_gives_no_references_says_so(write: Write) -> None:
    source, target = write("a.en", b"a\n"), write("a.de", b"x\n")
    message = r"reader Parallel gives no references \(.*a.de: references_key 3\). What does: JSONL, TSV"
    with pytest.raises(ConfigError, match=message):
        good({"source": source, "target": target, "references_key": 3})
    with pytest.raises(ConfigError, match="column 'more' is not a number from 1"):
        good({"path": write("a.tsv", b"a\tx\n"), "references_key": "more"})
    tsv = {"path": write("a.tsv", b"a\tx\ty\nb\tx\n"), "references_key": 3}
    with pytest.raises(DataError, match="a.tsv:2: fewer than 3 columns"):
        good(tsv)


def test_byte_order_mark_and_utf16(write: Write) -> None:
    report = LineReport()
    assert good(write("a.tsv", b"\xef\xbb\xbfa\tx\n"), report) == [Pair("a", "x", 1)]
    assert "byte order mark" in report.lines()[0]
    with pytest.raises(DataError, match="UTF-16"):
        good(write("b.tsv", "a\tx\n".encode("utf-16")))


def test_damaged_and_missing_files(write: Write, tmp_path: Path) -> None:
    path = Path(write("a.tsv.gz", b"a\tx\n" * 10_000))
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="damaged or cut off"):
        good(str(path))
    with pytest.raises(DataError, match="there is no file"):
        good(str(tmp_path / "none.tsv"))


@settings(max_examples=100, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\t"))] * 2
        ).filter(lambda pair: all(side.strip() for side in pair) and not pair[0].startswith("\ufeff")),
        max_size=6,
    )
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.tsv").write_bytes("".join(f"{source}\t{target}\n" for source, target in pairs).encode())
    assert [pair[:2] for pair in good(str(folder / "a.tsv"))] == pairs
