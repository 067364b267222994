"""The names of module, class and distribution, derived from the one that the user gives."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from s2s.errors import ConfigError

_NAME = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Names:
    """The names of one new part.

    Attributes:
        module: `my_cell`, what Python imports.
        part: `MyCell`, the class, and what configurations write.
        distribution: `my-cell`, what pip installs.
    """

    module: str
    part: str
    distribution: str

    @classmethod
    def of(cls, name: str) -> Names:
        """All names from one, `my_cell` or `MyCell`.

        Raises:
            ConfigError: it is not valid as the name of a module or class.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no name for a plugin; write letters, digits and single underscores, beginning with a "
                "letter: my_cell or MyCell"
            )
        words = _HUMP.sub("_", name).split("_")
        names = cls(
            module="_".join(words).lower(),
            part="".join(word[0].upper() + word[1:] for word in words),
            distribution="-".join(words).lower(),
        )
        for made in (names.module, names.part):
            if keyword.iskeyword(made):
                raise ConfigError(
                    f"{made!r} is a Python keyword; choose another name, for instance my_{name}"
                )
        return names
