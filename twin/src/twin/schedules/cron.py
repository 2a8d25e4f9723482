"""AWS's cron expressions: six fields, no seconds, and the wildcards `L`, `W` and `#`.

Pure functions. The grammar is that of "Schedule types in EventBridge Scheduler" (EventBridge Scheduler user guide), which
scheduled rules share.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199

_DayTest = Callable[[date], bool]


class InvalidCron(ValueError):
    """AWS would refuse this expression; the text says which field and why."""


@dataclass(frozen=True)
class Cron:
    """A parsed cron expression.

    Examples
    --------
    >>> cron = parse("15 10 ? * 6L 2022-2023")
    >>> cron.next_after(datetime(2022, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
    datetime.datetime(2022, 1, 28, 10, 15, tzinfo=datetime.timezone.utc)
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    on_day: _DayTest

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """The first time after `moment`, in UTC, at which the expression is due in `zone`; None when there is none.

        A time that summer time leaves out is skipped; one that comes twice counts once ("Daylight savings time").
        """
        for day in self._days_from(moment.astimezone(zone).date()):
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    due = _instant(datetime.combine(day, time(hour, minute)), zone)
                    if due is not None and due > moment:
                        return due
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in sorted(year for year in self.years if year >= first.year):
            for month in sorted(self.months):
                for number in range(1, calendar.monthrange(year, month)[1] + 1):
                    day = date(year, month, number)
                    if day >= first and self.on_day(day):
                        yield day


def parse(fields: str) -> Cron:
    """Parse what stands between the brackets of ``cron(…)``.

    Raises
    ------
    InvalidCron
        Naming the field.
    """
    parts = fields.split()
    if len(parts) != 6:
        raise InvalidCron(f"a cron expression has 6 fields, not {len(parts)}: {fields!r}")
    minutes, hours, day_of_month, months, day_of_week, years = parts
    if (day_of_month == "?") == (day_of_week == "?"):
        raise InvalidCron(f"exactly one of day-of-month and day-of-week is ?: {fields!r}")
    on_day = _day_of_month(day_of_month) if day_of_week == "?" else _day_of_week(day_of_week)
    return Cron(
        minutes=_numbers("minutes", minutes, 0, 59),
        hours=_numbers("hours", hours, 0, 23),
        months=_numbers("month", months, 1, 12, _MONTHS),
        years=_numbers("year", years, _FIRST_YEAR, _LAST_YEAR),
        on_day=on_day,
    )


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant at which clocks in `zone` show `local` first; None when they never do."""
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None, fold=0) == local else None


def _numbers(field: str, text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """The values of a field: lists of numbers or names, ranges, `*`, and steps.

    A range may go on at the field's beginning: ``20-2`` is one of the user guide's own examples of hours. Years do not.
    """
    values: set[int] = set()
    whole = high - low + 1
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        step = _number(field, step_text, 1, high) if slash else 1
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first_text, _, last_text = span.partition("-")
            first, last = _number(field, first_text, low, high, names), _number(field, last_text, low, high, names)
        else:
            first = _number(field, span, low, high, names)
            last = high if slash else first
        if first > last:
            if field == "year":
                raise InvalidCron(f"{field}: the range {span!r} is empty")
            last += whole
        values.update(low + (value - low) % whole for value in range(first, last + 1, step))
    return frozenset(values)


def _number(field: str, text: str, low: int, high: int, names: dict[str, int] | None = None) -> int:
    named = (names or {}).get(text.upper())
    if named is not None:
        return named
    if not re.fullmatch(r"\d+", text) or not low <= int(text) <= high:
        raise InvalidCron(f"{field}: {text!r} is not between {low} and {high}")
    return int(text)


def _day_of_month(text: str) -> _DayTest:
    if text == "L":
        return lambda day: day.day == _last_of_month(day)
    near = re.fullmatch(r"(\d+)W", text)
    if near:
        wanted = _number("day-of-month", near[1], 1, 31)
        return lambda day: day == _nearest_weekday(day, wanted)
    days = _numbers("day-of-month", text, 1, 31)
    return lambda day: day.day in days


def _day_of_week(text: str) -> _DayTest:
    if text == "L":
        return lambda day: _weekday(day) == 7
    last = re.fullmatch(r"(\w+)L", text)
    if last:
        final = _number("day-of-week", last[1], 1, 7, _DAYS)
        return lambda day: _weekday(day) == final and day.day > _last_of_month(day) - 7
    nth = re.fullmatch(r"(\w+)#(\d)", text)
    if nth:
        wanted, which = _number("day-of-week", nth[1], 1, 7, _DAYS), _number("day-of-week", nth[2], 1, 5)
        return lambda day: _weekday(day) == wanted and (day.day - 1) // 7 + 1 == which
    days = _numbers("day-of-week", text, 1, 7, _DAYS)
    return lambda day: _weekday(day) in days


def _weekday(day: date) -> int:
    """1 for Sunday to 7 for Saturday."""
    return day.isoweekday() % 7 + 1


def _last_of_month(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> date | None:
    """The weekday nearest to the day `wanted` of `day`'s month, within the month."""
    if wanted > _last_of_month(day):
        return None
    ideal = day.replace(day=wanted)
    if ideal.isoweekday() == 6:
        nearest = ideal - timedelta(days=1) if wanted > 1 else ideal + timedelta(days=2)
    elif ideal.isoweekday() == 7:
        nearest = ideal + timedelta(days=1) if wanted < _last_of_month(day) else ideal - timedelta(days=2)
    else:
        nearest = ideal
    return nearest
