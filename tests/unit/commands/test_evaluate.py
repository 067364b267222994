"""`s2s evaluate` as a person runs it."""

import gzip
import io
import json
import subprocess
import sys

import pytest
import sacrebleu

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
        (b"one\n", "hyp has 1 line, "),
        (b"", "hyp has 0 lines, "),
        (None, "/hyp\n"),
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


def test_several_systems_are_compared_with_the_first(files, capsys):
    (files / "other").write_text(REFERENCES)
    command = ["evaluate", str(files / "hyp"), str(files / "ref"), "--systems", str(files / "other")]
    assert main([*command, "--metrics", "TER", "ChrF", "--resamples", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[::3]] == [
        ["TER", "cased"],
        ["TER", "lower-cased"],
        ["chrF2", "cased"],
        ["chrF2", "lower-cased"],
        ["intervals", "and"],
    ]
    assert lines[12] == "intervals and p-values of 2 sentences are not reliable; a bootstrap needs 20 or more"
    assert lines[13:] == ["2 sentences"]
    assert (
        "bs:50" in lines[0]
        and lines[1].split()[:2] == [str(files / "hyp"), "16.67"]
        and " p " not in lines[1]
    )
    assert lines[2].split()[:2] == [str(files / "other"), "0.00"] and " p 0." in lines[2]
    assert main([*command, "--json", "--metrics", "BLEU", "--resamples", "0"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["system"], row["p_value"]) for row in rows[:2]] == [
        (str(files / "hyp"), None),
        (str(files / "other"), None),
    ]


def test_options_of_a_metric(files, capsys):
    command = ["evaluate", str(files / "hyp"), str(files / "ref"), "--metrics"]
    assert main([*command, "BLEU,tokenize=char", "TER,lowercase=true", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["options"], row["case"]) for row in rows] == [
        ({"tokenize": "char"}, "cased"), ({"tokenize": "char"}, "lower-cased"), ({"lowercase": True}, "lower-cased")
    ]  # fmt: skip
    own = sacrebleu.corpus_bleu(HYPOTHESES.splitlines(), [REFERENCES.splitlines()], tokenize="char")
    assert rows[0]["score"] == own.score
    for word, message in (
        ("BLEU,tokenise=zh", "metric 'BLEU': unknown option 'tokenise'; did you mean 'tokenize'? Known: "),
        ("BLEU,tokenize", "--metrics 'tokenize': expected KEY=VALUE"),
        ("BLEU,tokenize=zg", "unknown tokenization 'zg' of BLEU; sacreBLEU knows: 13a, "),
        ("ROUGE1,references=worst", "references"),
    ):
        assert main([*command, word]) == 2
        assert message in capsys.readouterr().err


def test_by_length(files, capsys):
    command = [
        "evaluate",
        str(files / "hyp"),
        str(files / "ref"),
        "--by-length",
        "words",
        "--buckets",
        "5",
        "6",
    ]
    assert main([*command, "--metrics", "TER"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["6-6", "words,", "2", "sentences", "16.67"]
    assert main([*command, "--metrics", "TER", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert "lengths" not in rows[0] and rows[1]["lengths"] == {"least": 6, "most": 6}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--systems", "HYP"], "is given twice; compare a system with a different one"),
        (["--buckets", "5"], "--buckets needs a unit; add --by-length words"),
        (
            ["--by-length", "words", "--buckets", "5", "5"],
            "buckets are [5, 5]; they must be lengths that rise",
        ),
        (["--resamples", str(10**23)], "usually 1000, and at most 1,000,000"),
        (["--resamples", "1"], "resamples is 1; it must be 0 for none, or 2 or more"),
        (["--by-length", "pieces"], "invalid choice: 'pieces'"),
    ],
)
def test_options_that_cannot_be(files, capsys, words, message):
    words = [str(files / "hyp") if word == "HYP" else word for word in words]
    assert main(["evaluate", str(files / "hyp"), str(files / "ref"), *words]) == 2
    assert message in capsys.readouterr().err


def test_help_starts_without_torch():
    code = (
        "import sys\nfrom s2s.__main__ import main\n"
        "try: main(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'numpy', 'sacrebleu'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.fixture
def summaries(tmp_path):
    rows = [
        {"body": "The cat sat. A dog barks.\nRain fell.", "notes": ["dog barks", "a dog"]},
        {"body": "The moon rose.", "notes": ["moon rose", "a moon"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "hyp").write_text("dog barks barks\nmoon\n")
    return tmp_path


def test_extracts_stand_beside_a_summary(summaries, capsys):
    rows = str(summaries / "rows.jsonl")
    command = ["evaluate", str(summaries / "hyp"), f"{rows}#notes", "--sources", f"{rows}#body"]
    assert (
        main([*command, "--resamples", "20", "--metrics", "ROUGE1", "--report", str(summaries / "report")])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ROUGE-1     ROUGE-1|nrefs:2|refs:best|") and "|bs:20|" in lines[0]
    # By hand, best of two references: 4/5 and 2/3; 0 and 4/5; "A dog barks" 4/5 and the same.
    assert [line.split()[-5 if " p " in line else -3 :][:1] for line in lines[1:4]] == [
        ["73.33"],
        ["40.00"],
        ["80.00"],
    ]
    assert [line.split()[0] for line in lines[2:4]] == ["lead-1", "oracle-1"]
    assert lines[4].startswith("intervals and p-values of 2 sentences are not reliable")
    assert [line.split()[:2] for line in lines[7:9]] == [["reference", "1"], ["reference", "2"]]
    report = json.loads((summaries / "report").read_text())
    assert report[str(summaries / "hyp")]["repetition"]["1"] == 0.25
    assert report["reference 1"]["words"] == [2, 2]
    assert main([*command, "--json", "--lead", "2"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["metric"] for row in rows[::3]] == ["ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"]
    assert [row["system"] for row in rows[:3]] == [str(summaries / "hyp"), "lead-2", "oracle-2"]


def test_a_picture(summaries, capsys):
    rows = str(summaries / "rows.jsonl")
    command = ["evaluate", str(summaries / "hyp"), f"{rows}#notes", "--sources", f"{rows}#body", "--plot"]
    assert main([*command, str(summaries / "a.png")]) == 0
    assert (summaries / "a.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main([*command, str(summaries / "a.pdf")]) == 2
    told = capsys.readouterr()
    assert "ends with '.pdf'; name a file that ends with .png or .svg" in told.err
    assert told.out == ""  # before anything is scored
    for option, name in (("--plot", "gone/a.png"), ("--report", "gone/a.json"), ("--report", ".")):
        assert main([*command[:-1], option, str(summaries / name)]) == 2
        told = capsys.readouterr()
        assert told.err.startswith(f"s2s: error: cannot write {summaries / name}: ")
        assert told.out == ""


@pytest.mark.parametrize("name", ["lead-2", "oracle-2", "reference 1"])
def test_a_file_that_is_named_as_an_extract(summaries, capsys, monkeypatch, name):
    monkeypatch.chdir(summaries)
    (summaries / name).write_bytes((summaries / "hyp").read_bytes())
    command = ["--sources", "rows.jsonl#body", "--lead", "2", "--metrics", "ROUGE1", "--resamples", "0"]
    assert main(["evaluate", name, "rows.jsonl#notes", *command]) == 2
    told = f"{name!r} is the name of a baseline or reference; give the file of that name as ./{name}"
    assert told in capsys.readouterr().err
    assert main(["evaluate", f"./{name}", "rows.jsonl#notes", *command]) == 0
    assert main(["evaluate", name, "rows.jsonl#notes"]) == 0  # without documents there is none


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lead", "2"], "--lead is about the documents; add --sources FILE"),
        (["--report", "x"], "--report is about the documents; add --sources FILE"),
        (["--sources", "ROWS#body", "--lead", "0"], "--lead is 0; it must be 1 or more"),
        (["--sources", "ROWS#notes"], "has 2 texts per line; only references may have several"),
    ],
)
def test_what_summaries_cannot_be(summaries, capsys, words, message):
    rows = str(summaries / "rows.jsonl")
    words = [word.replace("ROWS", rows) for word in words]
    assert main(["evaluate", str(summaries / "hyp"), f"{rows}#notes", *words]) == 2
    assert message in capsys.readouterr().err
