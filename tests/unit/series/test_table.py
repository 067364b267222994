"""CSV files to tables, and what is said of those that cannot be."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from s2s.errors import DataError
from s2s.series import as_csv, read_table

PLAIN = "day,warm,cold\n2024-01-01,1.5,-2\n2024-01-02,2e3,0\n"


def written(folder: Path, text: str | bytes, name: str = "series.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN + "\n\n",  # empty lines at the end are no rows
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.replace("warm", '" warm "').replace("1.5", '" 1.5"'),
        gzip.compress(PLAIN.encode(), mtime=0),
    ],
)
def test_a_table(tmp_path: Path, content: str | bytes) -> None:
    table = read_table(written(tmp_path, content), date="day")
    assert table.names == ["warm", "cold"]
    assert table.values.tolist() == [[1.5, -2.0], [2000.0, 0.0]]
    assert (table.date, table.dates, table.lines) == ("day", ("2024-01-01", "2024-01-02"), [2, 3])


def test_columns_come_in_the_order_in_which_they_are_wanted(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, PLAIN), columns=["cold", "warm"])
    assert table.values[0].tolist() == [-2.0, 1.5]
    assert table.labels(0, 2) == ("step", ["1", "2"])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PLAIN.encode())))
    assert len(read_table("-", date="day")) == 2


def test_dates_may_be_missing_where_nobody_named_them_here(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "x\n1\n"), date="day", date_optional=True).date is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            PLAIN.replace("1.5", ""),
            "{path}:2: column 'warm' has no value (''); fill it in, because a forecast needs one",
        ),
        (PLAIN.replace("2e3", "NA"), "{path}:3: column 'warm' has no value ('NA')"),
        (
            PLAIN.replace("2e3", "1,5"),
            "{path}:3: 4 cells, but the header names 3 columns",
        ),
        (
            PLAIN.replace("2e3", "two"),
            "{path}:3: column 'warm' holds 'two', which is no number. Write 1234.5; name",
        ),
        (PLAIN.replace("2e3", "inf"), "{path}:3: column 'warm' holds 'inf', which is no number"),
        (PLAIN.replace("2e3", "1_0"), "{path}:3: column 'warm' holds '1_0', which is no number"),
        (PLAIN.replace("warm", "cold"), "{path}:1: two columns are named 'cold'"),
        (
            PLAIN.replace("warm", ""),
            "{path}:1: expected a header with a name for each column, got 'day,,cold'",
        ),
        ("", "{path}:1: expected a header"),
        (
            "1,5\n2,6\n",
            "{path}:1: expected a header with a name for each column, got only numbers, '1,5'; put a line",
        ),
        ("day,warm\n", "{path}: no row below the header"),
        (
            PLAIN.replace("\n2024-01-02", "\n\n2024-01-02"),
            "{path}:3: an empty line; each line is a time step",
        ),
        (
            PLAIN.replace("01-02", "01-01"),
            "{path}:3: 2024-01-01 comes after 2024-01-01; sort the rows by time",
        ),
        (
            PLAIN.replace("day", "Day"),
            "{path}:1: unknown column 'day'; did you mean 'Day'? Known: Day, cold, warm.",
        ),
        (PLAIN.encode().replace(b"1.5", b"\xff"), "{path}:2: not UTF-8; convert the file to it"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "cannot read {path}: "),
        (gzip.compress(PLAIN.encode(), mtime=0)[:10] + b"\xff" * 20, "cannot read {path}: Error -3"),
        (PLAIN.replace("1.5", "x" * 200_000), "{path}:2: not CSV (field larger than field limit"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path: Path, text: str | bytes, expected: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError) as error:
        read_table(path, date="day")
    assert expected.format(path=path) in str(error.value)


def test_an_unknown_column_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown column 'warn'; did you mean 'warm'"):
        read_table(written(tmp_path, PLAIN), columns=["warn"])
    with pytest.raises(DataError, match=r"cannot read .*none.csv: No such file"):
        read_table(tmp_path / "none.csv")


def test_a_series_without_a_column_of_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "date\n2010\n2011\n")
    with pytest.raises(
        DataError, match=r"series.csv:1: no column of numbers beside the date 'date'; a series"
    ):
        read_table(path, date="date")
    with pytest.raises(DataError, match=r"series.csv:1: no column of numbers; a series has at least one"):
        read_table(path, columns=[])


def test_dates_that_are_not_understood_are_told_of(tmp_path: Path) -> None:
    path = written(tmp_path, "date,v\n31.01.2020,0\n30.01.2020,1\n29.01.2020,2\n")
    with pytest.warns(
        UserWarning, match=r"csv:2: the order of the dates was not checked, because '31.01.2"
    ) as told:
        assert len(read_table(path, date="date")) == 3
    assert len(told) == 1
    with pytest.raises(DataError, match=r"csv:3: 01.01.2024 comes after 01.01.2024; sort the rows by time"):
        read_table(written(tmp_path, "date,v\n01.01.2024,0\n01.01.2024,1\n"), date="date")
    with pytest.raises(
        DataError, match=r"csv:3: 2024-01-28T11:00:00Z comes after 2024-01-28T23:00:00Z; sort"
    ):
        read_table(written(tmp_path, "date,v\n2024-01-28T23:00:00Z,0\n2024-01-28T11:00:00Z,1\n"), date="date")


def test_no_logarithm_of_what_is_not_above_zero(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    table = read_table(path, date="day")
    table.check_positive(["warm"])
    with pytest.raises(DataError) as error:
        table.check_positive(["cold"])
    assert f"{path}:2: column 'cold' holds -2, which has no logarithm; leave it out of data.log" in str(
        error.value
    )


def test_as_csv() -> None:
    values = np.array([[123456.789, 0.1234567891], [1e10, -5.0]])
    assert (
        as_csv("day", ["1", "2"], ["a", "b,c"], values)
        == 'day,a,"b,c"\n1,123456.8,0.1234568\n2,10000000000,-5\n'
    )


def test_files_of_any_size_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2s.series.table.MOST_ROWS", 2)
    assert len(read_table(written(tmp_path, PLAIN), date="day")) == 2
    with pytest.raises(DataError, match=r"csv:4: more than 2 rows; leave out the oldest"):
        read_table(written(tmp_path, PLAIN + "2024-01-03,1,1\n"), date="day")
    monkeypatch.setattr("s2s.series.table.MOST_BYTES", 2**20)
    for content in (bytes(2**20 + 1), gzip.compress(bytes(2**25), 1)):
        with pytest.raises(DataError, match=r"series\.csv holds more than 1 MiB; leave out columns"):
            read_table(written(tmp_path, content))
