"""Lines that come as JSON objects, with wishes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from s2s.errors import DataError
from s2s.inference.line import Line
from s2s.untrusted import parse_json

_FIELDS = {"source": "text", **{one.name: one.name for one in fields(Line) if one.name != "text"}}
"""Of an object, and what they are of a `Line`. What `--jsonl` writes can be read again."""
_SHOWN = 6


class JsonLines:
    """Objects to lines, whatever they are, and what was strange.

    Attributes:
        before: lines of an earlier run, in front of these.
        lines: how many there were.
        broken: how many could not be used; each became an empty line, so that no other is moved.
    """

    def __init__(self) -> None:
        self.before = self.lines = self.broken = 0
        self._first = ""  # what is wrong with the first of the broken
        self._unread: dict[str, None] = {}

    def __call__(self, text: str) -> Line:
        """The line of an object; an empty text is an empty line."""
        self.lines += 1
        if not text.strip():
            return Line("")
        try:
            return self._line(text)
        except (ValueError, DataError) as error:
            self.broken += 1
            self._first = self._first or f"line {self.before + self.lines}: {error}"
            return Line("")

    def _line(self, text: str) -> Line:
        row = parse_json(text)
        if not isinstance(row, dict):
            raise DataError(f"it is no object, but a {type(row).__name__}")
        if not isinstance(source := row.get("source"), str):
            raise DataError("it has no text 'source'")
        for name in row:
            if name not in _FIELDS and len(self._unread) < _SHOWN:
                self._unread[name] = None
        given = {name: row[name] for name in _FIELDS if row.get(name) is not None}
        # A line stays a line, whatever JSON's escapes say.
        given["source"] = source.replace("\n", " ")
        return Line(**{_FIELDS[name]: value for name, value in given.items()})

    def notes(self) -> Iterator[str]:
        """For a person."""
        if self.broken:
            yield (
                f"{self.broken} of {self.lines} lines were no JSON object that can be used; their outputs are empty. "
                f"The first: {self._first}"
            )
        if self._unread:
            yield f"not read of the JSON objects: {', '.join(self._unread)}. What is read: {', '.join(_FIELDS)}"
