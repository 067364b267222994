"""Reads the sentences of a file for scoring: whole lines, unmodified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from s2s.errors import DataError
from s2s.text.corpus import LINE_COST, LineReport, plain_suffix, raw_lines, shown
from s2s.untrusted import parse_json

MOST_TEXT = 2**28
"""Bytes of a file whose sentences are kept together, each line counted with `LINE_COST` more: 2 million of 64."""


def read_lines(path: str, report: LineReport | None = None) -> list[str]:
    r"""The lines of a UTF-8 text; only \n ends a line, and a \r before it belongs to the line's end.

    Args:
        path: a file, plain or gzip, with or without a byte order mark; "-" is the standard input.
        report: is told of a byte order mark that was taken off.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or holds more than `MOST_TEXT`.
    """
    lines = []
    size = 0
    for number, line in enumerate(raw_lines(path, report or LineReport()), start=1):
        size += len(line) + LINE_COST
        if size > MOST_TEXT:
            raise DataError(
                f"{shown(path)} holds more than {MOST_TEXT >> 20} MiB of text (each line counted with {LINE_COST} "
                f"bytes more) at line {number}; scores are made of all sentences together: split the file"
            )
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{shown(path)}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x} at {error.start}); "
                "convert the file, for instance with iconv"
            ) from error
    return lines


def read_texts(path: str, report: LineReport | None = None) -> list[list[str]]:
    """One or more texts for each place of a file: its lines, or what is under a key of its JSON objects.

    An empty line is a text, but not an object: blank lines between or after objects are skipped. So the output of
    `s2s summarize` for a FILE.jsonl is aligned with it; `s2s translate --input jsonl` writes an empty line for a blank
    one, so that its output has more texts than the file, and comparing the two is an error.

    Args:
        path: as for `read_lines`, where each line is a text; or FILE.jsonl#KEY, where a text may have several lines,
            and a list of texts is several of them.
        report: see `read_lines`.

    Returns:
        sets of texts, as references are given: one, or as many as the lists under KEY are long.

    Raises:
        DataError: the file cannot be read, is not UTF-8 or not JSON, or not all objects have as many texts under KEY;
            or it is FILE.jsonl without a KEY, and begins with an object.
    """
    file, mark, key = path.rpartition("#")
    if not mark or plain_suffix(file) != ".jsonl":
        lines = read_lines(path, report)
        if plain_suffix(path) == ".jsonl":
            _refuse_objects(path, lines)
        return [lines]
    rows: list[list[str]] = []
    first = 0
    for number, line in enumerate(read_lines(file, report), start=1):
        if not line.strip():
            continue
        first = first or number
        try:
            record = parse_json(line)
        except ValueError as error:
            raise DataError(f"{file}, line {number}: not JSON ({error})") from error
        found: Any = record.get(key) if isinstance(record, dict) else None
        texts: list[str] = found if isinstance(found, list) else [found]
        if not texts or not all(isinstance(text, str) for text in texts):
            if isinstance(record, dict) and key in record:
                raise DataError(
                    f"{file}, line {number}: what stands under {key!r} is no text, or list of texts: "
                    f"{json.dumps(found)[:40]}"
                )
            known = ", ".join(map(repr, record)) if isinstance(record, dict) else "no keys: it is no object"
            raise DataError(f"{file}, line {number}: no text under {key!r}; it has {known}")
        if rows and len(texts) != len(rows[0]):
            raise DataError(
                f"{file}, line {number}: {len(texts)} texts under {key!r}, and {len(rows[0])} in line {first}; all "
                "must have as many"
            )
        rows.append(texts)
    return [list(texts) for texts in zip(*rows, strict=True)] or [[]]


def _refuse_objects(path: str, lines: Sequence[str]) -> None:
    # An object is no text that anybody compares; a file of that name without objects is one of lines.
    number, first = next(
        ((number, line) for number, line in enumerate(lines, start=1) if line.strip()), (0, "")
    )
    try:
        record = parse_json(first)
    except ValueError:
        return
    if isinstance(record, dict):
        raise DataError(
            f"{path}, line {number}: a JSON object, with {', '.join(map(repr, record)) or 'no keys'}; say under which "
            f"key its text is: {path}#KEY"
        )
