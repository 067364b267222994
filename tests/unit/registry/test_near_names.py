"""What is suggested instead of an unknown name."""

import pytest

from s2s.registry.near_names import nearest


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("--bean", ["--beam", "--beta"], "--beam"),
        ("--bean", ["--beta", "--beam"], "--beam"),
        ("lstm", ["GRU", "LSTM"], "LSTM"),
        ("layrs", ["layers", "lasers"], "layers"),
        ("attention", ["cell"], None),
    ],
)
def test_nearest(name: str, known: list[str], expected: str | None) -> None:
    assert nearest(name, known) == expected
