"""Two line-aligned files, read block by block."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator

from s2s.counted import counted
from s2s.errors import DataError
from s2s.text.corpus import STANDARD_INPUT, LineReport, raw_lines, shown

LINES_AT_ONCE = 4096
"""Enough to sort by length, little enough to bound memory and to see progress."""
BYTES_AT_ONCE = 2**22
"""And no more of these, so that long lines do not fill the memory."""


class AlignedLines:
    """Sources and targets: line i of one belongs to line i of the other.

    Invalid UTF-8 is replaced by U+FFFD and counted, so that no line is lost.

    Args:
        source: a file, plain or gzip; "-" is standard input.
        target: another.

    Raises:
        DataError: both are standard input, a file cannot be read, or both are files with different numbers of lines.
    """

    def __init__(self, source: str, target: str) -> None:
        if source == target == STANDARD_INPUT:
            raise DataError(
                "standard input (-) can be read only once; give a file for the source or for the target"
            )
        self.paths = source, target
        self.invalid = 0
        self._report = LineReport()
        if STANDARD_INPUT not in self.paths:  # then it can be checked before the work
            counts = [sum(1 for _ in raw_lines(path, LineReport())) for path in self.paths]
            if counts[0] != counts[1]:
                raise DataError(
                    f"{source} has {counted(counts[0], 'line')}, {target} has {counts[1]}; line i of "
                    "one must belong to line i of the other"
                )

    def blocks(self) -> Iterator[tuple[list[str], list[str]]]:
        """Some lines at a time; lines read before an error are yielded before it is raised.

        Raises:
            DataError: one side has ended before the other.
        """
        sides = [raw_lines(path, self._report) for path in self.paths]
        block: tuple[list[str], list[str]] = [], []
        size = 0
        try:
            for lines in itertools.zip_longest(*sides):
                if None in lines:
                    longer, shorter = self.paths if lines[1] is None else self.paths[::-1]
                    raise DataError(
                        f"{shown(shorter)} has fewer lines than {shown(longer)}; line i of one must belong to line i "
                        "of the other"
                    )
                for side, line in zip(block, lines, strict=True):
                    side.append(self._decoded(line))
                    size += len(line)
                if len(block[0]) == LINES_AT_ONCE or size >= BYTES_AT_ONCE:
                    yield block
                    block, size = ([], []), 0
        except DataError:
            if block[0]:
                yield block
            raise
        if block[0]:
            yield block

    def notes(self) -> list[str]:
        """Notes about what was repaired while reading."""
        notes = list(self._report.notes)
        if self.invalid:
            were = "was" if self.invalid == 1 else "were"
            notes.append(
                f"{counted(self.invalid, 'line')} {were} not UTF-8; invalid bytes were replaced by U+FFFD"
            )
        return notes

    def tell(self) -> None:
        """Print these notes to standard error."""
        for note in self.notes():
            print(f"s2s: {note}", file=sys.stderr)

    def _decoded(self, line: bytes) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            self.invalid += 1
            return line.decode("utf-8", "replace")
