import pytest

from s2s.errors import ConfigError, DataError
from s2s.text.corpus import CorpusSpec, LineReport, corpus_spec, open_corpus


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
        ({"source": "a"}, "`path`, or `source` and `target`"),
        ({"path": "a", "source": "b"}, "`path`, or `source` and `target`"),
        ({"path": "a.tsv", "weight": 0}, "must be above 0"),
        ({"path": "a.tsv", "weight": float("nan")}, "must be above 0"),
        ({"path": "a.tsv", "weight": "x"}, "must be above 0"),
    ],
)
def test_impossible_corpora(given: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        corpus_spec(given)  # type: ignore[arg-type]


def test_readers_are_found_by_name() -> None:
    assert type(open_corpus("a.TSV.gz")).__name__ == "TSV"
    assert type(open_corpus("a.jsonl")).__name__ == "JSONL"
    assert type(open_corpus("a,b")).__name__ == "Parallel"
    assert type(open_corpus({"path": "a.txt", "reader": "TSV"})).__name__ == "TSV"
    with pytest.raises(ConfigError, match=r"no reader takes a\.txt\. .* give two: SOURCE,TARGET; .*JSONL, Para"):
        open_corpus("a.txt")
    with pytest.raises(ConfigError, match="did you mean 'JSONL'"):
        open_corpus({"path": "a.txt", "reader": "JSON"})


def test_a_report_keeps_the_first_places_of_each_reason() -> None:
    report = LineReport("skip")
    for line in range(1, 1201):
        report.bad("empty line", f"a.en:{line}")
    assert report.lines() == ["skipped 1,200 lines: empty line, first at a.en:1, a.en:2, a.en:3"]
    with pytest.raises(DataError, match=r"a\.en:1: empty line \(why\); mend the file"):
        LineReport().bad("empty line", "a.en:1", "why")
