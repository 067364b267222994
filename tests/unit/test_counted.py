"""Numbers and what they count."""

import pytest

from s2s.counted import counted


@pytest.mark.parametrize(
    ("number", "names", "said"),
    [
        (0, ["line"], "0 lines"),
        (1, ["line"], "1 line"),
        (2, ["epoch"], "2 epochs"),
        (1_000, ["batch", "batches"], "1,000 batches"),
        (1, ["batch", "batches"], "1 batch"),
    ],
)
def test_one_and_several(number, names, said):
    assert counted(number, *names) == said
