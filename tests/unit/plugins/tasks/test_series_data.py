"""Parts of a series, windows and batches against NumPy; nothing of the future in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2s.errors import ConfigError, DataError
from s2s_plugins.tasks.series_data import SeriesData
from tests.references.series import rows, write_series


@pytest.fixture
def series(tmp_path: Path) -> str:
    return write_series(tmp_path / "series.csv")


def made(train: str, **options: Any) -> SeriesData:
    given = {"date": "month", "history": 5, "season": 4, "batch_sentences": 4, "validation": 8, "test": 12}
    data = SeriesData(train=train, **{**given, **options})
    data.prepare_data()
    data.setup()
    return data


def values() -> np.ndarray:
    return np.array([[float(cell) for cell in line.split(",")[1:]] for line in rows()])


@pytest.mark.parametrize("shares", [{}, {"validation": 0.17, "test": 0.25}])
def test_parts_are_in_the_order_of_time(series: str, shares: dict[str, float]) -> None:
    data = made(series, **shares)
    bounds = {name: (data.part(name).start, data.part(name).stop) for name in ("train", "validation", "test")}  # type: ignore[arg-type]
    assert bounds == {"train": (5, 28), "validation": (28, 36), "test": (36, 48)}
    assert len(data.before("validation")) == 28 and len(data.before("test")) == 36


def test_windows_are_those_of_numpy(series: str) -> None:
    data = made(series, horizon=2, log=["sales"], difference=[1, 4], targets=["rain"], test=12)
    level = values()
    level[:, 0] = np.log(level[:, 0])
    changes = level[1:] - level[:-1]
    changes = changes[4:] - changes[:-4]
    learnt = changes[: 28 - 5]  # of the training part alone
    scaled = (changes - learnt.mean(0)) / learnt.std(0)
    for split, origins in (("train", range(10, 27)), ("validation", range(28, 35)), ("test", range(36, 47))):
        found = data.origins(split)  # type: ignore[arg-type]
        assert found.tolist() == list(origins)
        batch = data.windows(split, found)  # type: ignore[arg-type]
        for row, origin in enumerate(origins):
            at = origin - 5
            np.testing.assert_allclose(batch.history[row], scaled[at - 5 : at], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(batch.future[row], scaled[at : at + 2, 1:], rtol=1e-5, atol=1e-6)


def test_nothing_of_the_future_reaches_scaling_or_training(series: str, tmp_path: Path) -> None:
    lines = rows()
    lines[28:] = [f"{line.split(',')[0]},{9e5 + t},{-7e3 * t}" for t, line in enumerate(lines[28:])]
    options: dict[str, Any] = {"horizon": 3, "difference": 4}
    one, other = made(series, **options), made(write_series(tmp_path / "other.csv", lines), **options)
    assert one.part("test").table.values[40, 0] != other.part("test").table.values[40, 0]
    for name, value in one.scaling.state_dict().items():
        assert torch.equal(value, other.scaling.state_dict()[name])
    ours, others = list(one.train_dataloader()), list(other.train_dataloader())
    assert len(ours) == one.batches_per_epoch() == 5  # 17 windows
    for batch, same in zip(ours, others, strict=True):
        assert all(torch.equal(*pair) for pair in zip(batch, same, strict=True))
        assert int(batch.origins.max()) + 3 <= 28
    assert (
        one.sampler.fingerprint == other.sampler.fingerprint
    )  # so that a run may go on when the future has come
    # and a window of validation sees nothing from its own origin on
    origin = one.origins("validation")[4:5]
    lines = rows()
    lines[32:] = lines[28:32] * 4
    lines[32:] = [f"{2003 + t // 12}-{t % 12 + 9:02d},1,1" for t in range(4)] + [
        f"2004-{t + 1:02d},1,1" for t in range(12)
    ]
    third = made(write_series(tmp_path / "third.csv", lines), **options)
    windows = [data.windows("validation", origin) for data in (one, third)]
    assert torch.equal(windows[0].history, windows[1].history)
    assert not torch.equal(windows[0].future, windows[1].future)


def test_files_of_their_own(series: str, tmp_path: Path) -> None:
    lines = [line.rsplit(",", 1)[0] + f",{t}" for t, line in enumerate(rows(20))]
    own = tmp_path / "own.csv"
    own.write_text(
        "rain,month,sales\n" + "".join(f"{r},{m},{s}\n" for m, s, r in (x.split(",") for x in lines))
    )
    data = made(series, validation=str(own), test=12)
    part = data.part("validation")
    assert (part.start, part.stop) == (5, 20) and part.table.names == ["sales", "rain"]
    assert part.table.values[:, 1].tolist() == list(range(20))
    assert data.part("train").stop == 36 == len(data.before("validation"))


def test_an_epoch_has_each_window_once_and_another_order_each_time(series: str) -> None:
    data = made(series)
    orders = []
    for epoch in range(2):
        batches = data.sampler.batches(epoch)
        orders.append([int(data.origins("train")[w]) for b in range(len(batches)) for w in batches.pairs(b)])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(5, 28)) and orders[0] != orders[1]


def test_the_place_in_the_order_is_kept(series: str) -> None:
    data = made(series)
    whole = [batch.origins.tolist() for batch in data.train_dataloader()]
    for _ in range(2):
        data.batch_done()
    state = data.state_dict()
    again = SeriesData(
        train=series, date="month", history=5, season=4, batch_sentences=4, validation=8, test=12
    )
    again.load_state_dict(state)
    again.setup("fit")
    assert [batch.origins.tolist() for batch in again.train_dataloader()] == whole[2:]
    with pytest.raises(DataError, match="other training data"):
        made(series, history=6).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"targets": ["sale"]},
            "data.targets: unknown column 'sale'; did you mean 'sales'? Known: rain, sales.",
        ),
        ({"log": ["rian"]}, "data.log: unknown column 'rian'; did you mean 'rain'?"),
        ({"columns": ["Sales"]}, "unknown column 'Sales'; did you mean 'sales'?"),
        ({"date": "moth"}, "unknown column 'moth'; did you mean 'month'?"),
        (
            {"date": None},
            "series.csv:2: column 'month' holds '2001-01', which is no number. Write 1234.5; name the",
        ),
        (
            {"log": True},
            "series.csv:2: column 'rain' holds 0, which has no logarithm; leave it out of data.log",
        ),
        ({"columns": ["sales", "rain", "sales"]}, "data.columns names 'sales' twice; name each column once"),
        ({"targets": ["rain", "rain"]}, "data.targets names 'rain' twice; name each column once"),
        ({"log": ["sales", "sales"]}, "data.log names 'sales' twice; name each column once"),
        ({"history": 0}, "data.history is 0; it must be at least 1 time step"),
        (
            {"test": 48},
            "data.test is 48, of 48 time steps; give a whole number of them, or a share between 0 and 1",
        ),
        ({"test": 1.5}, "data.test is 1.5, of 48 time steps"),
        ({"batch_sentences": 0}, "batch_sentences is 0; it must be at least 1"),
        ({"train": None}, "data.train names no part: --data.train FILE.csv"),
        (
            {"history": 24, "difference": [1, 4]},
            "the train part of {series} has 28 time steps, and a window needs data.history 24 + data.difference 1 + 4 "
            "+ data.horizon 1 = 30; give more of them, or lower these",
        ),
        (
            {"validation": 2, "horizon": 3},
            "data.validation 2 is 2 of the 48 time steps of {series}, but one forecast is of data.horizon 3; choose "
            "another number",
        ),
        ({"season": 30}, "the training part has 28 time steps, not more than data.season 30"),
    ],
)
def test_what_cannot_be_is_told(series: str, options: dict[str, Any], expected: str) -> None:
    with pytest.raises((ConfigError, DataError)) as error:
        made(**{"train": series, **options})
    assert expected.replace("{series}", series) in str(error.value)


def test_a_file_of_its_own_may_be_too_short(series: str, tmp_path: Path) -> None:
    short = write_series(tmp_path / "short.csv", rows(5))
    with pytest.raises(
        DataError, match=r"the test part of .*short.csv has 5 time steps, and a window needs data.hist"
    ):
        made(series, test=short)


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    lines = rows()
    lines[3] = "2001-04,1e300,1"
    with pytest.raises(
        DataError, match=r"column 'sales' holds values as large as 1e\+300, whose scale is bey"
    ):
        made(write_series(tmp_path / "train.csv", lines))
    lines = rows()
    lines[30] = "2003-07,1e300,1"  # of the validation part
    with pytest.raises(
        DataError, match=r"late.csv:32: column 'sales' holds 1e\+300, which is beyond float32"
    ):
        made(write_series(tmp_path / "late.csv", lines))
