"""`s2s evaluate` as a person runs it."""

import gzip
import io
import json
import sys

import pytest

from s2s.__main__ import main

HYPOTHESES = "the cat sat on the mat\nA dog barks at the moon\n"
REFERENCES = "the cat sat on a mat\na dog barks at the moon\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "hyp").write_text(HYPOTHESES, encoding="utf-8")
    (tmp_path / "ref").write_bytes(REFERENCES.replace("\n", "\r\n").encode())
    with gzip.open(tmp_path / "ref.gz", "wb") as stream:
        stream.write(REFERENCES.encode())
    return tmp_path


def test_scores_with_signatures_cased_and_lower_cased(files, capsys):
    assert main(["evaluate", str(files / "hyp"), str(files / "ref")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        [metric, case] for metric in ("BLEU", "chrF2", "TER") for case in ("cased", "lower-cased")
    ]
    # TER by hand: cased 2 edits in 12 words, lower-cased 1.
    assert [line.split()[2] for line in lines[4:6]] == ["16.67", "8.33"]
    assert all("version:" in line for line in lines[:-1])
    assert lines[-1] == "2 sentences"


def test_json(files, capsys):
    command = ["evaluate", str(files / "hyp"), str(files / "ref.gz"), str(files / "ref"), "--json"]
    assert main([*command, "--metrics", "TER", "--resamples", "20"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["metric"], row["case"], row["sentences"]) for row in rows] == [
        ("TER", "cased", 2),
        ("TER", "lower-cased", 2),
    ]
    assert rows[1]["score"] == pytest.approx(100 / 12)
    assert rows[1]["details"]["num_edits"] == 1
    assert "nrefs:2|bs:20" in rows[0]["signature"]


def test_standard_input(files, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(REFERENCES.encode())))
    assert main(["evaluate", "-", str(files / "ref"), "--metrics", "BLEU"]) == 0
    assert capsys.readouterr().out.split()[2] == "100.00"


@pytest.mark.parametrize(
    ("hypotheses", "message"),
    [
        (b"one\ntwo\nthree\n", "hyp has 3 lines, "),
        (b"one\n\xff\n", "hyp, line 2: not UTF-8 (byte 0xff at 0); convert the file"),
        (b"", "hyp has 0 lines, "),
        (None, "hyp; paths are relative to"),
    ],
)
def test_files_that_do_not_fit(files, capsys, hypotheses, message):
    (files / "hyp").unlink()
    if hypotheses is not None:
        (files / "hyp").write_bytes(hypotheses)
    assert main(["evaluate", str(files / "hyp"), str(files / "ref")]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("s2s: error: ") and message in output.err
    assert output.out == ""


def test_what_cannot_be(files, capsys):
    assert main(["evaluate", "-", "-"]) == 2
    assert "standard input (-) can be read only once" in capsys.readouterr().err
    assert main(["evaluate", str(files / "hyp"), str(files / "ref"), "--metrics", "BLUE"]) == 2
    assert "'BLUE'; did you mean 'BLEU'?" in capsys.readouterr().err
    (files / "broken.gz").write_bytes((files / "ref.gz").read_bytes()[:20])
    assert main(["evaluate", str(files / "broken.gz"), str(files / "ref")]) == 2
    assert "broken.gz: the compressed file is damaged or cut off" in capsys.readouterr().err


def test_gzip_is_known_by_its_contents_and_a_byte_order_mark_is_no_text(files, capsys):
    (files / "ref.gz").rename(files / "packed")
    (files / "plain.gz").write_bytes(b"\xef\xbb\xbf" + REFERENCES.encode())
    assert (
        main(["evaluate", str(files / "packed"), str(files / "plain.gz"), "--metrics", "TER", "--json"]) == 0
    )
    output = capsys.readouterr()
    assert [row["details"]["num_edits"] for row in json.loads(output.out)] == [0, 0]
    assert output.err == f"s2s: took the byte order mark off {files / 'plain.gz'}\n"
