"""Series from CSV: a header of names, a row for each time step, oldest first."""

from __future__ import annotations

import csv
import gzip
import io
import math
import sys
import warnings
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from s2s.errors import DataError
from s2s.registry.near_names import unknown
from s2s.series.dates import order_of

STANDARD_INPUT = "-"
_DELIMITERS = ",;\t"
_MISSING = {"", "-", "?", ".", "na", "n/a", "nan", "null", "none"}
_GZIP_MAGIC = b"\x1f\x8b"

MOST_BYTES = 2**28
"""Of a file, unpacked: three times a year of 800 sensors, hour by hour."""
MOST_ROWS = 10_000_000
"""Of a table: four months of seconds."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """One or more series over the same time steps.

    Attributes:
        path: where it was read.
        names: of the columns.
        values: [time, columns].
        lines: of the file, from 1, one for each time step; empty where there is no file.
        date: name of the column of dates; None without one.
        dates: as they stand there, one for each time step; empty without such a column.
    """

    path: str
    names: list[str]
    values: Values
    lines: list[int]
    date: str | None = None
    dates: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def place(self, time: int) -> str:
        """Where a time step stands: "file.csv:7"."""
        return f"{self.path}:{self.lines[time]}" if self.lines else f"{self.path}, step {time + 1}"

    def labels(self, start: int, stop: int) -> tuple[str, list[str]]:
        """What time steps are called: the name of the dates and the dates, or "step" and numbers from 1."""
        if self.date is not None:
            return self.date, list(self.dates[start:stop])
        return "step", [str(time + 1) for time in range(start, stop)]

    def chosen(self, names: Sequence[str]) -> Table:
        """The same series with some of its columns, in the given order.

        Raises:
            DataError: there is no such column.
        """
        for name in names:
            if name not in self.names:
                raise DataError(f"{self.path}: {unknown('column', name, self.names)}")
        places = [self.names.index(name) for name in names]
        return replace(self, names=list(names), values=self.values[:, places])

    def check_positive(self, names: Sequence[str]) -> None:
        """Check that columns have a logarithm.

        Raises:
            DataError: there is a value of 0 or less.
        """
        for name in names:
            column = self.values[:, self.names.index(name)]
            if not (column > 0).all():
                time = int(np.argmax(column <= 0))
                raise DataError(
                    f"{self.place(time)}: column {name!r} holds {column[time]:g}, which has no logarithm; leave it out "
                    "of data.log"
                )


def read_table(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    date: str | None = None,
    date_optional: bool = False,
) -> Table:
    """Read a CSV file, plain or gzip, with commas, semicolons or tabs between its cells.

    Args:
        path: of the file; `-` is standard input.
        columns: the wanted ones, in the wanted order; None: all but the dates.
        date: name of the column of dates, which are kept as they stand; None: there is none. Dates that are not of
            ISO 8601 are not understood: a warning tells that their order was not checked.
        date_optional: a file without such a column is read without dates.

    Raises:
        DataError: the file cannot be read, a column is unknown, there is none, a value is missing or no number, or
            dates do not rise.
    """
    path = str(path)
    content = _content(path)
    reader = _rows(path, content)
    header = [name.strip() for name in next(reader, (0, []))[1]]
    if not header or not all(header):
        raise DataError(f"{path}:1: expected a header with a name for each column, got {','.join(header)!r}")
    if all(map(_is_number, header)):
        raise DataError(
            f"{path}:1: expected a header with a name for each column, got only numbers, {','.join(header)!r:.60}; put "
            "a line with names before them"
        )
    if twice := [name for name in header if header.count(name) > 1]:
        raise DataError(f"{path}:1: two columns are named {twice[0]!r}; give each a name of its own")
    if date is not None and date not in header:
        if not date_optional:
            raise DataError(f"{path}:1: {unknown('column', date, header)}")
        date = None
    wanted = [name for name in header if name != date] if columns is None else list(columns)
    for name in wanted:
        if name not in header:
            raise DataError(f"{path}:1: {unknown('column', name, header)}")
    if not wanted:
        raise DataError(
            f"{path}:1: no column of numbers{f' beside the date {date!r}' if date is not None else ''}; a series has "
            "at least one, and data.columns names those that are read"
        )
    places = [header.index(name) for name in wanted]
    dates: list[str] = []
    values = array("d")
    lines: list[int] = []
    empty = 0
    for line, cells in reader:
        if not cells:  # an empty line; at the end it is no row
            empty = empty or line
            continue
        if empty:
            raise DataError(
                f"{path}:{empty}: an empty line; each line is a time step, so none may be missing"
            )
        if len(cells) != len(header):
            raise DataError(f"{path}:{line}: {len(cells)} cells, but the header names {len(header)} columns")
        if len(lines) == MOST_ROWS:
            raise DataError(
                f"{path}:{line}: more than {MOST_ROWS:,} rows; leave out the oldest, or thin them out"
            )
        values.extend(
            _number(cells[place], f"{path}:{line}", name) for place, name in zip(places, wanted, strict=True)
        )
        lines.append(line)
        if date is not None:
            dates.append(cells[header.index(date)].strip())
    if not lines:
        raise DataError(f"{path}: no row below the header; a series needs at least one")
    order = order_of(dates)
    if (fall := order.fall) is not None:
        one, before = (dates[place] or "no date" for place in (fall, fall - 1))
        raise DataError(
            f"{path}:{lines[fall]}: {one} comes after {before}; sort the rows by time, oldest first, each time once"
        )
    if (place := order.unknown) is not None:
        warnings.warn(
            f"{path}:{lines[place]}: the order of the dates was not checked, because {dates[place]!r} cannot be "
            "compared; rows must be sorted by time, oldest first. Dates such as 2024-05-31 or 2024-05-31 06:00 are "
            "checked",
            stacklevel=1,
        )
    table = np.array(values, np.float64).reshape(len(lines), len(wanted))
    return Table(path, wanted, table, lines, date, tuple(dates))


def as_csv(label: str, labels: Sequence[str], names: Sequence[str], values: Values) -> str:
    """A table as CSV, of numbers with seven digits, which is what float32 has.

    Args:
        label: name of the first column.
        labels: what stands in it, one for each time step.
        names: of the other columns.
        values: [time, columns].
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([label, *names])
    for one, row in zip(labels, values, strict=True):
        writer.writerow([one, *map(shown, row)])
    return text.getvalue()


