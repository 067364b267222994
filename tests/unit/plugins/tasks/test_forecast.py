"""The task Forecast: what it measures and ships, and that nothing of the future teaches it."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import s2s
from s2s.__main__ import main
from s2s.errors import ConfigError, DataError
from s2s.inference.model_bundle import load_model_bundle
from s2s.nn.forecaster import ForecastModel
from tests.references.series import fit, rows, write_series


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("forecast")
    train = write_series(folder / "series.csv")
    return fit(
        folder / "run",
        train,
        **{
            "data.validation": 8,
            "data.test": 12,
            "data.horizon": 2,
            "data.difference": 4,
            "data.log": ["sales"],
        },
    )


def test_the_figures_of_a_validation_are_those_of_its_forecasts(run: Any) -> None:
    forecaster = s2s.Forecaster.load(run.bundle)
    values = np.array([[float(cell) for cell in line.split(",")[1:]] for line in rows()])
    errors = []
    for origin in range(28, 35):
        seen = dict(zip(forecaster.columns, values[:origin].T, strict=True))
        errors.append(np.abs(forecaster.forecast(seen).values - values[origin : origin + 2]))
    mae = np.stack(errors).mean((0, 1))
    scale = np.abs(values[4:28] - values[:24]).mean(0)
    figures = run.module.trainer.callback_metrics
    assert float(figures["val_mae"]) == pytest.approx(mae.mean(), rel=1e-5)
    assert float(figures["val_mase"]) == pytest.approx((mae / scale).mean(), rel=1e-5)
    rmse = np.sqrt((np.stack(errors) ** 2).mean((0, 1)))
    assert float(figures["val_rmse"]) == pytest.approx(rmse.mean(), rel=1e-5)


def test_the_loss_of_a_validation_counts_what_is_after_the_windows_alone(tmp_path: Path) -> None:
    train = write_series(tmp_path / "series.csv")
    module = fit(tmp_path / "run", train, **{"data.validation": 8, "model.output": "every"}).module
    data = module.data
    batch = data.windows("validation", data.origins("validation"))
    predicted = module.model.eval()(batch.history)[:, -1]
    expected = ((predicted - batch.future) ** 2).mean().item()
    assert float(module.trainer.callback_metrics["val_loss"]) == pytest.approx(expected, rel=1e-5)


def test_the_bundle_knows_the_scaling_and_has_no_tokenizer(run: Any) -> None:
    bundle = load_model_bundle(run.bundle, ForecastModel)
    changes = [np.array([float(line.split(",")[column]) for line in rows(28)]) for column in (1, 2)]
    changes[0] = np.log(changes[0])
    expected = [(one[4:] - one[:-4]).mean() for one in changes]
    np.testing.assert_allclose(bundle.model.scaling.center.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert bundle.tokenizers == {} and bundle.config["training"]["date"] == "month"
    card = (Path(run.bundle) / "README.md").read_text()
    assert "s2s forecast bundle series.csv" in card and "7 forecasts" in card


def test_nothing_of_the_future_teaches_it(tmp_path: Path) -> None:
    changed = rows()
    changed[28:] = [f"{line.split(',')[0]},{1e6 * t},{t}" for t, line in enumerate(changed[28:])]
    weights = []
    for name, lines in (("one", rows()), ("other", changed)):
        train = write_series(tmp_path / f"{name}.csv", lines)
        options = {
            "data.validation": 8,
            "data.test": 12,
            "model.output": "every",
            "trainer.limit_val_batches": 0,
        }
        weights.append(fit(tmp_path / name, train, **options).module.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_s2s_test_tells_errors_beside_forecasts_that_learn_nothing(run: Any, capsys: Any) -> None:
    assert main(["test", "-c", str(run.run_folder / "config.yaml")]) == 0
    told = capsys.readouterr()
    lines = [line.split() for line in (told.out + told.err).splitlines() if " of " in line and "step" in line]
    assert {tuple(line[:3]) for line in lines} == {
        ("1", "of", "12"),
        ("9", "of", "4"),  # a season
        ("11", "of", "2"),  # the horizon
        ("12", "of", "1"),
    }
    with open(run.run_folder / "test.forecast.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["month"] for row in table] == [line.split(",")[0] for line in rows()[36:]]
    sales = [float(line.split(",")[1]) for line in rows()]
    np.testing.assert_allclose([float(row["sales actual"]) for row in table], sales[36:], rtol=1e-6)
    seasonal = [float(row["sales seasonal naive"]) for row in table]
    np.testing.assert_allclose(seasonal, sales[32:36] * 3, rtol=1e-6)
    expected = s2s.Forecaster.load(run.bundle).forecast(
        {"sales": sales[:36], "rain": [float(line.split(",")[2]) for line in rows(36)]}, 12
    )
    found = [float(row["sales forecast"]) for row in table]
    np.testing.assert_allclose(found, expected.values[:, 0], rtol=1e-6)
    scale = np.abs(np.array(sales[4:36]) - sales[:32]).mean()
    mase = np.abs(np.array(seasonal) - sales[36:]).mean() / scale
    row = next(line for line in lines if line[2] == "12" and line[4:7] == ["seasonal", "naive", "sales"])
    assert float(row[-1]) == pytest.approx(mase, abs=6e-4)
    assert (run.run_folder / "test.forecast.png").read_bytes().startswith(b"\x89PNG")
    scores = json.loads((run.run_folder / "test.scores.json").read_text())["scores"]
    (whole,) = [
        one for one in scores if one["name"] == "MAE" and one["details"] == {"target": "sales", "steps": 12}
    ]
    assert whole["value"] == pytest.approx(np.abs(np.array(found) - sales[36:]).mean(), rel=1e-5)
    assert whole["sentences"] == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {
                "model.output": "every",
                "model.encoder": {"class_path": "Recurrent", "init_args": {"hidden_size": 4}},
            },
            "model.output every needs an encoder that reads from left to right, but this one sees the time steps that "
            "are to be predicted; set --model.encoder.bidirectional false, or model.output: last",
        ),
        (
            {"model.monitor": "val_bleu"},
            "model.monitor is 'val_bleu'; this model measures val_loss, val_mae, val_rmse, ",
        ),
        (
            {"trainer.precision": "bf16-true"},
            "trainer.precision bf16-true is impossible; it must be 32-true, bf16-mixed or",
        ),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    train = write_series(tmp_path / "series.csv")
    with pytest.raises(ConfigError) as error:
        fit(tmp_path / "run", train, **{"data.validation": 8, **options})
    assert expected in str(error.value)


def constant(columns: int) -> list[str]:
    """Rows of which the last column, or both, never change."""
    lines = [line.split(",") for line in rows()]
    return [",".join([*line[: 3 - columns], *["5"] * columns]) for line in lines]


def test_a_constant_target_is_left_out_of_the_mean_of_mase(tmp_path: Path, capsys: Any) -> None:
    train = write_series(tmp_path / "series.csv", constant(1))
    options = {"data.validation": 8, "data.test": 8, "model.monitor": "val_mase", "trainer.max_epochs": 3}
    run = fit(tmp_path / "run", train, **{**options, "model.patience": 1})
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert (
        told.count("no MASE of 'rain': there is no change from one season (data.season 4) to the next") == 1
    )
    assert told.count("validation after epoch") > 1  # nothing ended it after the first
    forecaster = s2s.Forecaster.load(run.bundle)
    sales = np.array([float(line.split(",")[1]) for line in constant(1)])
    errors = [
        abs(forecaster.forecast({"sales": sales[:t], "rain": [5.0] * t}).values[0, 0] - sales[t])
        for t in range(32, 40)
    ]
    mase = np.mean(errors) / np.abs(sales[4:32] - sales[:28]).mean()
    config = json.loads((Path(run.bundle) / "config.json").read_text(), parse_constant=pytest.fail)
    assert config["scores"][0]["value"] == pytest.approx(mase, rel=1e-4)  # predicted in float32
    assert float(run.module.trainer.callback_metrics["val_mase"]) > 0


def test_where_no_target_has_a_mase_there_is_no_score_of_it(tmp_path: Path, capsys: Any) -> None:
    train = write_series(tmp_path / "series.csv", constant(2))
    run = fit(tmp_path / "run", train, **{"data.validation": 8})
    captured = capsys.readouterr()
    assert "no MASE of 'sales', 'rain': " in captured.out + captured.err
    config = json.loads((Path(run.bundle) / "config.json").read_text(), parse_constant=pytest.fail)
    assert config["scores"] == []
    with pytest.raises(ConfigError, match="model.monitor is val_mase, but no target has a MASE"):
        fit(tmp_path / "other", train, **{"data.validation": 8, "model.monitor": "val_mase"})


def test_a_checkpoint_is_scored_with_its_own_training_part(run: Any, tmp_path: Path) -> None:
    other = rows()
    other[3] = "2001-04,400,5"
    train = write_series(tmp_path / "other.csv", other)
    with pytest.raises(DataError, match=r"scaling of the checkpoint was learnt on another training part"):
        from s2s.training.cli import run as command

        command("validate", ["-c", str(run.run_folder / "config.yaml"), "--data.train", train])
