"""`s2s score` as a person runs it."""

import gzip
import io
import json
import shlex
import subprocess
import sys

import pytest

from s2s.__main__ import main
from s2s.commands.aligned_lines import AlignedLines
from s2s.inference.bundle import load_bundle
from s2s.inference.scoring import perplexity, score
from tests.references.tiny import sentences, tiny_bundle

SOURCES, TARGETS = [*sentences(9, seed=1), "", ""], [*sentences(8, seed=2), "", "", "a"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("score")
    tiny_bundle(folder / "bundle")
    (folder / "source").write_text("\n".join(SOURCES) + "\n")
    with gzip.open(folder / "target.gz", "wb") as stream:
        stream.write("".join(f"{line}\r\n" for line in TARGETS).encode())
    return folder


def run(files, *words):
    return main(["score", str(files / "bundle"), str(files / "source"), str(files / "target.gz"), *words])


def test_a_line_for_a_line_and_the_perplexity(files, capsys, monkeypatch):
    monkeypatch.setattr("s2s.commands.aligned_lines.LINES_AT_ONCE", 4)
    assert run(files) == 0
    scored = score(load_bundle(files / "bundle"), SOURCES, TARGETS)
    told = capsys.readouterr()
    assert [float(line) for line in told.out.splitlines()] == pytest.approx(
        [one.log_prob for one in scored], abs=1e-4
    )
    assert "1 of 11 lines have an empty source and a translation" in told.err
    tokens = sum(len(one.tokens) for one in scored)
    assert f"11 lines, {tokens:,} tokens" in told.err and f"perplexity {perplexity(scored):.4g}" in told.err


def test_tokens_and_totals(files, capsys, tmp_path):
    scored = score(load_bundle(files / "bundle"), SOURCES, TARGETS)
    assert run(files, "--tokens", "--output", str(tmp_path / "out")) == 0
    lines = (tmp_path / "out").read_text().splitlines()
    for line, one in zip(lines, scored, strict=True):
        log_prob, pairs = line.split("\t")
        assert [token for token, _ in json.loads(pairs)] == one.tokens
        assert [value for _, value in json.loads(pairs)] == pytest.approx(one.log_probs, abs=2e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and capsys.readouterr().out == ""
    assert run(files, "--json", "--batch-tokens", "50") == 0
    totals = json.loads(capsys.readouterr().out)
    assert totals["perplexity"] == pytest.approx(perplexity(scored), rel=1e-5)
    assert (totals["lines"], totals["impossible"]) == (11, 1)


def test_lines_that_do_not_fit_are_refused_before_anything_is_written(files, capsys, tmp_path):
    (tmp_path / "short").write_text("a\n")
    command = ["score", str(files / "bundle"), str(files / "source"), str(tmp_path / "short")]
    assert main([*command, "--output", str(tmp_path / "out")]) == 2
    assert (
        "source has 11 lines, " in (error := capsys.readouterr().err)
        and "short has 1; line i of one" in error
    )
    assert not (tmp_path / "out").exists()


def test_standard_input(files, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xff\nc\n")))
    (files / "three").write_text("a\nb\nc\n")
    assert main(["score", str(files / "bundle"), "-", str(files / "three")]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 3 and "s2s: 1 line was not UTF-8" in told.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n")))
    assert main(["score", str(files / "bundle"), str(files / "three"), "-"]) == 2
    told = capsys.readouterr()
    assert "standard input has fewer lines than " in told.err
    assert len(told.out.splitlines()) == 1  # what was read before is scored
    assert main(["score", str(files / "bundle"), "-", "-"]) == 2
    assert "can be read only once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reader"),
    [
        (["score", "bundle", "many", "many", "--tokens"], "head -n 1"),
        (["inspect", "bundle"], "true"),
        (["evaluate", "source", "source", "--metrics", "TER", "--json"], "true"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_reader_that_leaves_is_no_error(files, words, reader):
    (files / "many").write_text("a\n" * 3000)
    words = [str(files / word) if (files / word).exists() else word for word in words]
    command = f"{shlex.join([sys.executable, '-m', 's2s', *words])} | {reader}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == "" and len(done.stdout.splitlines()) == reader.count("1")


@pytest.mark.parametrize("command", ["score", "inspect", "average", "convert"])
def test_help_starts_without_torch(command):
    code = (
        "import sys\nfrom s2s.__main__ import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_long_lines_are_scored_few_at_a_time(files, monkeypatch):
    monkeypatch.setattr("s2s.commands.aligned_lines.BYTES_AT_ONCE", 10)
    (files / "long").write_text("abcdefgh\na\nb\n")
    (files / "three").write_text("ab\nc\nd\n")
    blocks = list(AlignedLines(str(files / "long"), str(files / "three")).blocks())
    assert blocks == [(["abcdefgh"], ["ab"]), (["a", "b"], ["c", "d"])]
