"""The options of `s2s demo`, what it scores its models beside, and what it shows of each shape."""

import math
import shlex
from pathlib import Path
from typing import Any

import pytest

from s2s.__main__ import main
from s2s.commands.demo import TASKS
from s2s.commands.demo.examples import echo
from s2s.commands.demo.labelling import most_frequent_labels
from s2s.commands.demo.language_model import frequency_log_prob
from s2s.errors import DataError
from s2s.resources import recipes
from s2s.training import cli


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
    assert "the embedded corpus for summarization (recipe: demo-summarization)." in capsys.readouterr().out
    assert main(["demo", "--task", "parsing"]) == 2
    assert "invalid choice: 'parsing'" in capsys.readouterr().err


def test_every_recipe_is_one() -> None:
    assert {demo.recipe for demo in TASKS.values()} <= set(recipes())


def test_a_command_to_try_is_one_that_a_shell_takes() -> None:
    text = "It's three o'clock; \"so\" $5"
    assert shlex.split(echo(text)) == ["echo", text]


def test_most_frequent_labels() -> None:
    sentences, labels = ["a b a", "a c"], ["X Y X", "Y Y"]
    assert most_frequent_labels(sentences, labels, ["c a b", "new a"]) == [["Y", "X", "Y"], ["Y", "X"]]


def test_pieces_by_their_frequency() -> None:
    """Of ten pieces each is counted once more: 5 is learnt three times, 6 once, the end twice; 7 never."""
    found = frequency_log_prob([[5, 6, 5], [5]], [[5, 7], []], 10)
    expected = math.log(4 / 16) + math.log(1 / 16) + 2 * math.log(3 / 16)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        (
            "language-model",
            [
                "model               perplexity ",
                "frequency of pieces perplexity ",
                "  s2s generate runs/demo-language-model/bundle --prompt 'A captain held' ",
            ],
        ),
        (
            "labelling",
            [
                "model                accuracy ",
                "most frequent label  span_F1 ",
                " | s2s label runs/demo-labelling/bundle",
            ],
        ),
        (
            "classification",
            [
                "accuracy ",
                "always 'sale': accuracy 10.50, ",
                " | s2s classify runs/demo-classification/bundle --top 3",
            ],
        ),
        (
            "forecast",
            ["seasonal naive", "forecast: runs/forecast/test.forecast.csv", "  s2s forecast runs/forecast/"],
        ),
    ],
)
def test_each_shape_trains_scores_and_shows(
    task: str,
    shown: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it is, but for two steps and little text; the tokenizers cost most."""
    monkeypatch.chdir(tmp_path)
    real = cli.fit

    def briefly(recipe: str, **overrides: Any) -> Any:
        return real(recipe, **overrides, **{"trainer.max_steps": 2, "trainer.limit_val_batches": 1})

    monkeypatch.setattr(cli, "fit", briefly)
    assert main(["demo", "--task", task, "--max-epochs", "1"]) == 0
    said = capsys.readouterr()
    out = said.out + said.err
    for text in shown:
        assert text in out, text
