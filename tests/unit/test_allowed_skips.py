"""The rule that no test skips unnoticed in CI."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import allowed_skip_patterns, forbidden_skips

ROOT = Path(__file__).resolve().parents[2]


def test_patterns_carry_a_reason() -> None:
    assert allowed_skip_patterns("# a comment\n\ntests/a.py::*  # no GPU here\n") == ["tests/a.py::*"]
    with pytest.raises(ValueError, match="has no reason"):
        allowed_skip_patterns("tests/a.py::*\n")


def test_what_matches_no_pattern_is_forbidden() -> None:
    skipped = ["tests/a.py::one", "tests/b.py::two"]
    assert forbidden_skips(skipped, ["tests/a.py::*"]) == ["tests/b.py::two"]


@pytest.mark.parametrize(("strict", "status"), [("", 0), ("1", 1)])
def test_a_skip_fails_a_strict_run(tmp_path: Path, strict: str, status: int) -> None:
    (tmp_path / "test_skips.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no reason')\n")
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_sessionfinish, pytest_terminal_summary\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "S2S_STRICT_SKIPS": strict},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert "NOT ALLOWED: test_skips.py::test_it: Skipped: no reason" in done.stdout
