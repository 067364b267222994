"""What the help of `s2s fit` says is what a training does."""

import re
from typing import Any

import pytest
import yaml
from pytorch_lightning import Trainer

from s2s.__main__ import main
from s2s.registry import catalogue
from s2s.resources import recipes
from s2s.training.short_help import MOST_USED_TRAINER_OPTIONS


def lines_of(*words: str, capsys: Any) -> dict[str, str]:
    """What the help says of each option, with its name and the kinds of its values."""
    assert main([*words]) == 0
    found: dict[str, str] = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("  --"):
            name = line.split()[0].removeprefix("--")
            found[name] = line
        elif found and line.startswith(" " * 34):
            found[name] += line
    return {name: " ".join(text.split()) for name, text in found.items()}


def default_of(text: str) -> str | None:
    found = re.search(r" \(default: (.*)\)$", text)
    return None if found is None else found[1]


def test_defaults_of_the_trainer_are_those_of_the_configuration(capsys: Any) -> None:
    text = lines_of("fit", "--help.trainer", capsys=capsys)
    assert main(["fit", "-c", "demo", "--print_config"]) == 0
    trainer = yaml.safe_load(capsys.readouterr().out)["trainer"]
    demo = ("max_epochs", "accelerator", "precision")  # what the recipe may set
    given = {name: value for name, value in trainer.items() if value is not None and name not in demo}
    assert given["gradient_clip_val"] == 1.0 and len(given) > 15
    for name, value in given.items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        assert default_of(text[f"trainer.{name}"]) == shown, name


def test_what_the_trainer_makes_of_null(capsys: Any) -> None:
    text = lines_of("fit", "--help", capsys=capsys)
    trainer: Any = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    assert default_of(text["trainer.max_epochs"]) == "1000"  # Lightning says so when training begins
    for name in ("precision", "val_check_interval", "limit_train_batches", "limit_val_batches"):
        assert default_of(text[f"trainer.{name}"]) == str(getattr(trainer, name)), name
    for command in ("validate", "test"):
        shown = lines_of(command, "--help", capsys=capsys)
        for name in {*MOST_USED_TRAINER_OPTIONS[command]} - {"accelerator", "devices"}:
            assert default_of(shown[f"trainer.{name}"]) == str(getattr(trainer, name)), name


@pytest.mark.parametrize("task", ["Seq2Seq", "SequenceClassification", "LanguageModel", "SequenceLabelling"])
def test_the_tokenizer_that_is_taken_if_none_is_named(task: str, capsys: Any) -> None:
    text = lines_of("fit", "--task", task, "--help", capsys=capsys)["data.tokenizer"]
    data = catalogue().load("task", task).data()
    taken = getattr(data, "piece_tokenizer", data.tokenizer)
    told = (default_of(text) or "").split(", ")
    assert told[0] == taken.__name__
    if taken.__name__ == "SentencePiece":
        assert f"vocabulary_size {taken().maximum_size}" in told and f"algorithm {taken().algorithm}" in told


@pytest.mark.parametrize(
    ("task", "starts"),
    [
        (
            "Forecast",
            [
                "data.train FILE ",
                "data.validation FILE|NUMBER ",
                "data.test FILE|NUMBER ",
                "data.difference INT|LIST ",
                "data.log true|false|LIST ",
                "trainer.devices INT|LIST|auto ",
                "trainer.accelerator TEXT ",
                "trainer.max_epochs INT ",
            ],
        ),
        (
            "SequenceClassification",
            [
                "data.train FILE|MAPPING|LIST ",
                "data.cache FOLDER ",
                "model.class_weights none|balanced|MAPPING ",
            ],
        ),
        ("Seq2Seq", ["model.start_from BUNDLE ", "model.adam_betas LIST ", "model.encoder ENCODER "]),
    ],
)
def test_kinds_of_values(task: str, starts: list[str], capsys: Any) -> None:
    text = lines_of("fit", "--task", task, "--help", capsys=capsys)
    for start in starts:
        assert text[start.split()[0]].startswith(f"--{start}")


@pytest.mark.parametrize("task", catalogue().names("task"))
def test_the_help_of_every_task(task: str, capsys: Any) -> None:
    assert main(["fit", "--task", task, "--help"]) == 0
    printed = capsys.readouterr().out
    for python in ("PairData", "Callable", "self.", "None:"):
        assert python not in printed
    shown = printed.partition("recipes: ")[2].partition("\n\n")[0]
    assert re.split(r",\s+", shown) == list(recipes())
