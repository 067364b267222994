"""`s2s forecast` and `s2s.Forecaster`, as people use them."""

import csv
import gzip
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import s2s
from s2s.__main__ import main
from s2s.errors import BundleError, ConfigError, DataError
from s2s.series import read_table
from tests.references.series import fit, rows, write_series
from tests.references.tiny import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("forecast")
    train = write_series(folder / "series.csv")
    return str(
        fit(folder / "run", train, **{"data.horizon": 2, "data.log": ["sales"], "data.difference": 1}).bundle
    )


@pytest.fixture
def series(tmp_path: Path) -> str:
    return write_series(tmp_path / "series.csv")


def expected(bundle: str, steps: int) -> np.ndarray:
    columns = np.array([[float(cell) for cell in line.split(",")[1:]] for line in rows()]).T
    return s2s.Forecaster.load(bundle).forecast({"sales": columns[0], "rain": columns[1]}, steps).values


def test_csv_with_the_dates_that_follow(bundle: str, series: str, capsys: Any) -> None:
    assert main(["forecast", bundle, series, "--steps", "5"]) == 0
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert table[0] == ["month", "sales", "rain"]
    assert [row[0] for row in table[1:]] == [f"2005-{month:02d}" for month in range(1, 6)]
    found = np.array([[float(cell) for cell in row[1:]] for row in table[1:]])
    np.testing.assert_allclose(found, expected(bundle, 5), rtol=1e-6)


