"""`s2s plugins list`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from s2s import __version__, registry
from s2s.__main__ import main


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_catalogue", None)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_the_list_has_name_kind_distribution_version_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "kind", "distribution", "version", "status"]
    assert ["LSTM", "cell", "s2s", __version__, "ok"] in [row.split() for row in rows]


def test_one_kind_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--kind", "cell", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} == {"cell"}
    assert {"Elman", "GRU", "LSTM"} <= {row["name"] for row in rows}


def test_broken_plugins_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made_up_broken.py").write_text("import made_up_absent\n")
    assert main(["plugins", "list", "--plugin-dir", str(tmp_path)]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("made_up_broken"))
    assert "broken: ModuleNotFoundError" in row


def test_an_unknown_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--kind", "cells"]) == 2
    assert "unknown kind of part 'cells'; did you mean 'cell'" in capsys.readouterr().err


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys; from s2s.__main__ import main; main(['plugins', 'list']);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
