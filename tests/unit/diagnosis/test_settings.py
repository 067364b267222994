"""Numbers that cannot be."""

import math

import pytest

from s2s.diagnosis.settings import QUICK, Settings
from s2s.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0; it must be 1 or more"),
        ({"lags": ()}, "lags is empty; give at least one"),
        ({"lags": (10, 3)}, "a lag is 3; it must be 4 or more"),
        ({"lags": (10, 20, 10)}, "lags has 10 twice; give each once"),
        ({"scales": (1.0, 0.0)}, "a scale is 0.0; it must be above 0"),
        ({"scales": (math.inf,)}, "a scale is inf; it must be above 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; it must be above 0"),
        ({"clip": -1.0}, r"clip is -1.0; it must be 0 \(no clipping\) or more"),
        ({"clip": math.nan}, "clip is nan; it must be 0"),
        ({"seed": 2**31}, "seed is 2147483648; it must be at least 0 and below 2147483648"),
    ],
)
def test_what_cannot_be(given: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**given)


def test_quick_is_quicker() -> None:
    usual = Settings()
    assert QUICK.steps * sum(QUICK.lags) < 0.02 * usual.steps * sum(usual.lags)
