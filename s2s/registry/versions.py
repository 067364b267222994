"""Versions of parts, which mark changes to the meaning of their options and weights.

A part's class may state a version, an integer from 1; the default is 1. It is increased when options or weights change,
and the class then defines how to convert older ones (`s2s.inference.upgrade`):

    class MyCell(RecurrentCell):
        version = 2

        @classmethod
        def upgrade(cls, options, weights, version):
            if version < 2:
                weights["recurrent_weight"] = weights.pop("u")
            return options, weights

Bundles and checkpoints record the versions of the parts that made them.
"""

from collections.abc import Iterable

from s2s.errors import PluginError
from s2s.registry import catalogue


def version_of(part: type) -> int:
    """The version that a class states; 1 if it states none.

    Raises:
        PluginError: it is not an integer from 1.
    """
    version = getattr(part, "version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise PluginError(
            f"{part.__module__}.{part.__qualname__}.version is {version!r}; it must be a whole number from 1, "
            "to be raised when the part's options or weights change"
        )
    return version


def versions_of(parts: Iterable[type]) -> dict[str, int]:
    """The versions of those classes that are in the catalogue: "cell LSTM" -> 1."""
    found = {part: catalogue().find(part) for part in dict.fromkeys(parts)}
    return {
        f"{entry.kind} {entry.name}": version_of(part) for part, entry in found.items() if entry is not None
    }
