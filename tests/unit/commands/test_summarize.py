"""`s2s summarize` as a person runs it."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.inference.summarizer import Summarizer
from tests.references.tiny import sentences, tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its outputs have several lines."""
    folder = tmp_path_factory.mktemp("tiny") / "bundle"
    return tiny_bundle(folder, target_text=["a\n"], seed=1, training={"told_lengths": True})


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(sentences(4)):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"{text}\n{text}\n")
    rows = [{"body": text, "id": number} for number, text in enumerate(sentences(5, seed=2))]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_line_for_a_document(bundle: Path, documents: Path, capsys: Any) -> None:
    texts = [f"{text}\n{text}" for text in sentences(4)]
    assert main(["summarize", str(bundle), str(documents / "texts"), "--min-tokens", "3"]) == 0
    expected = Summarizer.load(bundle).summarize(texts, min_tokens=3)
    output = capsys.readouterr()
    assert output.out.split("\n") == [*(one.replace("\n", " ") for one in expected), ""]
    assert any("\n" in one for one in expected)


def test_everything_as_json(bundle: Path, documents: Path, capsys: Any) -> None:
    command = ["summarize", str(bundle), str(documents / "rows.jsonl"), "--field", "body", "--words", "7"]
    assert main([*command, "--jsonl", "--n-best", "2", "--max-source-tokens", "20"]) == 0
    output = capsys.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    texts = sentences(5, seed=2)
    expected = Summarizer.load(bundle).summarize(texts, words=7, n_best=2, max_source_tokens=20, results=True)
    for number, (row, one) in enumerate(zip(rows, expected, strict=True), start=1):
        assert row["document"] == f"{documents}/rows.jsonl:{number}"
        assert (row["summary"], row["truncated"], len(row["alternatives"])) == (one.text, one.truncated, 1)
        assert " ".join(row["sentences"]).split() == one.text.split()
    longer = sum(len(f"<7> {text}") > 20 for text in texts)
    assert 0 < longer < 5
    assert (
        f"s2s: {longer} of 5 documents have more than 20 tokens; only so many were read of each."
        in output.err
    )


def test_tsv(bundle: Path, documents: Path, capsys: Any) -> None:
    assert main(["summarize", str(bundle), str(documents / "texts"), "--format", "tsv"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [f"{documents}/texts/{number}.txt" for number in range(4)]
    float(rows[0][1])
    strange = documents / "a\tb\nc"
    strange.write_text("abc\n")
    assert main(["summarize", str(bundle), str(strange), "--whole", "--format", "tsv"]) == 0
    (row,) = capsys.readouterr().out.splitlines()
    assert row.split("\t")[0] == f"{documents}/a b c"


def test_what_was_read_before_an_error_is_answered(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a.jsonl").write_text('{"source": "abc"}\nno object\n{"source": "de"}\n')
    command = ["summarize", str(bundle), str(tmp_path / "a.jsonl")]
    expected = Summarizer.load(bundle).summarize("abc").replace("\n", " ")
    assert main(command) == 2
    output = capsys.readouterr()
    assert output.out == f"{expected}\n"
    assert f"s2s: error: {tmp_path}/a.jsonl:2: not JSON" in output.err
    assert main([*command, "--output", str(tmp_path / "out")]) == 2
    assert (tmp_path / "out.partial").read_text() == f"{expected}\n"
    assert "continue with --resume" in capsys.readouterr().err
    # Mended, it goes on.
    (tmp_path / "a.jsonl").write_text('{"source": "abc"}\n{"source": "abc"}\n')
    assert main([*command, "--output", str(tmp_path / "out"), "--resume"]) == 0
    assert (tmp_path / "out").read_text() == f"{expected}\n" * 2


def test_it_goes_on_where_it_stopped(bundle: Path, documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2s.inference.incoming.LINES", 2)
    command = [
        "summarize",
        str(bundle),
        str(documents / "rows.jsonl"),
        "--field",
        "body",
        "--jsonl",
        "--output",
    ]
    whole, parts = documents / "whole", documents / "parts"
    assert main([*command, str(whole)]) == 0
    written = 0

    def fail(name: str, found: Any) -> str:
        nonlocal written
        written += 1
        if written > 4:
            raise KeyboardInterrupt
        return real(name, found)

    from s2s.inference import formats

    real = formats.summary_jsonl
    with monkeypatch.context() as broken:
        broken.setattr(formats, "summary_jsonl", fail)
        assert main([*command, str(parts)]) == 130
    assert main([*command, str(parts), "--resume"]) == 0
    assert parts.read_text() == whole.read_text()


def test_objects_through_a_pipe(bundle: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"body": "abc\\nde"}\n')))
    assert main(["summarize", str(bundle), "--source-key", "body"]) == 0
    expected = Summarizer.load(bundle).summarize("abc\nde")
    assert capsys.readouterr().out == expected.replace("\n", " ") + "\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--words", "0"], "words is 0; it must be 1 or more"),
        (
            ["--words", "5", "--split", "sentences"],
            "words 5 is for the summary of a whole document, but split 'sentences' summarizes each of its "
            "sentences separately; leave out words or split",
        ),
        (["--beams", "3"], "unknown option '--beams'; did you mean '--beam'?"),
        (["missing.jsonl"], "there is no file missing.jsonl"),
    ],
)
def test_what_cannot_be(bundle: Path, capsys: Any, words: list[str], message: str) -> None:
    assert main(["summarize", str(bundle), *words]) == 2
    assert message in capsys.readouterr().err


def test_help_starts_without_torch() -> None:
    code = (
        "import sys\nfrom s2s.__main__ import main\n"
        "try: main(['summarize', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'sacrebleu'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
