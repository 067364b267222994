"""`s2s classify` as a person runs it."""

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.inference.classifier import Classifier
from tests.references.tiny import sentences
from tests.references.tiny_classifier import CLASSES, tiny_classifier

TEXTS = [*sentences(30), "", "abc"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="module")
def labels(bundle: Path) -> list[str]:
    return Classifier.load(bundle).classify(TEXTS)


@pytest.fixture
def lines(tmp_path: Path) -> str:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return str(path)


def test_a_line_for_a_line_and_an_empty_one_for_an_empty_one(
    bundle: Path, lines: str, labels: list[str], tmp_path: Path, capsys: Any
) -> None:
    assert main(["classify", str(bundle), lines]) == 0
    assert capsys.readouterr().out == "".join(f"{label}\n" for label in labels)
    assert labels[30] == "" and set(labels) == {*CLASSES, ""}
    output = tmp_path / "out.gz"
    assert main(["classify", str(bundle), lines, "--output", str(output), "--batch-tokens", "20"]) == 0
    assert gzip.decompress(output.read_bytes()).decode() == "".join(f"{label}\n" for label in labels)


def test_lines_that_are_no_text_move_no_other(
    bundle: Path, labels: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = f"{TEXTS[0]}\n".encode() + b"a\xff\x00b\r\n\n" + TEXTS[1].encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert main(["classify", str(bundle)]) == 0
    output = capsys.readouterr()
    found = output.out.split("\n")
    assert len(found) == 5 and found[0] == labels[0] and found[2:] == ["", labels[1], ""]
    assert (
        "1 of 4 texts were not UTF-8" in output.err
        and "1 of 4 texts contain control characters" in output.err
    )


def test_everything_as_json(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    rows = [{"body": text, "id": number} for number, text in enumerate([*TEXTS[:4], "", "ab\nc"])]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (
        main(["classify", str(bundle), str(path), "--field", "body", "--jsonl", "--max-source-tokens", "9"])
        == 0
    )
    output = capsys.readouterr()
    found = [json.loads(line) for line in output.out.splitlines()]
    texts = [str(row["body"]) for row in rows]
    expected = Classifier.load(bundle).classify(texts, results=True, max_source_tokens=9)
    for number, (row, one, text) in enumerate(zip(found, expected, texts, strict=True), start=1):
        assert (row["document"], row["text"], row["label"]) == (f"{path}:{number}", text, one.label)
        assert row["probabilities"] == pytest.approx(one.probabilities, abs=1e-5)
        assert (row["tokens"], row["truncated"]) == (min(len(text), 9), len(text) > 9)
    assert found[4]["probability"] is None and found[4]["probabilities"] == {}
    cut = sum(len(text) > 9 for text in texts)
    assert f"{cut} of 6 texts have more than 9 tokens; only so many were read of each." in output.err
    assert main(["classify", str(bundle), str(path), "--source-key", "body", "--jsonl", "--top", "2"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert len(first["probabilities"]) == 2 and first["label"] in first["probabilities"]


def test_the_best_with_their_probabilities(bundle: Path, lines: str, capsys: Any) -> None:
    assert main(["classify", str(bundle), lines, "--top", "2"]) == 0
    found = capsys.readouterr().out.split("\n")
    expected = Classifier.load(bundle).classify(TEXTS, results=True)
    for line, one in zip(found, expected, strict=False):
        best = list(one.probabilities.items())[:2]
        assert line.split("\t")[::2] == ([name for name, _ in best] or [""])
        assert [float(cell) for cell in line.split("\t")[1::2]] == pytest.approx(
            [value for _, value in best], abs=1e-5
        )


def test_it_goes_on_where_it_stopped(
    bundle: Path, lines: str, labels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2s.inference.incoming.LINES", 4)
    from s2s.commands import classify

    written, real = 0, classify._line

    def fail(*given: Any) -> str:
        nonlocal written
        written += 1
        if written > 10:
            raise KeyboardInterrupt
        return real(*given)

    output = tmp_path / "out"
    command = ["classify", str(bundle), lines, "--output", str(output)]
    with monkeypatch.context() as broken:
        broken.setattr(classify, "_line", fail)
        assert main(command) == 130
    assert not output.exists() and Path(f"{output}.partial").read_text().count("\n") == 8
    assert main([*command, "--resume"]) == 0
    assert output.read_text() == "".join(f"{label}\n" for label in labels)


def test_bad_lines_of_what_is_evaluated(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text("abc\tgood\nno class\nde\tgood\n")
    command = ["classify", str(bundle), str(path), "--evaluate"]
    assert main(command) == 2
    assert f"{path}:2: " in (told := capsys.readouterr().err) and "with --skip-bad-lines" in told
    for option in (["--on-bad-line", "skip"], ["--skip-bad-lines"]):
        assert main([*command, *option]) == 0
        output = capsys.readouterr()
        assert "(2 texts; accuracy|" in output.out
        assert "s2s: skipped 1 line: " in output.err and f"at {path}:2" in output.err
    for option in ("--output", "--plot"):
        place = str(tmp_path / "gone" / "a.png")
        assert main([*command, "--skip-bad-lines", option, place]) == 2
        output = capsys.readouterr()
        assert output.out == "" and "its folder is not there" in output.err
    assert main(["classify", str(bundle), str(path), "--skip-bad-lines"]) == 2
    assert "--on-bad-line is about texts whose class is known; add --evaluate" in capsys.readouterr().err


def test_how_well_it_does(bundle: Path, labels: list[str], tmp_path: Path, capsys: Any) -> None:
    texts = [(text, label) for text, label in zip(TEXTS, labels, strict=True) if text]
    gold = [label if number % 3 else "never seen" for number, (_, label) in enumerate(texts)]
    path, picture = tmp_path / "texts.tsv", tmp_path / "picture.png"
    path.write_text("".join(f"{one}\t{text}\n" for one, (text, _) in zip(gold, texts, strict=True)))
    command = ["classify", str(bundle), str(path), "--evaluate", "--source-key", "2", "--target-key", "1"]
    assert main([*command, "--confusion", str(picture)]) == 0
    output = capsys.readouterr()
    right = sum(number % 3 > 0 for number in range(len(texts)))
    accuracy = 100 * right / len(texts)
    assert output.out.startswith(f"accuracy {accuracy:.2f} ({len(texts)} texts; accuracy|classes:4|")
    assert "never seen       0.00    0.00   0.00" in output.out
    wrong = len(texts) - right
    assert (
        f"{wrong} of {len(texts)} texts have a class that no training text had ('never seen')" in output.err
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    other = [word.replace("--source-key", "--field") for word in command]
    assert main([*other, "--plot", str(tmp_path / "other.png")]) == 0
    assert capsys.readouterr().out == output.out and (tmp_path / "other.png").is_file()
    assert main([*command, "--jsonl", "--output", str(tmp_path / "report.json")]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["accuracy"] == pytest.approx(accuracy) and report["unknown"] == {"never seen": wrong}
    assert sum(map(sum, report["confusion"])) == len(texts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top", "0"], "--top is 0; it must be 1 or more"),
        (["--resume"], "--resume continues a file; name it with --output FILE"),
        (
            ["--confusion", "a.png"],
            "--plot is about texts whose class is known; add --evaluate, or leave it out",
        ),
        (
            ["a.tsv", "--evaluate", "--top", "2"],
            "--top has no meaning with --evaluate; leave one of them out",
        ),
        (
            ["a.tsv", "--evaluate", "--field", "2", "--source-key", "3"],
            "--evaluate reads the text under one key, not under 2, 3; name one with --field",
        ),
        (["--evaluate"], "--evaluate needs a FILE of texts and their classes, such as texts.tsv"),
        (
            ["a.tsv", "--evaluate", "--confusion", "a.gif"],
            "a.gif ends with '.gif'; name a file that ends with .png",
        ),
        (["a.tsv", "--evaluate"], "there is no file a.tsv"),
        (["a.txt"], "there is no file a.txt"),
        (["--batch-tokens", "0"], "batch_tokens is 0; it must be 1 or more"),
        (["--tops", "3"], "unknown option '--tops'; did you mean '--top'?"),
    ],
)
def test_what_cannot_be(bundle: Path, capsys: Any, words: list[str], message: str) -> None:
    assert main(["classify", str(bundle), *words]) == 2
    assert message in capsys.readouterr().err


def test_help_starts_without_torch() -> None:
    code = (
        "import sys\nfrom s2s.__main__ import main\n"
        "try: main(['classify', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
