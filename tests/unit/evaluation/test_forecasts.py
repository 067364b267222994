"""Errors of forecasts, by hand and by loops."""

import numpy as np
import pytest

from s2s.errors import DataError
from s2s.evaluation.forecasts import accuracy, backtest, in_sample_error, naive, seasonal_naive, table


def test_errors_by_hand() -> None:
    # a training part 1 3 2 6 with a season of 2: |2-1|, |6-3| -> 2; forecasts 5 and 9 of 6 and 6: 1 and 3 off
    scale = in_sample_error(np.array([[1.0], [3.0], [2.0], [6.0]]), 2)
    assert scale.tolist() == [2.0]
    found = accuracy(np.array([[[5.0], [9.0]]]), np.array([[[6.0], [6.0]]]), scale)
    assert (found.mae[0], found.rmse[0], found.mase[0]) == (2.0, pytest.approx(5**0.5), 1.0)


def test_a_season_of_one_is_that_of_the_naive_forecast() -> None:
    assert in_sample_error(np.array([[1.0], [3.0], [2.0], [6.0]]), 1)[0] == pytest.approx((2 + 1 + 4) / 3)


def test_a_series_that_repeats_itself_has_no_mase() -> None:
    scale = in_sample_error(np.array([[1.0], [2.0], [1.0], [2.0]]), 2)
    assert np.isnan(accuracy(np.ones((1, 1, 1)), np.zeros((1, 1, 1)), scale).mase[0])


def test_forecasts_that_learn_nothing() -> None:
    seen = np.array([[[0.0], [7.0], [8.0], [9.0]], [[0.0], [1.0], [2.0], [3.0]]])
    assert naive(seen, 3)[..., 0].tolist() == [[9.0] * 3, [3.0] * 3]
    assert seasonal_naive(seen, 5, 3)[..., 0].tolist() == [
        [7.0, 8.0, 9.0, 7.0, 8.0],
        [1.0, 2.0, 3.0, 1.0, 2.0],
    ]


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_a_backtest_never_shows_what_is_to_be_forecast(steps: int) -> None:
    values = np.random.default_rng(4).normal(size=(20, 2))
    start, needs, season = 14, 3, 5

    def mean(seen: np.ndarray, steps: int) -> np.ndarray:
        assert seen.shape[1] == max(needs, season)
        return np.repeat(seen[:, -needs:, 1:].mean(1, keepdims=True), steps, axis=1)

    scale = np.array([2.0])
    results = backtest(
        mean, values, start=start, steps=steps, needs=needs, season=season, targets=[1], scale=scale
    )
    wrong: dict[str, list[float]] = {"model": [], "naive": [], "seasonal naive": []}
    for origin in range(start, 20 - steps + 1):
        for step in range(steps):
            actual, past = values[origin + step, 1], values[:origin, 1]
            wrong["model"].append(abs(past[-needs:].mean() - actual))
            wrong["naive"].append(abs(past[-1] - actual))
            wrong["seasonal naive"].append(abs(past[origin - season + step % season] - actual))
    assert [result.system for result in results] == list(wrong)
    for result in results:
        errors = np.array(wrong[result.system])
        assert (result.steps, result.origins) == (steps, 7 - steps)
        np.testing.assert_allclose(result.accuracy.mae, [errors.mean()])
        np.testing.assert_allclose(result.accuracy.rmse, [np.sqrt((errors**2).mean())])
        np.testing.assert_allclose(result.accuracy.mase, [errors.mean() / 2.0])
    lines = table(results, ["cold"])
    assert len(lines) == 4 and lines[1].split()[:3] == [str(7 - steps), "of", str(steps)]


def test_a_season_longer_than_the_training_part() -> None:
    with pytest.raises(
        DataError, match=r"has 4 time steps, not more than data.season 4, so that MASE is undefined"
    ):
        in_sample_error(np.zeros((4, 1)), 4)