def shown(number: float) -> str:
    """A number as text with seven digits, never with an exponent."""
    return np.format_float_positional(number, precision=7, unique=False, fractional=False, trim="-")


def _content(path: str) -> bytes:
    """What a file holds, unpacked."""
    if path == STANDARD_INPUT and sys.stdin is None:
        raise DataError("standard input is closed; give a file")
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if content.startswith(_GZIP_MAGIC) and len(content) <= MOST_BYTES:
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > MOST_BYTES:
        raise DataError(
            f"{path} holds more than {MOST_BYTES >> 20} MiB; leave out columns that are not wanted, or the oldest rows"
        )
    return content


def _rows(path: str, content: bytes) -> Iterator[tuple[int, list[str]]]:
    """The line at which each row ends, and its cells."""
    header, _, _ = content.partition(b"\n")
    delimiter = max(_DELIMITERS, key=lambda one: header.count(one.encode()))
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except UnicodeDecodeError:
        yield from _no_utf8(path, content)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _no_utf8(path: str, content: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8; convert the file to it") from error
    return iter(())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, place: str, name: str) -> float:
    text = cell.strip()
    if text.casefold() in _MISSING:
        raise DataError(
            f"{place}: column {name!r} has no value ({text!r}); fill it in, because a forecast needs one at each step"
        )
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:
        raise DataError(
            f"{place}: column {name!r} holds {text!r}, which is no number. Write 1234.5; name the columns that are "
            "series in data.columns, and one of dates in data.date"
        )
    return number
