"""`s2s label` as a person runs it."""

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.errors import DataError
from s2s.inference import labeller as module
from s2s.inference.annotation import Sentences
from s2s.inference.labeller import Labeller
from tests.references.tiny_labeller import tiny_labeller

CONLLU = """\
# text = the boat
1\tthe\tthe\tADJ\t_\t_\t2\tdet\t_\t_
2\told boat\tboat\tX\t_\tA=b\t0\troot\t_\tSpaceAfter=No

# next
1-2\tmansea\t_\t_\t_\t_\t_\t_\t_\t_
1\tman\t_\t_\t_\t_\t_\t_\t_\t_
2\tsea\t_\t_\t_\t_\t_\t_\t_\t_
2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_

"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labeller") / "bundle"
    return tiny_labeller(folder, crf=True, training={"column": "XPOS"})


@pytest.fixture
def labels(bundle: Path) -> Any:
    labeller = Labeller.load(bundle)
    return lambda *words: labeller.label([list(words)])[0]


def run(capsys: Any, *words: object) -> str:
    assert main(["label", *map(str, words)]) == 0
    return str(capsys.readouterr().out)


def test_a_line_of_labels_for_a_line_of_words(bundle: Path, tmp_path: Path, capsys: Any, labels: Any) -> None:
    path = tmp_path / "words.txt"
    path.write_text("the old  man\n\n\u00a0boat\tsea\nx\u2028y")
    output = run(capsys, bundle, path)
    expected = [labels("the", "old", "man"), [], labels("boat", "sea"), labels("x", "y")]
    assert output == "".join(f"{' '.join(one)}\n" for one in expected)


def test_conllu_with_its_column_filled(bundle: Path, tmp_path: Path, capsys: Any, labels: Any) -> None:
    path = tmp_path / "a.conllu.gz"
    path.write_bytes(gzip.compress(CONLLU.encode()))
    first, second = labels("the", "old boat"), labels("man", "sea")
    expected = CONLLU.split("\n")
    for line, label in ((1, first[0]), (2, first[1]), (6, second[0]), (7, second[1])):
        columns = expected[line].split("\t")
        columns[4] = label  # XPOS, which the bundle has learnt from
        expected[line] = "\t".join(columns)
    assert run(capsys, bundle, path) == "\n".join(expected)
    upos = run(capsys, bundle, path, "--column", "upos").split("\n")
    assert [upos[line].split("\t")[3] for line in (1, 2, 6, 7)] == [*first, *second]


def test_columns(bundle: Path, tmp_path: Path, capsys: Any, labels: Any) -> None:
    path = tmp_path / "a.conll"
    path.write_text("the DET\nsea X\n\n\nman\n  \nboat NOUN")
    (first, second), (third,), (fourth,) = labels("the", "sea"), labels("man"), labels("boat")
    output = run(capsys, bundle, path)
    assert output == f"the {first}\nsea {second}\n\n\nman {third}\n\nboat {fourth}\n\n"
    path.write_text("DET the\n")
    assert run(capsys, bundle, path, "--word-column", 2, "--column", 3) == f"DET the {labels('the')[0]}\n\n"


def test_everything_as_json(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(f"{CONLLU}\n")
    rows = [json.loads(line) for line in run(capsys, bundle, path, "--jsonl").splitlines()]
    labeller = Labeller.load(bundle)
    for row, words in zip(rows, (["the", "old boat"], ["man", "sea"]), strict=True):
        found = labeller.label([words], results=True)[0]
        assert row["words"] == words
        assert row["labels"] == found.labels
        assert row["probabilities"] == pytest.approx(found.probabilities, abs=1e-5)
    (tmp_path / "a.txt").write_text("the\n\n")
    rows = [json.loads(line) for line in run(capsys, bundle, tmp_path / "a.txt", "--jsonl").splitlines()]
    assert [row["words"] for row in rows] == [["the"], []]


def test_what_is_broken_stays_in_its_place_and_is_told(
    bundle: Path, tmp_path: Path, capsys: Any, labels: Any
) -> None:
    path = tmp_path / "a.conllu"
    good = "1\tthe\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
    path.write_bytes(f"{good}1\tbroken\n\n# alone\n\n".encode() + good.encode().replace(b"the", b"\xff"))
    assert main(["label", str(bundle), str(path)]) == 0
    output = capsys.readouterr()
    blocks = output.out.split("\n\n")
    assert blocks[1:3] == ["1\tbroken", "# alone"]
    assert blocks[0].split("\t")[4] == labels("the")[0]
    assert (
        "s2s: 2 of 4 sentences could not be read and were left unchanged. The first: not 10 columns (it has 2)"
        in (output.err)
    )
    assert "1 of 4 sentences were not UTF-8" in output.err


def test_it_goes_on_where_it_stopped(
    bundle: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2s.inference.incoming.LINES", 2)
    path = tmp_path / "words.txt"
    path.write_text("".join(f"{'the ' * number}sea\n" for number in range(9)))
    whole, parts = tmp_path / "whole.gz", tmp_path / "parts.gz"
    assert run(capsys, bundle, path, "--output", whole) == ""
    real, windows = Labeller._labelled, 0

    def fail(self: Labeller, given: Any) -> Any:
        nonlocal windows
        windows += 1
        if windows == 3:
            raise KeyboardInterrupt
        return real(self, given)

    with monkeypatch.context() as broken:
        broken.setattr(Labeller, "_labelled", fail)
        assert main(["label", str(bundle), str(path), "--output", str(parts)]) == 130
    assert not parts.exists()
    run(capsys, bundle, path, "--output", parts, "--resume")
    assert gzip.decompress(parts.read_bytes()) == gzip.decompress(whole.read_bytes())
    assert len(gzip.decompress(whole.read_bytes()).splitlines()) == 9


def test_a_very_long_line_is_told(
    bundle: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WORDS", 3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the old man saw\nthe sea\n")))
    assert main(["label", str(bundle)]) == 0
    output = capsys.readouterr()
    assert [len(line.split()) for line in output.out.splitlines()] == [4, 2]
    assert "s2s: 1 of 2 sentences have more than 3 words; each part was labelled separately" in output.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume"], "--resume continues a file; name it with --output FILE"),
        (["--column", "UPOS"], "text has no columns; give the format of the files: --input conllu"),
        (["--input", "conllu", "--word-column", "1"], "the words of CoNLL-U are its column FORM; leave out"),
        (["--input", "columns", "--column", "UPOS"], "column 'UPOS' is not a number from 1"),
        (
            ["a.conllu", "a.txt"],
            "a.conllu is conllu, a.txt is text; label them one after the other, or give",
        ),
        (["missing.txt"], "there is no file missing.txt"),
        (["--threads", "1025"], "threads is 1025; it must be 1 or more, and at most 1,024"),
        (["--threads", "0"], "threads is 0; it must be 1 or more"),
    ],
)
def test_what_cannot_be(bundle: Path, capsys: Any, words: list[str], message: str) -> None:
    assert main(["label", str(bundle), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_sentence_without_an_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("s2s.inference.annotation.LONGEST_SENTENCE", 10 * 70)
    path = tmp_path / "a.conll"
    path.write_bytes(b"a X\n\n" + b"b Y\n" * 11)
    with pytest.raises(DataError, match=r"a\.conll:3: a sentence with too many lines"):
        list(Sentences([str(path)]).windows())
