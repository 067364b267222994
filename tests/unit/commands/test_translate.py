"""`s2s translate` as a person runs it: a line in, a line out."""

import gzip
import io
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2s.__main__ import main
from s2s.inference.formats import jsonl
from s2s.inference.line import Line
from s2s.inference.translation import Translation
from s2s.inference.translator import Translator
from tests.references.tiny import sentences, tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture
def translate(bundle, capfdbinary, monkeypatch):
    def run(data, *options):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        status = main(["translate", str(bundle), *options])
        sys.stdout.flush()
        output = capfdbinary.readouterr()
        return status, output.out.decode(), output.err.decode()

    return run


def test_lines_in_lines_out(translate, bundle):
    lines = ["abc", "", *sentences(20), "", "é\u2028ä\x0bß\x85.\x0c"]
    expected = Translator.load(bundle).translate(lines)
    status, output, errors = translate("\n".join(lines).encode() + b"\n")
    assert status == 0
    assert output.split("\n") == [*expected, ""]
    assert "were cut at their token limit" in errors
    # The end of the last line may be missing; a line may end as on Windows.
    assert translate("\n".join(lines).encode())[1] == output
    assert translate("\r\n".join(lines).encode() + b"\r\n")[1] == output
    assert translate(b"")[1] == ""
    assert translate(b"\n\n")[1] == "\n\n"


def test_invalid_utf8_is_replaced_counted_and_never_misaligned(translate, bundle):
    status, output, errors = translate(b"abc\nd\xff\xfee\n\xc3\nde\n", "--beam", "2")
    expected = Translator.load(bundle).translate(["abc", "d\ufffd\ufffde", "\ufffd", "de"], beam=2)
    assert (status, output.split("\n")) == (0, [*expected, ""])
    assert "s2s: 2 of 4 lines were not UTF-8; invalid bytes were replaced by U+FFFD" in errors


def test_more_lines_than_are_read_at_once(translate, bundle, monkeypatch):
    monkeypatch.setattr("s2s.inference.incoming.LINES", 7)
    lines = sentences(30)
    expected = Translator.load(bundle).translate(lines, beam=1)
    assert (
        translate("\n".join(lines).encode(), "--beam", "1", "--batch-tokens", "50")[1].splitlines()
        == expected
    )


def test_scores_and_n_best(translate, bundle):
    translator = Translator.load(bundle)
    _, output, _ = translate(b"abc\n\nde\n", "--scores", "--alpha", "1", "--normalization", "length")
    expected = translator.translate(["abc", "", "de"], alpha=1, normalization="length", results=True)
    assert output.splitlines() == [f"{one.score:.6f}\t{one.text}" for one in expected]
    _, output, _ = translate(b"abc\nde\n", "--nbest", "2", "--beam", "4")
    expected = translator.translate(["abc", "de"], n_best=2, beam=4, results=True)
    lines = [
        f"{number} ||| {one.text} ||| {one.score:.6f}"
        for number, best in enumerate(expected)
        for one in [best, *best.alternatives]
    ]
    assert output.splitlines() == lines


def test_tsv(translate, bundle):
    lines = ["a\tb", "", "de"]
    _, output, _ = translate("\n".join(lines).encode(), "--format", "tsv", "--nbest", "2")
    expected = Translator.load(bundle).translate(lines, n_best=2, results=True)
    assert [row.split("\t") for row in output.splitlines()] == [
        [str(number), f"{one.score:.6f}", one.text, line.replace("\t", " ")]
        for number, (line, best) in enumerate(zip(lines, expected, strict=True))
        for one in [best, *best.alternatives]
    ]


def test_jsonl_tells_all(translate, bundle):
    lines = ["abc", "", "d e é"]
    _, output, _ = translate("\n".join(lines).encode(), "--jsonl", "--n-best", "2")
    rows = [json.loads(row) for row in output.splitlines()]
    found = Translator.load(bundle).translate(lines, n_best=2, results=True, weights=True)
    for number, (row, line, best) in enumerate(zip(rows, lines, found, strict=True)):
        assert (row["number"], row["source"], row["truncated"]) == (number, line, False)
        assert row["source_tokens"] == list(line)
        assert len(row["alternatives"]) == len(best.alternatives)
        for said, one in zip([row, *row["alternatives"]], [best, *best.alternatives], strict=True):
            assert (said["text"], said["tokens"], said["finished"]) == (one.text, one.tokens, one.finished)
            assert said["log_probs"] == pytest.approx(one.log_probs, abs=1e-5)
            assert said["score"] == pytest.approx(one.score, abs=1e-5)
            if one.weights is not None:
                assert said["alignment"] == one.weights.argmax(dim=1).tolist()
            assert "weights" not in said
    _, output, _ = translate(b"abc", "--format", "jsonl", "--weights")
    row = json.loads(output)
    assert [len(weights) for weights in row["weights"]] == [3] * len(row["tokens"])


