"""Every promise that a part of the kind PART_KIND makes: one case each."""

from collections.abc import Callable

from s2s.testing import conformance

from my_part.PART_KIND import MyPart


@conformance("PART_KIND", MyPart)
def test_my_part(check: Callable[[], None]) -> None:
    check()
