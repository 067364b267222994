import json
from pathlib import Path

import pytest

from s2s.commands.data import main
from s2s.commands.tokenizer import main as tokenizer


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "train.tsv").write_text("a bb\tx\na bb\tx\nc\ty\n", encoding="utf-8")
    (tmp_path / "test.tsv").write_text("c\ty\nd\n", encoding="utf-8")
    return [str(tmp_path / "train.tsv"), str(tmp_path / "test.tsv")]


def test_as_json(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer(["train", files[0], "--kind", "Words", "--out", str(tmp_path / "tokenizer")])
    capsys.readouterr()
    assert main(["stats", *files, "--json", "--tokenizer", str(tmp_path / "tokenizer")]) == 0
    told = json.loads(capsys.readouterr().out)
    train, test = told["corpora"]
    assert train["sides"]["source"]["words"] == {
        "mean": 5 / 3,
        "median": 2.0,
        "percentile_95": 2.0,
        "longest": 2,
    }
    assert train["sides"]["source"]["pieces_per_word"] == 1.0
    assert train["sides"]["target"]["unknown_share"] == 0.0
    assert train["repeated_pairs"] == 1
    assert test["report"] == [f"skipped 1 line: not two columns, at {files[1]}:2"]
    assert told["overlaps"] == [
        {"corpus": files[1], "inside": files[0], "lines": {"source": 1, "target": 1, "pair": 1}}
    ]


def test_as_tables(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", *files]) == 0
    told = capsys.readouterr().out
    assert "1.7 / 2 / 2 / 2" in told
    assert "pieces" not in told
    assert "1 pair repeats an earlier one" in told
    assert f"has 1 source lines, 1 target lines, 1 pairs of {files[0]}" in told
