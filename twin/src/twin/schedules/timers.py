"""Which schedules there are, when each is due next, and what its target is given."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.events.models import events_backends
from moto.scheduler.models import scheduler_backends

from twin import events
from twin.credentials import account, region
from twin.events.delivery import Delivery, Origin
from twin.schedules import expressions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from moto.events.models import Rule
    from moto.scheduler.models import Schedule

Json = Any


@dataclass(frozen=True)
class Timer:
    """A schedule or a scheduled rule as it is now.

    Parameters
    ----------
    key
        Tells it from every other.
    version
        Changes when the schedule is changed, so that its due time is worked out anew.
    at_once
        Whether the first time is now: a rate of EventBridge Scheduler is due at once, one of a rule after its first
        interval.
    fire
        Gives the target its input for a due time.
    """

    key: str
    name: str
    version: tuple[Json, ...]
    expression: str
    time_zone: str
    at_once: bool
    starts: datetime | None
    ends: datetime | None
    fire: Callable[[datetime], None]


def every_timer() -> Iterator[Timer]:
    """All schedules and scheduled rules, those that are disabled too."""
    for rule in list(events_backends[account()][region()].event_buses["default"].rules.values()):
        if rule.scheduled_expression:
            yield _read_rule(rule)
    for group in list(scheduler_backends[account()][region()].schedule_groups.values()):
        for schedule in list(group.schedules.values()):
            yield _read_schedule(schedule)


def is_enabled(timer: Timer) -> bool:
    """Whether the timer's state lets it fire by itself."""
    return bool(timer.version[0] == "ENABLED")


def _read_rule(rule: Rule) -> Timer:
    return Timer(
        key=rule.arn,
        name=rule.name,
        version=(rule.state, rule.scheduled_expression),
        expression=rule.scheduled_expression or "",
        time_zone="UTC",
        at_once=False,
        starts=None,
        ends=None,
        fire=lambda due: events.to_targets(rule, _event("aws.events", rule.arn, due, detail={})),
    )


def _read_schedule(schedule: Schedule) -> Timer:
    return Timer(
        key=schedule.arn,
        name=schedule.name,
        version=(
            schedule.state,
            schedule.schedule_expression,
            schedule.schedule_expression_timezone,
            schedule.last_modified_date,
        ),
        expression=schedule.schedule_expression,
        time_zone=schedule.schedule_expression_timezone or "UTC",
        at_once=schedule.schedule_expression.startswith("rate"),
        starts=_moment(schedule.start_date),
        ends=_moment(schedule.end_date),
        fire=lambda due: _fire_schedule(schedule, due),
    )


def _fire_schedule(schedule: Schedule, due: datetime) -> None:
    execution_id = uuid.uuid4().hex[:16]
    payload = scheduled_input(schedule.target, schedule.arn, due, execution_id)
    attributes = {
        "SCHEDULE_ARN": schedule.arn,
        "SCHEDULED_TIME": _iso(due),
        "EXECUTION_ID": execution_id,
        "IS_PAYLOAD_TRUNCATED": "false",
    }
    origin = Origin("scheduler.amazonaws.com", schedule.arn, attributes)
    events.deliver(Delivery(schedule.target, payload, payload, origin))


def scheduled_input(target: Mapping[str, Json], arn: str, due: datetime, execution_id: str) -> str:
    """What a schedule's target is given: its Input with the context attributes filled in, or Scheduler's own event.

    The attributes are those of "Adding context attributes" (EventBridge Scheduler user guide).
    """
    given = target.get("Input")
    if not given:
        return json.dumps(_event("aws.scheduler", arn, due, detail="{}"))
    text = str(given)
    for name, value in (
        ("schedule-arn", arn),
        ("scheduled-time", _iso(due)),
        ("execution-id", execution_id),
        ("attempt-number", "1"),
    ):
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def timetable(timer: Timer) -> expressions.Timetable:
    """The timer's parsed expression."""
    return expressions.parse(timer.expression, timer.time_zone)


def _event(source: str, arn: str, due: datetime, detail: Json) -> dict[str, Json]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": source,
        "account": account(),
        "time": _iso(due),
        "region": region(),
        "resources": [arn],
        "detail": detail,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(given: Json) -> datetime | None:
    if given is None:
        return None
    if isinstance(given, int | float):
        return datetime.fromtimestamp(given, UTC)
    return datetime.fromisoformat(str(given))
