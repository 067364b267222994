"""Every registered task."""

import pytest

from s2s.registry import catalogue
from s2s.testing import KITS, Check


def test_tasks_are_registered() -> None:
    assert "Seq2Seq" in catalogue().names("task")


@pytest.mark.parametrize("check", KITS["task"], ids=str)
@pytest.mark.parametrize("name", catalogue().names("task"))
def test_task(name: str, check: Check) -> None:
    check(catalogue().load("task", name))
