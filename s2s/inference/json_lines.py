"""Lines given as JSON objects, with their own constraints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from s2s.errors import DataError
from s2s.inference.line import Line
from s2s.untrusted import parse_json

_FIELDS = {"source": "text", **{one.name: one.name for one in fields(Line) if one.name != "text"}}
"""Keys of an object, and the fields of `Line` that they set. The output of `--jsonl` can be read again."""
_SHOWN = 6


class JsonLines:
    """Converts JSON objects to lines, and counts irregularities.

    Attributes:
        before: number of lines that an earlier run has done.
        lines: how many there were.
        broken: how many were unusable; each became an empty line, so that no other line is shifted.
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
            raise DataError(f"it is not an object, but a {type(row).__name__}")
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
        """Notes about irregularities."""
        if self.broken:
            yield (
                f"{self.broken} of {self.lines} lines were not usable JSON objects; their outputs are empty. The "
                f"first: {self._first}"
            )
        if self._unread:
            yield f"ignored JSON keys: {', '.join(self._unread)}. Known keys: {', '.join(_FIELDS)}"
