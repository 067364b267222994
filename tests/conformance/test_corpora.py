"""Every registered reader of text pairs."""

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check


def test_readers_are_registered() -> None:
    assert {"Columns", "CoNLLU", "JSONL", "Lines", "Parallel", "TSV"} <= set(catalogue().names("corpus"))


@pytest.mark.parametrize("check", KITS["corpus"], ids=str)
@pytest.mark.parametrize("name", catalogue().names("corpus"))
def test_reader(name: str, check: Check) -> None:
    check(catalogue().load("corpus", name))
