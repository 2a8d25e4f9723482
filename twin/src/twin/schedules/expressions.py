"""When a schedule is due: rates, cron expressions and single times. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twin.schedules import cron

_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


class InvalidExpression(ValueError):
    """AWS would refuse this schedule expression or time zone; the text says why."""


class Timetable(Protocol):
    """A parsed schedule expression."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The next due time after `moment`, in UTC; None when there is none."""
        ...


@dataclass(frozen=True)
class Rate:
    """Due again and again after the same time."""

    every: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        """One interval later."""
        return moment + self.every


@dataclass(frozen=True)
class Calendar:
    """Due whenever a cron expression says so in a time zone."""

    cron: cron.Cron
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime | None:
        """The next time that the expression names."""
        return self.cron.next_after(moment, self.zone)


@dataclass(frozen=True)
class Once:
    """Due once."""

    at: datetime

    def next_after(self, moment: datetime) -> datetime | None:
        """The time itself, unless it is over."""
        return self.at if self.at > moment else None


def parse(expression: str, time_zone: str = "UTC") -> Timetable:
    """Parse ``rate(…)``, ``cron(…)`` or ``at(…)``.

    Parameters
    ----------
    time_zone
        An IANA name; cron and at expressions are read in it, rates are not concerned.

    Raises
    ------
    InvalidExpression
    """
    kind, _, rest = expression.partition("(")
    inner = rest.removesuffix(")")
    if not rest.endswith(")") or kind not in ("rate", "cron", "at"):
        raise InvalidExpression(f"a schedule is rate(…), cron(…) or at(…), not {expression!r}")
    zone = _zone(time_zone)
    if kind == "rate":
        return _rate(inner)
    if kind == "at":
        return _once(inner, zone)
    try:
        return Calendar(cron.parse(inner), zone)
    except cron.InvalidCron as error:
        raise InvalidExpression(str(error)) from error


def parse_for_rule(expression: str) -> Timetable:
    """Parse what a scheduled rule takes: no single times, and of one minute "minute", of more "minutes".

    EventBridge Scheduler is not as strict: "Rate expressions" (EventBridge user guide) against "Rate-based schedules"
    (EventBridge Scheduler user guide).

    Raises
    ------
    InvalidExpression
    """
    timetable = parse(expression)
    if isinstance(timetable, Once):
        raise InvalidExpression(f"a rule's schedule is rate(…) or cron(…), not {expression!r}")
    if isinstance(timetable, Rate) and expression.startswith("rate(1 ") is expression.endswith("s)"):
        raise InvalidExpression(
            f"a rule's rate has a unit in the singular for 1, in the plural for more: {expression!r}"
        )
    return timetable


def _rate(inner: str) -> Rate:
    parts = re.fullmatch(r"(\d+) (minute|hour|day)(s?)", inner)
    if parts is None or int(parts[1]) == 0:
        raise InvalidExpression(f"a rate is a positive number and minutes, hours or days, not {inner!r}")
    return Rate(int(parts[1]) * _UNITS[parts[2]])


def _once(inner: str, zone: ZoneInfo) -> Once:
    try:
        local = datetime.strptime(inner, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007  the zone comes from beside it
    except ValueError as error:
        raise InvalidExpression(f"at takes yyyy-mm-ddThh:mm:ss, not {inner!r}") from error
    return Once(local.replace(tzinfo=zone).astimezone(UTC))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidExpression(f"{name!r} is no time zone") from error
