"""The options of `s2s demo`; the demo itself is run by the tests of the README."""

from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.errors import DataError


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What training is asked for; it goes no further."""
    monkeypatch.chdir(tmp_path)
    calls: list[dict[str, Any]] = []

    def fit(recipe: str, **overrides: Any) -> None:
        calls.append(overrides)
        raise DataError("stopped here")

    monkeypatch.setattr("s2s.training.cli.fit", fit)
    return calls


def test_both_spellings(asked: list[dict[str, Any]]) -> None:
    main(["demo", "--run-folder", "a", "--max-epochs", "2"])
    main(["demo", "--run_folder", "a", "--max_epochs", "2"])
    main(["demo"])
    named = {"run_folder": "a", "overwrite": False, "trainer.max_epochs": 2}
    assert asked == [named, named, {"run_folder": "runs/demo", "overwrite": True}]


def test_what_is_replaced_is_said(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo"])
    assert "replacing" not in capsys.readouterr().out
    Path("runs/demo").mkdir(parents=True)
    Path("runs/demo/config.yaml").write_text("")
    main(["demo"])
    assert "replacing runs/demo." in capsys.readouterr().out
