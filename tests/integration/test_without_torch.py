"""`s2s translate` with an exported model, in a process that can import only what its runtime needs.

Torch and all other installed packages cannot be imported, so the list of required packages is complete.
"""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from distributions import closure
from packaging.utils import canonicalize_name

from s2s.inference.exported import RUNTIME_NEEDS
from s2s.inference.summarizer import Summarizer
from s2s.inference.translator import Translator
from tests.references.tiny import sentences

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
}
NEEDED = closure(RUNTIME_NEEDS.split())
FORBIDDEN = {module for module, names in MODULES.items() if not names & {"s2s", *NEEDED}} | {"s2s.nn"}
BLOCKED = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in {FORBIDDEN}):
            raise ModuleNotFoundError(f"{{name}} is not installed here", name=name)

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
sys.exit(main(sys.argv[1:]))
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


def test_what_is_blocked():
    assert {
        "torch",
        "pytorch_lightning",
        "jsonargparse",
        "safetensors",
        "sacrebleu",
        "onnx",
        "matplotlib",
    } <= FORBIDDEN
    assert not FORBIDDEN & {"numpy", "onnxruntime", "google", "yaml", "s2s", "s2s_plugins"}


def test_all_that_is_said_to_be_needed_is(exported):
    """Each is imported when translating a line at a terminal, or by the most common tokenizer."""
    code = """
from s2s.__main__ import main
from s2s.inference.progress import progress
from s2s.registry import catalogue
with progress(None, shown=True):
    main(sys.argv[1:])
catalogue().load("tokenizer", "SentencePiece")
print(*sys.modules, sep="\\n")
"""
    status, out, _ = run(code, given="", arguments=["translate", exported, "--split", "sentences"])
    assert status == 0
    used = {name for module in out.split() for name in MODULES.get(module, ())}
    assert {canonicalize_name(name) for name in RUNTIME_NEEDS.split()} <= used


def test_the_page_says_what_is_needed():
    assert f"`pip install {RUNTIME_NEEDS}`" in (ROOT / "docs" / "translating.md").read_text(encoding="utf-8")
