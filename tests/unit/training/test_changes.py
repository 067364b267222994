"""What differs between the configuration of a run and that of its resume."""

import pytest
import yaml

from s2s.training.changes import changes, other_text

RUN = """
task: Seq2Seq
run_folder: runs/one
model:
  encoder: {class_path: Recurrent, init_args: {cell: {class_path: LSTM, init_args: {bias: true}}, hidden_size: 8}}
  attention: null
  schedule: SCHEDULE
  learning_rate: 0.01
  patience: 3
data:
  train: a.tsv
  validation: [b.tsv, {path: c.tsv, weight: 2}]
  kept: {path: e.tsv}
  test: {path: d.tsv}
  num_workers: 0
trainer: {max_epochs: 3, max_steps: -1, precision: 32-true, devices: 1, logger: null}
"""
OF_A_PLATEAU = RUN.replace("SCHEDULE", "plateau")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "cell: {class_path: LSTM, init_args: {bias: true}}",
            "cell: GRU",
            "model.encoder.cell was LSTM, now GRU",
        ),
        ("bias: true", "bias: false", "model.encoder.cell.bias was true, now false"),
        ("hidden_size: 8", "hidden_size: 9", "model.encoder.hidden_size was 8, now 9"),
        ("attention: null", "attention: Dot", "model.attention was null, now Dot"),
        ("weight: 2", "weight: 3", "data.validation was "),
        ("test: {path: d.tsv}", "test: {path: d.tsv}\n  extra: {a: 1}", None),
        ("kept: {path: e.tsv}", "kept: {source: e.en, target: e.de}", "data.kept.path was e.tsv, now null"),
        (
            "kept: {path: e.tsv}",
            "kept: {path: e.tsv, references_key: r}",
            "data.kept.references_key was null, now r",
        ),
        ("bias: true", "bias: true, new_in_this_version: 3", None),
        ("0.01", "1e-2", None),
        ("runs/one", "runs/two", None),
        ("patience: 3", "patience: 9", None),
        ("num_workers: 0", "num_workers: 2", None),
        ("max_epochs: 3", "max_epochs: 4", None),
        ("devices: 1", "devices: 2, strategy: ddp", None),
        ("logger: null", "logger: false", None),
        ("a.tsv", "elsewhere/a.tsv", None),
        ("  learning_rate: 0.01", "  learning_rate: 0.01\n  new_in_this_version: 3", None),
    ],
)
def test_what_is_told(before: str, after: str, told: str | None) -> None:
    assert OF_A_PLATEAU.count(before) == 1
    after = after.replace("1e-2", "0.010")
    found = [str(change) for change in changes(OF_A_PLATEAU, OF_A_PLATEAU.replace(before, after))]
    assert bool(found) == (told is not None)
    assert told is None or found[0].startswith(told)


def test_a_schedule_that_falls_to_the_end_depends_on_where_it_is() -> None:
    cosine = RUN.replace("SCHEDULE", "cosine")
    found = changes(cosine, cosine.replace("max_epochs: 3", "max_epochs: 4"))
    told = "trainer.max_epochs was 3, now 4 (the cosine schedule depends on when training ends)"
    assert [str(change) for change in found] == [told]


def test_a_value_is_told_up_to_a_length() -> None:
    then = OF_A_PLATEAU.replace("patience: 3", "patience: 3\n  note: " + "x" * 999)
    found = changes(then, then.replace("x" * 999, "y"))
    assert [str(change) for change in found] == [f"model.note was {'x' * 200}…, now y"]


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("5", "it is no mapping"),
        ("# nothing", "it is no mapping"),
        ("a: [", "expected the node content"),
        ("[" * 100_000, "it is nested too deeply"),
        ("a: &a [*a]", "more than 1,000,000 values where its aliases are followed"),
        ("a: !!bool x", "a value that its tag does not allow"),
    ],
)
def test_a_configuration_of_anybody_that_cannot_be_read(then: str, message: str) -> None:
    with pytest.raises((ValueError, yaml.YAMLError), match=message):
        changes(then, OF_A_PLATEAU)


def test_text_that_is_read_elsewhere_is_told() -> None:
    assert other_text(OF_A_PLATEAU, OF_A_PLATEAU.replace("b.tsv", "e.tsv")) == []
    (change,) = other_text(OF_A_PLATEAU, OF_A_PLATEAU.replace("train: a.tsv", "train: e.tsv"))
    assert str(change) == "data.train was a.tsv, now e.tsv (it must be the same text, line by line)"
