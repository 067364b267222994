"""Every registered reader of text pairs."""

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check
from s2s.testing.kit import expected_failures

READERS = {name: catalogue().load("corpus", name) for name in catalogue().names("corpus")}

CASES = [
    pytest.param(
        name,
        check,
        id=f"{name}-{check}",
        marks=[pytest.mark.xfail(reason=declared[check.name], strict=True)] if check.name in declared else [],
    )
    for name, reader in READERS.items()
    for declared in [expected_failures(KITS["corpus"], reader)]
    for check in KITS["corpus"]
]


def test_readers_are_registered() -> None:
    assert {"Columns", "CoNLLU", "JSONL", "Lines", "Parallel", "TSV"} <= set(READERS)


@pytest.mark.parametrize(("name", "check"), CASES)
def test_reader(name: str, check: Check) -> None:
    check(READERS[name])
