"""metrics.csv, row by row, and after a kill."""

import csv
import os
import shutil
from pathlib import Path

import pytest

from s2s.training.metrics_table import MetricsTable


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def table(tmp_path: Path) -> MetricsTable:
    table = MetricsTable(tmp_path / "run" / "metrics.csv")
    table.log_metrics({"epoch": 0, "train_loss": 3.5}, step=19)
    table.log_metrics({"epoch": 0, "val_loss": 2.25}, step=19)
    table.log_metrics({"epoch": 1, "train_loss": 1.5}, step=39)
    return table


def test_each_row_is_there_at_once_and_columns_come_later(table: MetricsTable) -> None:
    assert table.path.read_text() == ("epoch,step,train_loss,val_loss\n0,19,3.5,\n0,19,,2.25\n1,39,1.5,\n")
    assert table.rows == 3


@pytest.mark.parametrize("torn", ["", "1,59,", "1,59,0.5,0.25\n"])
@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_run_that_goes_on_has_the_rows_of_its_checkpoint(table: MetricsTable, torn: str, kept: int) -> None:
    """Whatever has been written since, half a row too."""
    before = rows(table.path)
    with open(table.path, "a") as file:
        file.write(torn)
    going_on = MetricsTable(table.path)
    going_on.keep(kept)
    assert going_on.rows == kept
    assert table.path.exists() == bool(kept)
    going_on.log_metrics({"epoch": 1, "train_loss": 0.5, "val_loss": 0.5}, step=59)
    found = rows(table.path)
    assert found[:-1] == before[:kept]
    assert found[-1] == {"epoch": "1", "step": "59", "train_loss": "0.5", "val_loss": "0.5"}


def test_a_kill_while_a_column_is_added_leaves_the_rows(
    table: MetricsTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = table.path.read_text()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        table.log_metrics({"new": 1}, step=40)
    assert table.path.read_text() == before
    assert os.listdir(table.path.parent) == ["metrics.csv"]


def test_a_new_column_leaves_nothing_of_a_writer_that_was_killed(table: MetricsTable) -> None:
    left = table.path.with_name(".metrics.csv.0123abcd.partial")
    left.write_text("half")
    table.log_metrics({"new": 1}, step=40)
    assert rows(table.path)[-1]["new"] == "1" and os.listdir(table.path.parent) == ["metrics.csv"]


@pytest.mark.parametrize("remade", [True, False])
@pytest.mark.parametrize("metrics", [{"epoch": 2, "train_loss": 0.5}, {"new": 1.0}])
def test_a_table_that_vanishes_begins_anew(
    table: MetricsTable, remade: bool, metrics: dict[str, float]
) -> None:
    """With a header, and its own count of rows, which a checkpoint keeps."""
    shutil.rmtree(table.path.parent)
    if remade:  # by a checkpoint
        table.path.parent.mkdir()
    for step in (59, 79):
        table.log_metrics(metrics, step=step)
    found = rows(table.path)
    assert [row["step"] for row in found] == ["59", "79"] and table.rows == 2
    going_on = MetricsTable(table.path)
    going_on.keep(table.rows)
    assert rows(table.path) == found
