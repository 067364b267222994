"""The task: exact batches, weights, what is told of unknown classes, what is written."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import s2s
from s2s.__main__ import main
from s2s.errors import ConfigError, DataError
from s2s.training.scored_set import files_of_tests
from s2s_plugins.tasks.classification import ClassificationData

TRAIN = [
    "fine day\tgood",
    "a fine day\tgood",
    "bad\tvery bad",
    "fine\tgood",
    "bad day\tvery bad",
    "so\tso so",
]
OTHER = ["fine\tgood", "bad\tvery bad", "day\tnew one", "a day\tso so"]
SMALL: dict[str, Any] = {
    "task": "SequenceClassification",
    "model.embedding.size": 8,
    "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 8}},
    "model.warmup_steps": 1,
    "data.tokenizer": "Words",
    "trainer.max_epochs": 1,
    "trainer.logger": False,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.tsv").write_text("".join(f"{line}\n" for line in TRAIN))
    (tmp_path / "other.tsv").write_text("".join(f"{line}\n" for line in OTHER))
    return tmp_path


def fit(**more: Any) -> Any:
    given = {**SMALL, "data.train": "train.tsv", "data.validation": "other.tsv", "run_folder": "run"}
    return s2s.fit({**given, **more})


def data(train: Any, **more: Any) -> ClassificationData:
    from s2s.registry.parts import factory

    made = ClassificationData(train=train, tokenizer=factory("tokenizer", "Words"), **more)
    made.prepare_data()
    made.setup("fit")
    return made


def test_batches_are_exact(here: Path) -> None:
    made = data("train.tsv", batch_sentences=2)
    assert made.classes == ["good", "very bad", "so so"]
    assert made.class_counts() == {"good": 3, "very bad": 2, "so so": 1}
    rows = {}
    for batch in made.train_dataloader():
        for place, (line, length) in enumerate(
            zip(batch.lines.tolist(), batch.source.lengths.tolist(), strict=True)
        ):
            words = made.tokenizers.source.tokens(batch.source.ids[place, :length].tolist())
            rows[line] = f"{' '.join(words)}\t{made.classes[int(batch.target.ids[place, 1]) - 4]}"
    assert [rows[line] for line in sorted(rows)] == TRAIN


def test_columns_and_keys_may_be_the_other_way_round(here: Path) -> None:
    swapped = ["\t".join(reversed(line.split("\t"))) for line in TRAIN]
    (here / "swapped.tsv").write_text("".join(f"{line}\n" for line in swapped))
    rows = [dict(zip(("text", "sentiment"), line.split("\t"), strict=True)) for line in TRAIN]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain = data("train.tsv")
    for train in (
        {"path": "swapped.tsv", "source_key": 2, "target_key": 1},
        {"path": "rows.jsonl", "source_key": "text", "target_key": "sentiment"},
    ):
        made = data(train)
        assert made.class_counts() == plain.class_counts()
        assert made.sources("train") == plain.sources("train")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("none", None),
        # texts / (classes x texts of the class)
        ("balanced", [6 / (3 * 3), 6 / (3 * 2), 6 / (3 * 1)]),
        ({"so so": 4, "good": 0.5}, [0.5, 1.0, 4.0]),
    ],
)
def test_class_weights(here: Path, given: Any, expected: list[float] | None) -> None:
    module = fit(**{"model.class_weights": given}).module
    assert (None if module.weights is None else module.weights.tolist()) == (
        None if expected is None else pytest.approx(expected)
    )


@pytest.mark.parametrize(
    ("names", "given"),
    [(("yes", "no"), "{yes: 3, no: 0.5}"), (("1", "2"), "{1: 3, 2: 0.5}"), (("a", "b"), "{a: 3, b: .5}")],
)
def test_class_weights_of_names_that_yaml_takes_for_something_else(
    here: Path, names: tuple[str, str], given: str
) -> None:
    (here / "two.tsv").write_text("".join(f"fine {i}\t{names[i % 2]}\n" for i in range(6)))
    two = {"data.train": "two.tsv", "data.validation": "two.tsv"}
    fitted = fit(**{**two, "model.class_weights": given})
    weights = dict(zip(fitted.module.data.classes, fitted.module.weights.tolist(), strict=True))
    assert weights == {names[0]: 3.0, names[1]: 0.5}
    with pytest.raises(ConfigError, match=r"class_weights: unknown class 'None'.* stand in quotes"):
        fit(**{**two, "model.class_weights": "{null: 3}", "overwrite": True})


def test_an_unknown_class_counts_as_wrong_and_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted = fit(**{"trainer.max_epochs": 40, "model.learning_rate": 0.05, "model.schedule": "constant"})
    output = capsys.readouterr().err
    assert "3 classes: 'good' 3, 'very bad' 2, 'so so' 1" in output
    assert (
        "validation: 1 of 4 texts have a class that no training text had ('new one'); each counts as wrong"
        in output
    )
    assert fitted.score <= 75.0
    figures = fitted.module.trainer.callback_metrics
    assert {"val_loss", "val_accuracy", "val_macro_F1"} <= set(figures)
    assert s2s.Classifier.load(fitted.bundle).classify(["fine day", "bad", ""]) == ["good", "very bad", ""]


def test_testing_writes_classes_and_a_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(**{"data.test": "other.tsv"})
    assert main(["test", "-c", "run/config.yaml"]) == 0
    output = "".join(capsys.readouterr())
    bundle = s2s.Classifier.load("run/bundle")
    expected = bundle.classify([line.split("\t")[0] for line in OTHER])
    assert (here / "run" / "test.classes.txt").read_text().splitlines() == expected
    assert (here / "run" / "test.confusion.png").read_bytes().startswith(b"\x89PNG")
    # Those written after the scores, too.
    assert {"test.classes.txt", "test.confusion.png"} <= {path.name for path in files_of_tests(here / "run")}
    scores = json.loads((here / "run" / "test.scores.json").read_text())["scores"]
    right = sum(line.split("\t")[1] == one for line, one in zip(OTHER, expected, strict=True))
    assert (scores[0]["name"], scores[0]["value"]) == ("accuracy", 100 * right / len(OTHER))
    assert "accuracy" in output and "macro-F1" in output and "so so" in output
    assert "test: 1 of 4 texts have a class that no training text had ('new one')" in output
    assert main(["validate", "-c", "run/config.yaml"]) == 0
    assert "class     precision  recall" in "".join(capsys.readouterr())


def test_the_bundle_says_what_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit()
    assert main(["inspect", "run/bundle"]) == 0
    output = capsys.readouterr().out
    assert "A recurrent classifier with 3 classes, trained on the 6 texts of train.tsv" in output
    assert "vocabulary of target: Labels, 7 tokens" in output
    card = (here / "run" / "bundle" / "README.md").read_text()
    assert "s2s classify bundle < texts.txt > classes.txt" in card and "accuracy" in card
    weights = load_file(here / "run" / "bundle" / "weights.safetensors")
    assert weights["output.weight"].shape == torch.Size([3, 16])


def test_what_cannot_be(here: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"model.monitor is 'val_BLEU'; this model measures val_accuracy, val_macro"
    ):
        fit(**{"model.monitor": "val_BLEU"})
    with pytest.raises(
        ConfigError, match="class_weights: all classes have weight 0, so that nothing is learnt"
    ):
        fit(**{"model.class_weights": {"good": 0, "very bad": 0, "so so": 0}})
    with pytest.raises(ConfigError, match=r"class_weights: unknown class 'god'; did you mean 'good'\?"):
        fit(**{"model.class_weights": {"god": 2.0}})
    with pytest.raises(
        ConfigError, match="class_weights: the weight of 'good' is -1.0; it must be 0 or more"
    ):
        fit(**{"model.class_weights": {"good": -1.0}})
    for name, value in (("references_key", "2"), ("tell_length", True)):
        with pytest.raises(
            ConfigError, match=f"data.test: {name} of other.tsv is for targets that are text; a class"
        ):
            fit(**{"data.test": {"path": "other.tsv", name: value}})
    (here / "one.tsv").write_text("fine\tgood\nbad\tgood\n")
    with pytest.raises(
        DataError, match="all training texts have the same class, 'good'; a classifier needs two"
    ):
        fit(**{"data.train": "one.tsv"})
    with pytest.raises(
        DataError, match="no validation text has a class that a training text has; one is 'a day'"
    ):
        fit(**{"data.validation": {"path": "other.tsv", "source_key": 2, "target_key": 1}})
    assert not list(here.glob("**/*.ckpt"))  # before the first epoch


def test_classes_that_look_the_same_are_told_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They stay two: labels are what the user wrote, byte by byte."""
    (here / "train.tsv").write_text("a\tcaf\u00e9\nb\tcafe\u0301\nc\tna\u00efve\n")
    fit(**{"data.validation": "train.tsv"})
    told = "".join(capsys.readouterr())
    assert r"3 classes: 'cafe\u0301' 1, 'caf\xe9' 1, 'naïve' 1" in told
