"""What moto's EventBridge lacks: delivery as AWS delivers, and refusing what it cannot deliver or does not know."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.events import models
from moto.events.exceptions import InvalidEventPatternException, ValidationException
from moto.scheduler import models as scheduler_models
from moto.scheduler.exceptions import ValidationException as SchedulerValidation

from twin.patches import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = Any


def check_patterns(check: Callable[[Json], None]) -> None:
    """moto accepts any operator in a pattern and fails when an event arrives; EventBridge refuses the rule."""

    def make(original: Any) -> Any:
        def parse(self: models.EventPatternParser) -> dict[str, Any]:
            pattern: dict[str, Any] = original(self)
            if self.pattern:
                try:
                    check(pattern)
                except ValueError as error:
                    raise InvalidEventPatternException(reason=str(error)) from error
            return pattern

        return parse

    replace(models.EventPatternParser, "parse", make)


def check_targets(check: Callable[[Mapping[str, Json]], None]) -> None:
    """moto takes a target that nothing is ever delivered to; the twin refuses it when it is put."""

    def make(original: Any) -> Any:
        def put_targets(
            self: models.EventsBackend, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
        ) -> None:
            for target in targets:
                try:
                    check(target)
                except ValueError as error:
                    raise ValidationException(str(error)) from error
            original(self, name, event_bus_arn, targets)

        return put_targets

    replace(models.EventsBackend, "put_targets", make)


def deliver_with(deliver: Callable[[models.Rule, Mapping[str, Json]], None]) -> None:
    """moto delivers within PutEvents, to few kinds of target, without retries, and to the rules that it finds to match.

    It finds wrongly where an event has an array of objects, and takes 5 for 5.0 and true for 1.
    """

    def make(_original: Any) -> Any:
        def send_to_targets(self: models.Rule, original_event: Mapping[str, Json], **_: object) -> None:
            deliver(self, _as_sent(original_event))

        return send_to_targets

    replace(models.Rule, "send_to_targets", make)


def _as_sent(event: Mapping[str, Json]) -> dict[str, Json]:
    """The event with its time as AWS writes it and without what moto keeps in it for itself."""
    time = event.get("time")
    if isinstance(time, int | float):
        time = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    sent = {name: value for name, value in event.items() if name != "ingestion-time"}
    return {**sent, "time": time}


def check_schedules(
    check: Callable[[str, str], object], check_scheduled_target: Callable[[Mapping[str, Json]], None]
) -> None:
    """moto takes any expression, window and target of a schedule; EventBridge Scheduler and the twin do not."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def method(self: Any, **given: Any) -> Any:
            try:
                check(given["schedule_expression"], given.get("schedule_expression_timezone") or "UTC")
                check_scheduled_target(given["target"])
            except ValueError as error:
                raise SchedulerValidation(str(error)) from error
            window = (given.get("flexible_time_window") or {}).get("Mode", "OFF")
            if window != "OFF":
                raise SchedulerValidation(f"the twin does not model FlexibleTimeWindow {window}; set its Mode to OFF")
            return original(self, **given)

        return method

    for name in ("create_schedule", "update_schedule"):
        replace(scheduler_models.EventBridgeSchedulerBackend, name, make)


def check_scheduled_rules(check: Callable[[str], object]) -> None:
    """moto takes any cron expression of a rule, and a rate whose unit does not agree with its number."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def put_rule(self: Any, *args: Any, **given: Any) -> Any:
            if expression := given.get("scheduled_expression"):
                try:
                    check(expression)
                except ValueError as error:
                    raise ValidationException(f"Parameter ScheduleExpression is not valid. {error}") from error
            return original(self, *args, **given)

        return put_rule

    replace(models.EventsBackend, "put_rule", make)
