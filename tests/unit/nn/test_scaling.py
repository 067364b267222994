"""Scaling against NumPy, and that it is undone."""

import numpy as np
import pytest
import torch

from s2s.errors import ConfigError, DataError
from s2s.nn.scaling import Scaling

VALUES = np.exp(np.random.default_rng(3).normal(size=(40, 2)).cumsum(0) / 10) * [100.0, 0.01]


def test_standard() -> None:
    scaling = Scaling(2)
    scaling.fit(torch.from_numpy(VALUES[:30]))
    expected = (VALUES - VALUES[:30].mean(0)) / VALUES[:30].std(0)
    np.testing.assert_allclose(scaling(torch.from_numpy(VALUES)).numpy(), expected, rtol=1e-12)


def test_minimum_and_maximum() -> None:
    scaling = Scaling(2, scale="minmax")
    scaling.fit(torch.from_numpy(VALUES[:30]))
    scaled = scaling(torch.from_numpy(VALUES[:30])).numpy()
    np.testing.assert_allclose([scaled.min(0), scaled.max(0)], [[0, 0], [1, 1]], atol=1e-15)


def test_logarithm_and_two_differences_of_one_column_each_by_hand() -> None:
    scaling = Scaling(2, scale="none", log=[True, False], difference=[1, 3])
    scaled = scaling(torch.from_numpy(VALUES)).numpy()
    level = np.stack([np.log(VALUES[:, 0]), VALUES[:, 1]], axis=1)
    for t in (4, 17, 39):  # (1 - B)(1 - B^3) y
        np.testing.assert_allclose(
            scaled[t - 4], level[t] - level[t - 1] - level[t - 3] + level[t - 4], rtol=1e-10, atol=1e-15
        )
    assert len(scaled) == 36 and scaling.lost == 4


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
@pytest.mark.parametrize("difference", [[], [1], [5], [1, 5], [5, 1, 1]])
def test_what_is_scaled_comes_back(scale: str, difference: list[int]) -> None:
    scaling = Scaling(2, scale=scale, log=[True, False], difference=difference)  # type: ignore[arg-type]
    values = torch.from_numpy(VALUES)
    scaling.fit(values[:30])
    scaled = scaling(values)[20 - scaling.lost :]
    for before in (values[:20], values[20 - scaling.lost : 20]):
        # float64: what is lost are the last digits of sums of 20 differences
        torch.testing.assert_close(scaling.inverse(scaled, before), values[20:], rtol=1e-11, atol=1e-13)
    alone = scaling.inverse(scaled[:, [1]], values[:20][:, [1]], [1])
    torch.testing.assert_close(alone, values[20:][:, [1]], rtol=1e-11, atol=1e-13)
    batch = scaling.inverse(torch.stack([scaled] * 3), torch.stack([values[:20]] * 3))
    torch.testing.assert_close(batch[2], values[20:], rtol=1e-11, atol=1e-13)


def test_small_changes_of_large_values_survive() -> None:
    values = 1e9 + torch.arange(10.0, dtype=torch.float64).unsqueeze(1)
    scaling = Scaling(1)
    scaling.fit(values)
    assert scaling(values).diff(dim=0).std() < 1e-6 < scaling(values).std()


@pytest.mark.parametrize("constant", [0.1, 7.0, 1e8])
def test_a_constant_column_is_only_centred(constant: float) -> None:
    scaling = Scaling(1)
    scaling.fit(torch.full((7, 1), constant, dtype=torch.float64))
    assert scaling(torch.tensor([[constant + 1.0]], dtype=torch.float64)).item() == pytest.approx(1.0)


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="unknown scaling 'max'; choose one of standard, minmax, none"):
        Scaling(1, scale="max")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="difference 0 is impossible; a lag is at least 1 time step"):
        Scaling(1, difference=[0])
    with pytest.raises(DataError, match="has 3 time steps, and differences of lags 1, 2 need more than 3"):
        Scaling(1, difference=[1, 2]).fit(torch.zeros(3, 1))


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_a_scale_beyond_float32(scale: str) -> None:
    values = torch.tensor([[0.0, 1.0], [1e300, 2.0], [-1e300, 3.0]], dtype=torch.float64)
    with pytest.raises(
        DataError, match=r"column 1 holds values as large as 1e\+300, whose scale is beyond floa"
    ):
        Scaling(2, scale=scale).fit(values)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"column 'warm' holds values as large as 1e\+300"):
        Scaling(2, scale=scale).fit(values.flip(1), ["cold", "warm"])  # type: ignore[arg-type]
    Scaling(2, scale=scale, log=[False, True]).fit(values.flip(1).abs() + 1)  # type: ignore[arg-type]
    Scaling(2, scale=scale).fit(values / 1e270)  # type: ignore[arg-type]
