"""A line to be translated, with what its own output is to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2s.errors import DataError


@dataclass(frozen=True)
class Line:
    r"""A line, and wishes for its output alone. A `str` without wishes of its own needs none of this.

    Args:
        text: one line.
        prefix: text that its output begins with, instead of what the options say for all; "" is none.
        phrases: words that its output holds, beside those that the options give for all.
        banned: words that its output does not hold, beside those that the options give for all.

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
            raise DataError(f"a line has a \\n within: {self.text!r}; split it there")
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
        """Whether there are any."""
        return self.prefix is not None or bool(self.phrases) or bool(self.banned)
