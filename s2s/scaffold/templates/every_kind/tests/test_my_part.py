"""The conformance kit for parts of kind PART_KIND: one case per check."""

from collections.abc import Callable

from s2s.testing import conformance

from my_part.PART_KIND import MyPart


@conformance("PART_KIND", MyPart)
def test_my_part(check: Callable[[], None]) -> None:
    check()