def test_lines_with_wishes_of_their_own(translate, bundle):
    rows = [
        {"source": "abc", "prefix": "xy"},
        {"source": ""},
        {"source": "d e", "banned": ["a"], "id": 7},
        {"source": "fgh", "phrases": ["zz"]},
    ]
    data = "\n".join([*map(json.dumps, rows), "no object", '{"source": "é"}']).encode()
    lines = [
        Line(row["source"], **{k: v for k, v in row.items() if k not in ("source", "id")}) for row in rows
    ]
    expected = Translator.load(bundle).translate([*lines, "", "é"])
    status, output, errors = translate(data, "--input", "jsonl")
    assert (status, output.splitlines()) == (0, expected)
    assert "1 of 6 lines were not usable JSON objects; their outputs are empty. The first: line 5:" in errors
    assert "ignored JSON keys: id." in errors
    # What is written can be read again.
    _, output, _ = translate(data, "--input", "jsonl", "--jsonl")
    assert [json.loads(row)["text"] for row in output.splitlines()] == expected
    _, again, _ = translate(output.encode(), "--input", "jsonl", "--jsonl")
    assert [json.loads(row)["source"] for row in again.splitlines()] == [
        *(line.text for line in lines),
        "",
        "é",
    ]


def test_lines_of_several_sentences(translate, bundle):
    lines = ["Abc de. Fgh!", "", "Ijk. Lm. No?", "p"]
    _, output, _ = translate(
        "\n".join(lines).encode(), "--split", "sentences", "--language", "de", "--scores"
    )
    found = Translator.load(bundle).translate(lines, split="sentences", results=True)
    assert output.splitlines() == [f"{one.score:.6f}\t{one.text}" for one in found]
    assert [len(one.sentences) for one in found] == [2, 0, 3, 0]


def test_options_of_the_search(translate, bundle):
    lines = ["abc", "", "defg"]
    data = "\n".join(lines).encode()
    translator = Translator.load(bundle, models=[bundle])
    _, output, _ = translate(data, "--model", str(bundle), "--banned", "a", "--banned", "th", "--beam", "2")
    assert output.splitlines() == translator.translate(lines, banned=["a", "th"], beam=2)
    drawing = ["--samples", "3", "--seed", "5", "--max-tokens", "6"]
    _, output, _ = translate(data, *drawing)
    drawn = translator.translate(lines, samples=3, seed=5, max_tokens=6, results=True)
    assert [row.split(" ||| ")[:2] for row in output.splitlines()] == [
        [str(number), one.text] for number, best in enumerate(drawn) for one in [best, *best.alternatives]
    ]
    _, output, _ = translate(data, *drawing, "--minimum-risk", "ChrF")
    assert output.splitlines() == translator.translate(
        lines, samples=3, seed=5, max_tokens=6, minimum_risk="ChrF"
    )
    _, output, errors = translate(data, "--phrases", "xyz", "--max-tokens", "2")
    assert len(output.splitlines()) == 3
    assert "s2s: 3 of 3 outputs lack a requested phrase or prefix" in errors, "that of the empty line, too"
    status, output, errors = translate(data, "--seed", "5")
    assert (status, output) == (2, "") and "search 'Beam' takes no 'seed'. What takes it: Sampling" in errors


def test_only_a_bundle_is_required(capsys):
    assert main(["translate"]) == 2
    assert "the following arguments are required: BUNDLE. See" in capsys.readouterr().err


def test_help_comes_at_once():
    code = (
        "import sys\n"
        "from s2s.__main__ import main\n"
        "try: main(['translate', '--help'])\n"
        "except SystemExit: sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--limit-extra N" in done.stdout and "(Wu et al. 2016, eq. 14)" in " ".join(done.stdout.split())


def test_numbers_that_json_does_not_have():
    diverged = Translation("", float("-inf"), [], [float("nan")], False, [])
    row = json.loads(jsonl(0, "", diverged, weights=False), parse_constant=pytest.fail)
    assert (row["score"], row["log_probs"], row["alignment"]) == (None, [None], None)


def test_several_files_and_a_compressed_output(translate, bundle, tmp_path):
    (tmp_path / "a").write_text("abc\nde")
    (tmp_path / "b").write_text("f\n")
    files = [str(tmp_path / name) for name in ("a", "b")]
    assert translate(b"", *files, "--output", str(tmp_path / "out.gz"))[0] == 0
    expected = Translator.load(bundle).translate(["abc", "de", "f"])
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()).decode().splitlines() == expected