def test_the_horizon_is_the_default_and_standard_input_is_read(
    bundle: str, series: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO(gzip.compress(Path(series).read_bytes()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    assert main(["forecast", bundle, "--jsonl"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["month"] for one in found] == ["2005-01", "2005-02"]
    np.testing.assert_allclose([one["sales"] for one in found], expected(bundle, 2)[:, 0])
    monkeypatch.setattr("sys.stdin", None)
    assert main(["forecast", bundle]) == 2
    assert capsys.readouterr().err == "s2s: error: standard input is closed; give a file\n"


def test_only_the_end_of_a_series_counts_and_dates_need_not_be_there(
    bundle: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "end.csv"
    cells = [line.split(",") for line in rows()[-6:]]  # the history and a difference
    path.write_text("rain,sales,more\n" + "".join(f"{rain},{sales},x\n" for _, sales, rain in cells))
    assert main(["forecast", bundle, str(path), "--steps", "3"]) == 0
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [row[0] for row in table] == ["step", "1", "2", "3"]
    np.testing.assert_allclose([float(row[1]) for row in table[1:]], expected(bundle, 3)[:, 0], rtol=1e-6)


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_a_picture(bundle: str, series: str, tmp_path: Path, name: str, magic: bytes, capsys: Any) -> None:
    picture, output = tmp_path / name, tmp_path / "out.csv"
    command = ["forecast", bundle, series, "--steps", "4", "--plot", str(picture), "--output", str(output)]
    assert main(command) == 0
    assert picture.read_bytes().startswith(magic)
    assert len(output.read_text().splitlines()) == 5 and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--steps", "0"], "--steps is 0; it must be at least 1"),
        (["--plot", "a.gif"], "a.gif ends with '.gif'; name a file that ends with .png or .svg"),
        (["--plot", "gone/a.png"], "cannot write gone/a.png: No such file or directory; its folder is not"),
        (["--date", "moth"], "unknown column 'moth'; did you mean 'month'?"),
        (["--device", "gpu"], "device 'gpu' cannot be used"),
    ],
)
def test_what_cannot_be_is_told(bundle: str, series: str, options: list[str], text: str, capsys: Any) -> None:
    assert main(["forecast", bundle, series, *options]) == 2
    assert text in capsys.readouterr().err


def test_series_that_cannot_be_forecast(bundle: str, tmp_path: Path) -> None:
    forecaster = s2s.Forecaster.load(bundle)
    short = write_series(tmp_path / "short.csv", rows(5))
    with pytest.raises(
        DataError, match=r"short.csv has 5 time steps, but this model needs 6 for a forecast; give a"
    ):
        forecaster.forecast(short)
    negative = write_series(tmp_path / "negative.csv", [*rows(9), "2001-10,-1,3"])
    with pytest.raises(DataError, match=r"negative.csv:11: column 'sales' holds -1, which has no logarithm"):
        forecaster.forecast(negative)
    with pytest.raises(DataError, match="unknown column 'rain'; did you mean 'Rain'"):
        forecaster.forecast({"sales": [1.0], "Rain": [1.0]})
    with pytest.raises(DataError, match="the columns have 1 and 2 values; they must have equally many"):
        forecaster.forecast({"sales": [1.0], "rain": [1.0, 2.0]})
    with pytest.raises(DataError, match="column 'rain' has no value at step 2; fill it in"):
        forecaster.forecast({"sales": [1.0, 2.0], "rain": [1.0, float("nan")]})
    with pytest.raises(ConfigError, match="steps is 0; it must be at least 1"):
        forecaster.forecast(short, 0)


def test_columns_of_a_table_are_found_by_their_names(bundle: str, series: str) -> None:
    forecaster = s2s.Forecaster.load(bundle)
    table = read_table(series, columns=["rain", "sales"], date="month")
    found = forecaster.forecast(table, 3)
    np.testing.assert_array_equal(found.values, expected(bundle, 3))
    assert found.names == ["sales", "rain"] and found.labels[0] == "2005-01"
    with pytest.raises(DataError, match=r"series.csv: unknown column 'rain'. Known: sales"):
        forecaster.forecast(read_table(series, columns=["sales"]), 3)
    with pytest.raises(DataError, match="column 'rain' has no value at step 1; fill it in"):
        forecaster.forecast(replace(table, values=table.values * [np.nan, 1.0]), 3)


@pytest.mark.parametrize(
    ("sales", "text"),
    [
        (np.ones((20, 1)), r"column 'sales' is an array of shape \(20, 1\); give its values, one for each"),
        (5.0, "column 'sales' is one number; give its values, one for each time step, oldest first"),
        ("12345678901234567890", "column 'sales' holds what is no number; give its values, oldest first"),
        (["1"] * 20, "column 'sales' holds what is no number"),
        ([10**400] * 20, "column 'sales' holds what is no number"),
        ([[1.0], [1.0, 2.0]], "column 'sales' holds what is no number"),
        ([{}] * 20, "column 'sales' holds what is no number"),
        ([None] * 20, "column 'sales' has no value at step 1"),
    ],
)
def test_a_column_is_a_sequence_of_numbers(bundle: str, sales: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        s2s.Forecaster.load(bundle).forecast({"sales": sales, "rain": np.ones(20)})


def test_a_forecast_that_is_not_finite_is_refused(bundle: str) -> None:
    forecaster = s2s.Forecaster.load(bundle)
    with pytest.raises(
        DataError, match="the series: column 'rain' holds values beyond float32 after scaling"
    ):
        forecaster.forecast({"sales": np.ones(20), "rain": np.geomspace(1.0, 1e300, 20)})
    torch.nn.init.constant_(forecaster.model.output_layer.bias, 1e6)  # of logarithms
    with pytest.raises(DataError, match="the forecast of 'sales' is not finite at step 1; ask for fewer"):
        forecaster.forecast({"sales": np.ones(20), "rain": np.ones(20)})


@pytest.mark.parametrize("given", [[1.0] * 20, np.ones((20, 2)), 5, None])
def test_values_need_the_names_of_their_columns(bundle: str, given: Any) -> None:
    with pytest.raises(
        DataError, match=r"the series is a \w+; give a CSV file, .* the columns \(sales, rain\)"
    ):
        s2s.Forecaster.load(bundle).forecast(given)


def test_other_bundles_are_told_apart(bundle: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds a recurrent model of series; use it with: s2s forecast"):
        s2s.Translator.load(bundle)
    with pytest.raises(
        BundleError, match="holds a recurrent encoder-decoder model; use it with: s2s translate"
    ):
        s2s.Forecaster.load(tiny_bundle(tmp_path / "tiny"))


def test_inspect_reads_it(bundle: str, capsys: Any) -> None:
    assert main(["inspect", bundle]) == 0
    told = capsys.readouterr().out
    assert "task          Forecast" in told and "cell GRU" in told and "vocabulary" not in told
