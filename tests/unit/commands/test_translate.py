"""`s2s translate` as a person runs it: a line in, a line out."""

import gzip
import io
import subprocess
import sys

import pytest

from s2s.__main__ import main
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
    assert "were cut at their limit" in errors
    # The end of the last line may be missing; a line may end as on Windows.
    assert translate("\n".join(lines).encode())[1] == output
    assert translate("\r\n".join(lines).encode() + b"\r\n")[1] == output
    assert translate(b"")[1] == ""
    assert translate(b"\n\n")[1] == "\n\n"


def test_invalid_utf8_is_replaced_counted_and_never_misaligned(translate, bundle):
    status, output, errors = translate(b"abc\nd\xff\xfee\n\xc3\nde\n", "--beam", "2")
    expected = Translator.load(bundle).translate(["abc", "d\ufffd\ufffde", "\ufffd", "de"], beam=2)
    assert (status, output.split("\n")) == (0, [*expected, ""])
    assert "s2s: 2 of 4 lines were not UTF-8; what could not be read became U+FFFD" in errors


def test_more_lines_than_are_read_at_once(translate, bundle, monkeypatch):
    monkeypatch.setattr("s2s.commands.translate._LINES_AT_ONCE", 7)
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

    monkeypatch.setattr(Translator, "translate", fail)
    assert translate(b"abc\n", "--output", str(tmp_path / "out"))[0] == 130
    assert (tmp_path / "out").read_text() == "from before"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["missing.txt"], "there is no file missing.txt; paths are relative to"),
        (["--output", "missing/out"], "cannot write missing/out: No such file"),
        (["--nbest", "0"], "n_best is 0; it must be 1 or more"),
        (["--precision", "half"], "unknown precision 'half'"),
    ],
)
def test_errors_without_traceback(translate, options, message):
    status, output, errors = translate(b"abc\n", *options)
    assert (status, output) == (2, "")
    assert errors.startswith("s2s: error: ") and message in errors and "Traceback" not in errors


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
