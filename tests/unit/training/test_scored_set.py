"""Under which names the files of a test lie."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from s2s.evaluation.metric import Score
from s2s.training.scored_set import ScoredSet, files_of_tests, name_of, set_of_run


@pytest.mark.parametrize(
    "test_set, name",
    [
        ("own.tsv", "test"),
        ("some/flickr2017.tsv", "test.flickr2017"),
        ("flickr2017.en,flickr2017.de", "test.flickr2017"),
        ("flickr2017.tsv.gz", "test.flickr2017"),
        (["flickr2017.tsv", "other.tsv"], "test.flickr2017"),
        ({"path": "flickr2017.jsonl", "source_key": "en"}, "test.flickr2017"),
        ({"source": "flickr2017.en", "target": "flickr2017.de"}, "test.flickr2017"),
        (24, "test.24"),
        (0.25, "test.0.25"),
    ],
)
def test_another_set_than_that_of_the_run_is_named(test_set: Any, name: str, tmp_path: Path) -> None:
    assert name_of(test_set, "own.tsv", tmp_path) == name


def test_sets_of_one_name_have_files_of_their_own(tmp_path: Path) -> None:
    sets = ["2016/all.en,2016/all.de", "2017/all.en,2017/all.de", "2016/all.en,2016/all.fr", "all.tsv"]
    for _ in range(2):  # the second time each has the name that it had
        names = []
        for test_set in sets:
            name = name_of(test_set, None, tmp_path)
            (tmp_path / f"{name}.scores.json").write_text(ScoredSet(name, test_set).scores_text([]))
            names.append(name)
        assert names[:2] == ["test.all", "test.2017.all"]
        assert names[2] == "test.2016.all"
        assert names[3] == f"test.{Path.cwd().name}.all"
    assert name_of("2016/all.en,2016/all.cs", None, tmp_path) == "test.all-2"
    (tmp_path / "test.b.scores.json").write_text("not JSON, and somebody's")
    assert name_of("a/b.tsv", None, tmp_path) == "test.a.b"


def test_files_of_tests_are_those_that_their_scores_name(tmp_path: Path) -> None:
    files = ["test.hypotheses.txt", "../mine.txt", "test./../mine.txt", "config.yaml"]
    (tmp_path / "test.scores.json").write_text(ScoredSet().scores_text([], files))
    (tmp_path / "test.a.scores.json").write_text('{"files": 3}')
    (tmp_path / "test.b.scores.json").write_text("not JSON, and somebody's")
    found = [tmp_path / "test.scores.json", tmp_path / "test.hypotheses.txt"]
    assert files_of_tests(tmp_path) == found


def test_the_set_of_a_run(tmp_path: Path) -> None:
    assert set_of_run(tmp_path) is None
    for text, found in (
        ("data: {test: a.tsv}", "a.tsv"),
        ("data: {}", None),
        ("data:", None),
        ("[", None),
        ("3", None),
    ):
        (tmp_path / "config.yaml").write_text(text)
        assert set_of_run(tmp_path) == found


def test_scores_are_json_whatever_they_are() -> None:
    scores = [Score(12.5, "BLEU|v", "BLEU", 3), Score(math.nan, "MASE|v", "MASE", 3, unit="forecasts")]
    found = json.loads(ScoredSet("test.a", "a.tsv", "best.ckpt", 2, 40).scores_text(scores))
    assert {key: found[key] for key in ("test_set", "checkpoint", "epoch", "step")} == {
        "test_set": "a.tsv",
        "checkpoint": "best.ckpt",
        "epoch": 2,
        "step": 40,
    }
    assert [(one["name"], one["value"], one["unit"]) for one in found["scores"]] == [
        ("BLEU", 12.5, "sentences"),
        ("MASE", None, "forecasts"),
    ]
