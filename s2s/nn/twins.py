"""Fast ways and their slow twins: a class that changes the slow one has no longer the fast one of its base."""

from __future__ import annotations


def holds(part: object, fast: str, *slow: str) -> bool:
    """Whether a fast way still does what its slow twins do.

    A class writes both, and a test holds them against each other. A subclass that writes a slow one anew, as any
    author may without knowing of the fast one, has changed what the part means: the inherited fast way does not hold.

    Args:
        part: a cell, a decoder, a head.
        fast: name of the method or class attribute that saves work.
        slow: names of the methods that say what is meant.
    """
    bases = type(part).__mro__

    def depth(name: str) -> int:
        return next(place for place, base in enumerate(bases) if name in vars(base))

    return all(depth(fast) <= depth(name) for name in slow)
