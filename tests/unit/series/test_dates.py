"""Dates that rise, and those that follow; by hand."""

import pytest

from s2s.series.dates import following, order_of


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["1958", "1959", "1960"], ["1961", "1962"]),
        (["1960-10", "1960-11", "1960-12"], ["1961-01", "1961-02"]),
        (["2020-03", "2020-06", "2020-09"], ["2020-12", "2021-03"]),  # quarters
        (["2024-02-26", "2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01"]),
        (["2023-12-25", "2024-01-01"], ["2024-01-08", "2024-01-15"]),  # weeks
        (["2023-11-30", "2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"]),  # ends of months
        (["2023-11-15", "2023-12-15", "2024-01-15"], ["2024-02-15", "2024-03-15"]),
        (["2024-12-31 22:00", "2024-12-31 23:00"], ["2025-01-01 00:00", "2025-01-01 01:00"]),
        (["2024-12-31T23:59:30", "2024-12-31T23:59:45"], ["2025-01-01T00:00:00", "2025-01-01T00:00:15"]),
    ],
)
def test_dates_go_on(dates: list[str], expected: list[str]) -> None:
    assert following(dates, 2) == expected


@pytest.mark.parametrize(
    "dates",
    [
        [],
        ["1960-12"],  # a step cannot be told
        ["Jan 1960", "Feb 1960"],  # no ISO 8601
        ["1960-10", "1960-11", "1961-01"],  # not equally far apart
        ["1960-10", "November", "1960-12"],
        ["2024-03-04", "2024-03-05", "2024-03-08"],
    ],
)
def test_dates_that_do_not_tell(dates: list[str]) -> None:
    assert following(dates, 2) is None


@pytest.mark.parametrize(
    ("dates", "steps"),
    [
        (["9997", "9998"], 2),
        (["9999-10", "9999-11"], 2),
        (["9999-12-29", "9999-12-30"], 2),
        (["9999-12-31 22:00", "9999-12-31 23:00"], 1),
        (["1960-01-01", "1960-01-03"], 3_000_000_000),  # more days than an integer of the clock holds
    ],
)
def test_no_date_comes_after_the_year_9999(dates: list[str], steps: int) -> None:
    assert following(dates, steps) is None


def test_only_the_last_hundred_tell() -> None:
    assert following(["1000", *map(str, range(1900, 2001))], 1) == ["2001"]


@pytest.mark.parametrize(
    ("dates", "fall"),
    [
        (["1960-10", "1960-11", "1960-11", "1960-09"], 2),
        (["1960-10", "1960-11"], None),
        (["2024-01-28T23:00:00Z", "2024-01-28T22:00:00Z"], 1),
        (["2024-01-28T22:00:00Z", "2024-01-28T23:00:00Z"], None),
        (["2024-01-28 22:00:00+00:00", "2024-01-28 21:00:00+00:00"], 1),
        (["2024-10-27T02:30:00+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T00:45:00-0015"], 2),
        (["2024-01-28T22:00:00.25", "2024-01-28T22:00:00.3", "2024-01-28T22:00:00.30"], 2),
        (["2024-01-28T22:00:00.000000001Z", "2024-01-28T22:00:00.000000002Z"], None),
        (["2024-12-9", "2024-12-10", "2024-12-1"], 2),
        (["2024-01-01", "2024-01-01 06:00", "2024-01-01 06:00:00"], 2),
        (["8", "9", "10", "11"], None),
        (["9", "10", "10"], 2),
        (["20240131", "20240130"], 1),
    ],
)
def test_the_first_date_that_falls(dates: list[str], fall: int | None) -> None:
    assert order_of(dates) == (fall, None)


@pytest.mark.parametrize(
    ("dates", "fall", "unknown"),
    [
        (["Oct", "Nov", "Dec", "Apr"], None, 0),  # text says nothing about time
        (["03.02.2024", "02.02.2024"], None, 0),  # or March, for all that is known
        (["01.01.2024", "02.01.2024", "02.01.2024"], 2, 0),
        (["2024-01-01", "2024-02-30"], None, 1),
        (["2024-01-01T06:00", "2024-01-01T05:00Z"], None, 1),  # nobody knows where the first one was
        (["0001-01-01T00:00+02:00", "0001-01-02"], None, 0),
    ],
)
def test_dates_that_nobody_can_compare(dates: list[str], fall: int | None, unknown: int) -> None:
    assert order_of(dates) == (fall, unknown)
