"""Sentences of a file, as scores are made of: whole lines, nothing repaired."""

from __future__ import annotations

import gzip
import sys
import zlib

from s2s.errors import DataError


def read_lines(path: str) -> list[str]:
    r"""The lines of a UTF-8 text; only \n ends a line, and a \r before it belongs to the line's end.

    Args:
        path: a file, gzipped if its name ends in .gz; "-" is the standard input.

    Raises:
        DataError: the file cannot be read or is not UTF-8.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        elif path.endswith(".gz"):
            with gzip.open(path) as stream:
                data = stream.read()
        else:
            with open(path, "rb") as stream:
                data = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot read {name}: {reason}") from error
    if not data:
        return []
    lines = []
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x} at {error.start}); "
                "convert the file, for instance with iconv"
            ) from error
    return lines
