"""A line to be translated, with constraints on its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s.errors import DataError


@dataclass(frozen=True)
class Line:
    r"""A line with constraints on its own output. A line without constraints can be a plain `str`.

    Args:
        text: one line.
        prefix: text that its output must begin with, instead of the `prefix` of the options; "" is none.
        phrases: words that its output must contain, in addition to those of the options.
        banned: words that its output must not contain, in addition to those of the options.

    Raises:
        DataError: something that is not a str, or an empty word, or a \n in the text.
    """

    text: str
    prefix: str | None = None
    phrases: Sequence[str] = ()
    banned: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise DataError(f"the text of a line is {self.text!r}; it must be a str")
        if "\n" in self.text:
            raise DataError(f"a line contains a \\n: {self.text!r}; split it there")
        if not isinstance(self.prefix, str | None):
            raise DataError(f"prefix is {self.prefix!r}; it must be a str")
        for name in ("phrases", "banned"):
            words = getattr(self, name)
            several = isinstance(words, Sequence) and not isinstance(words, str)
            if not several or not all(isinstance(word, str) and word.strip() for word in words):
                raise DataError(f"{name} is {words!r}; it must be a list of str, and none of them empty")
            object.__setattr__(self, name, tuple(words))

    @property
    def wishes(self) -> bool:
        """Whether there are any constraints."""
        return self.prefix is not None or bool(self.phrases) or bool(self.banned)
