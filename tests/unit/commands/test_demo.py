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


def test_the_task_decides_recipe_and_folder(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["demo", "--task", "summarization"])
    assert asked == [{"run_folder": "runs/demo-summarization", "overwrite": True}]
    assert "the embedded summarization corpus (recipe: demo-summarization)." in capsys.readouterr().out
    assert main(["demo", "--task", "parsing"]) == 2
    assert "invalid choice: 'parsing'" in capsys.readouterr().err
