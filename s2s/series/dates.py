"""Dates of a series: whether they rise, and which ones follow."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta

_FORMATS = (
    "%Y",
    "%Y-%m",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
)
"""ISO 8601: text of one format sorts as time does."""

_JUDGED = 100
"""So many last dates tell the step of a series."""


def format_of(date: str) -> str | None:
    """The format of an ISO 8601 date as `strptime` takes it; None if it is of none."""
    for known in _FORMATS:
        try:
            if datetime.strptime(date, known).strftime(known) == date:
                return known
        except ValueError:
            continue
    return None


def first_fall(dates: Sequence[str]) -> int | None:
    """The first date that is not after the one before it; None where there is none, or where dates are not ISO 8601."""
    if not dates or format_of(dates[0]) is None:
        return None
    pairs = enumerate(zip(dates, dates[1:], strict=False), start=1)
    return next(
        (place for place, (one, next_one) in pairs if len(one) == len(next_one) and next_one <= one), None
    )


def following(dates: Sequence[str], steps: int) -> list[str] | None:
    """The dates that follow, where the last ones are ISO 8601 and equally far apart, in months or in time.

    Args:
        dates: of a series, in order.
        steps: how many are wanted.

    Returns:
        Dates of the same format; None where none can be told, or where they go beyond the year 9999.
    """
    last = list(dates[-_JUDGED:])
    known = format_of(last[0]) if len(last) > 1 else None
    if known is None:
        return None
    try:
        times = [datetime.strptime(date, known) for date in last]
    except ValueError:
        return None
    try:
        found = _by_months(times, steps) or _by_time(times, steps)
    except (ValueError, OverflowError):  # after the year 9999
        return None
    return None if found is None else [time.strftime(known) for time in found]


def _by_months(times: Sequence[datetime], steps: int) -> list[datetime] | None:
    months = [12 * time.year + time.month - 1 for time in times]
    apart = {later - earlier for earlier, later in zip(months, months[1:], strict=False)}
    ends = all(time.day == calendar.monthrange(time.year, time.month)[1] for time in times)
    same = len({(time.day, time.time()) for time in times}) == 1 and times[0].day <= 28
    if len(apart) != 1 or min(apart) < 1 or not (ends or same):
        return None
    found = []
    for step in range(1, steps + 1):
        year, month = divmod(months[-1] + step * min(apart), 12)
        day = calendar.monthrange(year, month + 1)[1] if ends else times[-1].day
        found.append(times[-1].replace(year=year, month=month + 1, day=day))
    return found


def _by_time(times: Sequence[datetime], steps: int) -> list[datetime] | None:
    apart = {later - earlier for earlier, later in zip(times, times[1:], strict=False)}
    if len(apart) != 1 or min(apart) <= timedelta(0):
        return None
    return [times[-1] + step * min(apart) for step in range(1, steps + 1)]
