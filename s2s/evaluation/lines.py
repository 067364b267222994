"""Sentences of a file, as scores are made of: whole lines, nothing repaired."""

from __future__ import annotations

from s2s.errors import DataError
from s2s.text.corpus import LineReport, raw_lines, shown


def read_lines(path: str, report: LineReport | None = None) -> list[str]:
    r"""The lines of a UTF-8 text; only \n ends a line, and a \r before it belongs to the line's end.

    Args:
        path: a file, plain or gzip, with or without a byte order mark; "-" is the standard input.
        report: is told of a byte order mark that was taken off.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    lines = []
    for number, line in enumerate(raw_lines(path, report or LineReport()), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{shown(path)}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x} at {error.start}); "
                "convert the file, for instance with iconv"
            ) from error
    return lines
