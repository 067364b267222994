"""A mistyped bundle is reported by every command, at once."""

import subprocess
import sys

import pytest

from s2s.__main__ import main

LINES = {
    "align": ["missing", "a", "b"],
    "classify": ["missing"],
    "export": ["missing"],
    "forecast": ["missing"],
    "generate": ["missing"],
    "heatmap": ["missing", "a", "--output", "a.svg"],
    "inspect": ["missing"],
    "label": ["missing"],
    "score": ["missing", "a", "b"],
    "shortlist": ["missing", "a.tsv"],
    "summarize": ["missing"],
    "translate": ["missing"],
}


@pytest.mark.parametrize("command", LINES)
def test_a_missing_bundle(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([command, *LINES[command]]) == 2
    assert capsys.readouterr().err == "s2s: error: there is no bundle at missing; make one with: s2s fit\n"


def test_it_is_found_without_torch(tmp_path):
    code = (
        "import sys\nfrom s2s.__main__ import main\n"
        f"assert all(main([command, *words]) == 2 for command, words in {LINES!r}.items())\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("there is no bundle at missing") == len(LINES)
