"""JSON of others is read, or is no JSON; nothing else."""

import pytest

from s2s.foreign_json import parsed


def test_what_it_says():
    assert parsed(b'{"a": [1, "\\u00e4"]}') == {"a": [1, "ä"]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 100_000, "9" * 5_000, b"\xff"])
def test_what_is_none(text):
    with pytest.raises(ValueError):
        parsed(text)