def test_a_long_line_is_read_as_far_as_allowed_and_counted(translate, bundle):
    lines = ["x" * 1_000_000, "abc", "abcdef"]
    # the limit of its output is that of the tokens that are read
    options = ["--max-source-tokens", "5", "--beam", "1"]
    status, output, errors = translate("\n".join(lines).encode(), *options)
    assert status == 0
    assert output.splitlines() == Translator.load(bundle).translate(["xxxxx", "abc", "abcde"], beam=1)
    assert "s2s: 2 of 3 lines have more than 5 tokens; only so many were read of each." in errors


def test_resume_goes_on_after_what_is_written(translate, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("s2s.inference.incoming.LINES", 4)
    lines = sentences(20, seed=11)
    (tmp_path / "in").write_text("\n".join(lines))
    out = tmp_path / "out"
    options = [str(tmp_path / "in"), "--output", str(out), "--beam", "2"]
    begun, original = [], Translator._begin

    def stops(self, some, *others):
        begun.append(len(some))
        if len(begun) == 4:
            raise KeyboardInterrupt
        return original(self, some, *others)

    monkeypatch.setattr(Translator, "_begin", stops)
    status, _, errors = translate(b"", *options)
    assert status == 130 and "continue with --resume" in errors and not out.exists()
    status, _, errors = translate(b"", *options[:-1], "3", "--resume")
    assert status == 2 and "out.partial was begun with beam 2, not 3" in errors
    done = json.loads((tmp_path / "out.partial.json").read_text())["lines"]
    assert 0 < done < 20
    status, _, errors = translate(b"", *options, "--shortlist")
    assert status == 2 and "the bundle has no shortlist" in errors
    begun[:] = [0] * 4  # it does not stop any more
    status, _, errors = translate(b"", *options, "--resume", "--batch-tokens", "64")
    assert status == 0 and f"s2s: continuing after line {done}" in errors
    assert begun == [0] * 4 + [4] * ((20 - done) // 4), "nothing is translated twice"
    assert out.read_text().splitlines() == Translator.load(bundle).translate(lines, beam=2)


def test_resume_names_lines_by_their_place_in_the_input(translate, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("s2s.inference.incoming.LINES", 2)
    path, out = tmp_path / "in", tmp_path / "out"
    path.write_bytes(b'{"source": "a"}\n{"source": "b"}\n' + b"\xff\xfe")
    options = [str(path), "--input", "jsonl", "--output", str(out)]
    with monkeypatch.context() as stopped:
        stopped.setattr(Translator, "_end", stops_at_the_second(Translator._end))
        assert translate(b"", *options)[0] == 130
    assert json.loads((tmp_path / "out.partial.json").read_text())["lines"] == 2
    status, _, errors = translate(b"", *options, "--resume")
    assert status == 0 and "1 of 1 lines were not usable" in errors and "The first: line 3:" in errors


def stops_at_the_second(original):
    calls = []

    def stops(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*given)

    return stops


STRANGE = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from(
            [b"", b"\x00", b"\r", b" ", "\u2028\x0b\x85".encode(), "🎉 שלום".encode(), b"\xff" * 9]
        ),
    ).map(lambda line: line.replace(b"\n", b"")),
    max_size=12,
)


@given(STRANGE)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_lines_are_each_has_its_own(bundle, tmp_path, lines):
    # The first line: a mark or a packed file is known by the first bytes.
    (tmp_path / "in").write_bytes(b"".join(line + b"\n" for line in [b"abc", *lines]))
    out = tmp_path / "out"
    options = ["--beam", "1", "--limit-ratio", "0.5", "--limit-extra", "1", "--jsonl"]
    assert main(["translate", str(bundle), str(tmp_path / "in"), "--output", str(out), *options]) == 0
    rows = [json.loads(row) for row in out.read_bytes().decode("utf-8").split("\n")[:-1]]
    texts = [line.removesuffix(b"\r").decode("utf-8", "replace") for line in [b"abc", *lines]]
    assert [row["source"] for row in rows] == texts
    alone = Translator.load(bundle)
    for row, text in zip(rows, texts, strict=True):
        assert row["text"] == alone.translate(text, beam=1, limit_ratio=0.5, limit_extra=1)


def test_files(translate, bundle, tmp_path):
    with gzip.open(tmp_path / "in.gz", "wb") as stream:
        stream.write(b"abc\nde\n")
    expected = "".join(f"{line}\n" for line in Translator.load(bundle).translate(["abc", "de"]))
    status, output, _ = translate(b"", str(tmp_path / "in.gz"), "--output", str(tmp_path / "out"))
    assert (status, output) == (0, "")
    assert (tmp_path / "out").read_text() == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.gz", "out"]


def test_gzip_is_known_by_its_contents_and_a_byte_order_mark_is_no_text(translate, tmp_path):
    _, expected, _ = translate(b"abc\nde\n")
    packed = gzip.compress(b"\xef\xbb\xbfabc\nde\n")
    (tmp_path / "packed").write_bytes(packed)
    (tmp_path / "plain.gz").write_bytes(b"\xef\xbb\xbfabc\r\nde")
    for data, *options in ((b"", str(tmp_path / "packed")), (b"", str(tmp_path / "plain.gz")), (packed,)):
        _, output, errors = translate(data, *options)
        assert output == expected
        assert f"s2s: took the byte order mark off {(*options, 'standard input')[0]}\n" in errors
    (tmp_path / "cut.gz").write_bytes(packed[:-9])
    status, _, errors = translate(b"", str(tmp_path / "cut.gz"))
    assert status == 2 and "cut.gz: the compressed file is damaged or cut off" in errors


def test_an_output_appears_only_when_it_is_complete(translate, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("from before")

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Translator, "_begin", fail)
    assert translate(b"abc\n", "--output", str(tmp_path / "out"))[0] == 130
    assert (tmp_path / "out").read_text() == "from before"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["missing.txt"], "there is no file missing.txt; paths are relative to"),
        (["--output", "missing/out"], "cannot write missing/out: No such file"),
        (["--resume"], "--resume continues a file; name it with --output FILE"),
        (["--scores", "--jsonl"], "--scores is for the format text; jsonl has the scores anyway"),
        (["--limit-extra", "-1"], "limit_extra is -1; it must be 0 or more"),
        (["--limit-extrs", "1"], "unknown option '--limit-extrs'; did you mean '--limit-extra'?"),
        (["--nbest", "0"], "n_best is 0; it must be 1 or more"),
        (["--beam", "x"], "--beam is 'x'; it must be a whole number. See: s2s translate --help"),
        (["--alpha", "much"], "--alpha is 'much'; it must be a number. See"),
        (["--language", "de"], "language 'de' is only for split, which is not given; give split or"),
        (["--split", "sentences", "--nbest", "2"], "but n_best is 2; leave out n_best or split"),
        (["--precision", "half"], "unknown precision 'half'"),
    ],
)
def test_errors_without_traceback(translate, options, message):
    status, output, errors = translate(b"abc\n", *options)
    assert (status, output) == (2, "")
    assert errors.startswith("s2s: error: ") and message in errors and "Traceback" not in errors


def test_bfloat16_without_instructions_for_it_is_said_to_bring_nothing(translate, monkeypatch):
    said = "s2s: --precision bfloat16 brings nothing on this processor, for which torch has no bfloat16"
    for fast in (True, False):
        monkeypatch.setattr("s2s.nn.packed.multiplies_bfloat16", lambda fast=fast: fast)
        assert (said in translate(b"abc\n", "--precision", "bfloat16")[2]) == (not fast)
        assert said not in translate(b"abc\n")[2]


def test_a_closed_pipe_and_light_imports(bundle, tmp_path):
    (tmp_path / "in").write_text("\n".join(sentences(3000)))
    program = (
        "import sys\nfrom s2s.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        "heavy = [name for name in sys.modules if 'lightning' in name or name == 'sacrebleu']\n"
        "print(heavy, file=sys.stderr)\nsys.exit(status)"
    )
    command = [sys.executable, "-c", program, "translate", str(bundle), str(tmp_path / "in"), "--beam", "1"]
    with subprocess.Popen(
        [*command, "--limit-ratio", "0", "--limit-extra", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert "Traceback" not in errors and "BrokenPipe" not in errors
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "[]"
