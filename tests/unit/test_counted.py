"""Numbers and what they count."""

import pytest

from s2s.counted import counted


@pytest.mark.parametrize(
    ("number", "thing", "said"),
    [
        (0, "line", "0 lines"),
        (1, "line", "1 line"),
        (2, "line", "2 lines"),
        (1_000, "batch", "1,000 batches"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
    ],
)
def test_one_and_several(number, thing, said):
    assert counted(number, thing) == said
