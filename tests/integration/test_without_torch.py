"""`s2s translate` with an exported model, in a process in which torch and all that belongs to it cannot be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from s2s.inference.summarizer import Summarizer
from s2s.inference.translator import Translator
from tests.references.tiny import sentences

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = [
    "torch",
    "pytorch_lightning",
    "jsonargparse",
    "sacrebleu",
    "safetensors",
    "onnx",
    "onnxscript",
    "s2s.nn",
]
BLOCKED = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in {FORBIDDEN}):
            raise ImportError(f"{{name}} is not installed here")

sys.meta_path.insert(0, Blocker())
"""


def run(code, *, given="", arguments=()):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


COMMAND = """
from s2s.__main__ import main
status = main(sys.argv[1:])
assert not [name for name in sys.modules if name.partition(".")[0] == "torch" or name.startswith("s2s.nn")]
sys.exit(status)
"""


@pytest.fixture
def bundle(tiny_exports):
    return tiny_exports.bundle


@pytest.fixture
def exported(tiny_exports):
    return tiny_exports.onnx


def test_the_command(bundle, exported):
    lines = [*sentences(20), "", "a"]
    expected = Translator.load(bundle).translate(lines, beam=3, max_tokens=20)
    arguments = ["translate", exported, "--beam", 3, "--max-tokens", 20]
    status, out, err = run(COMMAND, given="".join(f"{line}\n" for line in lines), arguments=arguments)
    assert (status, err.count("error")) == (0, 0)
    assert out == "".join(f"{line}\n" for line in expected)


def test_summarize(bundle, exported, tmp_path):
    (tmp_path / "one.txt").write_text("abc\nde f\n")
    expected = Summarizer.load(bundle).summarize("abc\nde f\n", beam=2)
    arguments = ["summarize", exported, "--whole", tmp_path / "one.txt", "--beam", 2]
    status, out, err = run(COMMAND, arguments=arguments)
    assert (status, "error" in err) == (0, False)
    assert out == expected.replace("\n", " ") + "\n"


def test_formats_and_a_file(exported, tmp_path):
    output = tmp_path / "out.jsonl"
    arguments = ["translate", exported, "--jsonl", "--n-best", 2, "--output", output]
    status, out, err = run(COMMAND, given="abc\n\n", arguments=arguments)
    assert (status, out, "error" in err) == (0, "", False)
    assert output.read_text().count('"alignment": null') == 3


def test_what_only_a_bundle_takes(exported):
    for option in (
        ["--device", "cuda"],
        ["--precision", "bfloat16"],
        ["--model", exported],
        ["--samples", 2],
    ):
        status, out, err = run(COMMAND, given="a\n", arguments=["translate", exported, *option])
        assert (status, out) == (2, "")
        assert "an exported model" in err and option[0].removeprefix("--") in err


def test_from_python(exported):
    code = "from s2s import OnnxTranslator; print(OnnxTranslator.load(sys.argv[1]).translate(['ab', '']))"
    status, out, err = run(code, arguments=[exported])
    assert (status, err) == (0, "")
    assert out.startswith("[")


def test_the_blocker_blocks(bundle):
    status, _, err = run(COMMAND, given="a\n", arguments=["translate", bundle])
    assert status != 0 and "torch is not installed here" in err
