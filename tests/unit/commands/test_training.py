"""`s2s fit` and its like, before training begins."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-c", "demoo"], "unknown recipe 'demoo'; did you mean 'demo'?"),
        (["-c", "broken.yaml"], "broken.yaml:2: not YAML: "),
        (["demo"], "unexpected 'demo'; options begin with --, and a recipe is named with -c: -c demo"),
        (["-c", "demo", "--data.train"], "option --data.train needs a value"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "test"])
def test_what_needs_no_torch_is_told_before_it_is_imported(
    tmp_path: Path, command: str, words: list[str], told: str
) -> None:
    (tmp_path / "broken.yaml").write_text("model: [\nx: y")
    program = f"""
import sys
from s2s.__main__ import main
code = main({[command, *words]!r})
assert not {{"torch", "pytorch_lightning"}} & set(sys.modules)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"s2s: error: {told}")
