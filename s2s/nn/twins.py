"""Fast implementations and their slow references: overriding a reference disables the inherited fast one."""

from __future__ import annotations


def holds(part: object, fast: str, *slow: str) -> bool:
    """Whether a fast implementation is still valid for its slow reference methods.

    A class that defines both has a test that compares them. A subclass may override a reference method without knowing
    of the fast one; the inherited fast implementation is then no longer valid.

    Args:
        part: a cell, a decoder, a head.
        fast: name of the method or class attribute that saves work.
        slow: names of the reference methods that define the result.
    """
    bases = type(part).__mro__

    def depth(name: str) -> int:
        return next(place for place, base in enumerate(bases) if name in vars(base))

    return all(depth(fast) <= depth(name) for name in slow)
