"""Dates of a series: whether they rise, and which ones follow."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

_FORMATS = (
    "%Y",
    "%Y-%m",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
)
"""Of ISO 8601: the dates that can go on."""

_ISO = re.compile(
    r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r" ?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?)?)?)?",
    re.ASCII,
)
"""Year first, so that nobody needs to guess which number is the month; a zero before one digit may be missing."""

_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
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


class Moment(NamedTuple):
    """When something was.

    Attributes:
        zoned: whether the date told its zone; if so, `time` is that of UTC.
        time: to the second.
        fraction: of the second.
    """

    zoned: bool
    time: datetime
    fraction: float


def moment_of(date: str) -> Moment | None:
    """What a date of ISO 8601 says, with or without time, fraction and zone; None if it is none."""
    found = _ISO.fullmatch(date)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = found.groups()
    try:
        time = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)
        )
        if sign is not None:
            ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
            time = time - ahead if sign == "+" else time + ahead
    except (ValueError, OverflowError):
        return None
    zoned = utc is not None or sign is not None
    return Moment(zoned, time, float(f"0.{fraction}") if fraction is not None else 0.0)


class Order(NamedTuple):
    """Whether dates rise.

    Attributes:
        fall: the first date that is not after the one before it; None where none is known.
        unknown: the first one that cannot be compared with the one before it; None where all can be.
    """

    fall: int | None
    unknown: int | None


def order_of(dates: Sequence[str]) -> Order:
    """Whether dates rise, each after the one before it. Of dates of any format it is known that equal ones do not.

    Whole numbers are compared as such: years, `20240131`, counters.
    """
    if all(_WHOLE.fullmatch(date) for date in dates):
        numbers = [int(date) for date in dates]
        falls = (place for place in range(1, len(numbers)) if numbers[place] <= numbers[place - 1])
        return Order(next(falls, None), None)
    before: Moment | None = None
    unknown: int | None = None
    for place, date in enumerate(dates):
        moment = moment_of(date)
        if place > 0 and date == dates[place - 1]:
            return Order(place, unknown)
        if moment is not None and before is not None and before.zoned == moment.zoned:
            if moment <= before:
                return Order(place, unknown)
        elif unknown is None and (place > 0 or moment is None):
            unknown = place
        before = moment
    return Order(None, unknown)


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
