"""data/convert.py, on a few made-up records in the form in which each corpus is published."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

from s2s.resources import recipes
from s2s.text.corpus import LineReport, corpus_spec, open_corpus

DATA = Path(__file__).resolve().parents[3] / "data"


def convert(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(DATA / "convert.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def script() -> Any:
    spec = spec_from_file_location("convert", DATA / "convert.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


def test_e_mails_become_a_line_each_that_the_recipes_read(tmp_path: Path) -> None:
    folder = tmp_path / "checkout" / "enron_subject_line"
    written(
        folder / "train" / "b_inbox_2.subject", "Dear Zira,\n\nthe boat is late.\n\n@subject\nThe “boat”\n"
    )
    written(folder / "train" / "a_sent_10.subject", "One line\n@subject\nin the body\n\n@subject\nA subject")
    for split in ("dev", "test"):
        written(
            folder / split / "c_1.subject", "Body.\n\n@subject\nS\n\n@ann0\none\n\n@ann1\ntwo\n\n@ann2\nthree"
        )
    done = convert("aeslc", tmp_path / "checkout", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    train = tmp_path / "data" / "aeslc" / "train.jsonl.gz"
    assert [json.loads(line) for line in lines(train)] == [
        {"id": "a_sent_10", "body": "One line\n@subject\nin the body", "subject": "A subject"},
        {"id": "b_inbox_2", "body": "Dear Zira,\n\nthe boat is late.", "subject": "The “boat”"},
    ]
    (record,) = map(json.loads, lines(tmp_path / "data" / "aeslc" / "dev.jsonl.gz"))
    assert record == {"id": "c_1", "body": "Body.", "subject": "S", "annotations": ["one", "two", "three"]}
    sha256 = hashlib.sha256(gzip.decompress(train.read_bytes())).hexdigest()
    assert done.stdout.splitlines()[0] == f"train.jsonl: {{lines: 2, sha256: {sha256}}}"
    recipe = corpus_spec({"path": str(train), "source_key": "body", "target_key": "subject"})
    assert [pair.target for pair in open_corpus(recipe).pairs(LineReport())] == ["A subject", "The “boat”"]


def test_a_release_of_the_treebank_gets_the_names_that_the_recipe_has(tmp_path: Path) -> None:
    sentence = "# text = Dogs sleep\n1\tDogs\tdog\tNOUN\n2\tsleep\tsleep\tVERB\n\n"
    for split in ("train", "dev", "test"):
        written(tmp_path / f"en_ewt-ud-{split}.conllu", sentence)
    assert convert("ud-english-ewt", tmp_path, tmp_path / "data").returncode == 0
    made = tmp_path / "data" / "ud_english_ewt" / "train.conllu.gz"
    assert gzip.decompress(made.read_bytes()).decode() == sentence


def reviews(film: int, count: int) -> list[dict[str, str]]:
    """Ratings from 1 to 10 in turn; one text without a word, one of another film again."""
    texts = ["", "same in all films", *(f"film {film}\tcomment {number}" for number in range(count - 2))]
    return [
        {
            "review": text,
            "rating": str(number % 10 + 1),
            "review_id": f"{film}-{number}",
            "movie_id": str(film),
        }
        for number, text in enumerate(texts)
    ]


def test_film_comments_are_balanced_and_films_belong_to_one_split(tmp_path: Path, script: Any) -> None:
    for film in range(60):
        written(tmp_path / "raw" / f"{film}.json", json.dumps(reviews(film, 40)))
    script.nsmc(tmp_path, tmp_path / "data", {"train": 200, "dev": 20, "test": 40})
    films: dict[str, set[str]] = {}
    texts: list[str] = []
    for split, size in (("train", 200), ("dev", 20), ("test", 40)):
        rows = [line.split("\t") for line in lines(tmp_path / "data" / "nsmc" / f"{split}.tsv.gz")]
        assert sorted(label for label, _ in rows) == ["0"] * (size // 2) + ["1"] * (size // 2)
        assert [label for label, _ in rows] != sorted(label for label, _ in rows)  # mixed
        for label, text in rows:
            texts.append(text)
            if text != "same in all films":
                _, film, _, number = text.split(" ")
                films.setdefault(split, set()).add(film)
                rating = (int(number) + 2) % 10 + 1
                assert rating >= 9 if label == "1" else rating <= 4
    assert len(set(texts)) == len(texts)
    assert not films["train"] & films["dev"] | films["train"] & films["test"] | films["dev"] & films["test"]
    with pytest.raises(ValueError, match="dev needs 500 reviews of label 0, there are"):
        script.nsmc(tmp_path, tmp_path / "data", {"dev": 1000, "train": 2, "test": 2})


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    done = convert("aeslc", tmp_path, tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr == f"aeslc: no file {tmp_path}/enron_subject_line/train/*.subject\n"
    path = tmp_path / "enron_subject_line" / "train" / "a.subject"
    written(path, "no subject")
    assert convert("aeslc", tmp_path, tmp_path / "data").stderr == f"aeslc: {path} has no line @subject\n"
    done = convert("nsmc", tmp_path, tmp_path / "data")
    assert done.stderr == f"nsmc: no file {tmp_path}/raw/*.json\n"


def test_the_catalogue_has_every_file_that_a_recipe_reads() -> None:
    listed: dict[str, set[str]] = {}
    for entry in yaml.safe_load((DATA / "catalogue.yaml").read_text(encoding="utf-8")):
        for recipe in entry["recipes"]:
            listed[recipe] = {f"{entry['place']}/{file}" for file in entry["files"]}
    read = {
        name: {path.removesuffix(".gz") for path in re.findall(r"\$S2S_DATA/([\w./-]+)", text)}
        for name, text in (
            (name, re.sub("(?m)^#.*$", "", path.read_text(encoding="utf-8")))
            for name, path in recipes().items()
        )
    }
    assert {name: files for name, files in read.items() if files} == {
        name: files & read.get(name, set()) for name, files in listed.items()
    }
