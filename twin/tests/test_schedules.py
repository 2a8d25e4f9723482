"""Schedules: what AWS's expressions mean, and that targets are called when their time has come."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from clouds.recorded import recording, shape
from clouds.steps import ACCOUNT, REGION, ROLE, StepsCloud, steps_cloud
from twin import events, schedules
from twin.schedules import cron, expressions

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALE = 120
OFF = {"Mode": "OFF"}


@pytest.fixture(scope="module")
def shared() -> Iterator[StepsCloud]:
    with steps_cloud(scale=SCALE) as cloud:
        yield cloud


@pytest.fixture
def cloud(shared: StepsCloud) -> Iterator[StepsCloud]:
    yield shared
    scheduler, rules = shared.client("scheduler"), shared.client("events")
    for schedule in scheduler.list_schedules()["Schedules"]:
        scheduler.delete_schedule(Name=schedule["Name"])
    for rule in rules.list_rules()["Rules"]:
        rules.remove_targets(Rule=rule["Name"], Ids=["target"])
        rules.delete_rule(Name=rule["Name"])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- expressions ----------------------------------------------------------------------------------------------------


@pytest.mark.documented(
    "https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html",
)
@pytest.mark.parametrize(
    ("fields", "after", "due"),
    [
        # the examples of "Schedule types in EventBridge Scheduler" and of "Setting a schedule pattern for scheduled rules"
        ("15 10 * * ? *", "2026-01-01T10:15", "2026-01-02T10:15"),
        ("15 10 ? * 6L 2022-2023", "2022-01-01T00:00", "2022-01-28T10:15"),
        ("15 10 ? * 6L 2022-2023", "2023-12-29T10:15", None),
        ("0 10 * * ? *", "2026-01-01T09:59", "2026-01-01T10:00"),
        ("0 18 ? * MON-FRI *", "2026-01-02T18:00", "2026-01-05T18:00"),
        ("0 8 1 * ? *", "2026-01-01T08:00", "2026-02-01T08:00"),
        ("0/15 * * * ? *", "2026-01-01T00:46", "2026-01-01T01:00"),
        ("0/10 * ? * MON-FRI *", "2026-01-03T00:00", "2026-01-05T00:00"),
        ("0/5 8-17 ? * MON-FRI *", "2026-01-02T17:55", "2026-01-05T08:00"),
        ("0/30 20-2 ? * MON-FRI *", "2026-01-02T02:30", "2026-01-02T20:00"),
        ("0/30 20-2 ? * MON-FRI *", "2026-01-02T23:30", "2026-01-05T00:00"),
        # lists, names, steps, wildcards
        ("0 0 1,15 * ? *", "2026-01-01T00:00", "2026-01-15T00:00"),
        ("0 0 ? JAN,JUL SUN *", "2026-02-01T00:00", "2026-07-05T00:00"),
        ("0 0 1 NOV-FEB ? *", "2026-02-01T00:00", "2026-11-01T00:00"),
        ("0 0 ? * SAT-SUN *", "2026-01-04T00:00", "2026-01-10T00:00"),
        ("*/20 5 * * ? *", "2026-01-01T05:20", "2026-01-01T05:40"),
        ("0 0 L * ? *", "2026-02-01T00:00", "2026-02-28T00:00"),
        ("0 0 L 2 ? *", "2028-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 3W * ? *", "2026-01-01T00:00", "2026-01-02T00:00"),
        ("0 0 1W * ? *", "2026-07-31T00:00", "2026-08-03T00:00"),
        ("0 0 31W * ? *", "2026-05-01T00:00", "2026-05-29T00:00"),
        ("0 0 ? * 3#2 *", "2026-01-01T00:00", "2026-01-13T00:00"),
        ("0 0 ? * TUE#5 *", "2026-01-01T00:00", "2026-03-31T00:00"),
        ("0 0 ? * L *", "2026-01-01T00:00", "2026-01-03T00:00"),
        ("0 0 29 2 ? *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 30 2 ? *", "2026-01-01T00:00", None),
        ("0 0 1 1 ? 2030/5", "2026-01-01T00:00", "2030-01-01T00:00"),
        ("0 0 1 1 ? 1999", "2026-01-01T00:00", None),
    ],
)
def test_a_cron_expression_is_due_when_awss_is(fields: str, after: str, due: str | None) -> None:
    found = cron.parse(fields).next_after(at(after), ZoneInfo("UTC"))

    assert found == (at(due) if due else None)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#daylist-savings-time"
)
@pytest.mark.parametrize(
    ("after", "due"),
    [
        ("2026-03-27T12:00", "2026-03-28T01:30"),  # winter time: 02:30 in Berlin is 01:30 UTC
        ("2026-03-28T12:00", "2026-03-30T00:30"),  # on 29 March there is no 02:30
        ("2026-10-24T12:00", "2026-10-25T00:30"),  # on 25 October it comes twice and counts once
        ("2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_summer_time_skips_a_missing_time_and_counts_a_double_one_once(after: str, due: str) -> None:
    timetable = expressions.parse("cron(30 2 * * ? *)", "Europe/Berlin")

    assert timetable.next_after(at(after)) == at(due)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html",
)
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("0 0 * * *", "6 fields, not 5"),
        ("0 0 * * * *", "exactly one"),
        ("0 0 ? * ? *", "exactly one"),
        ("60 0 * * ? *", "minutes: '60'"),
        ("0 24 * * ? *", "hours: '24'"),
        ("0 0 32 * ? *", "day-of-month: '32'"),
        ("0 0 * FOO ? *", "month: 'FOO'"),
        ("0 0 ? * 8 *", "day-of-week: '8'"),
        ("0 0 ? * 3#6 *", "day-of-week: '6'"),
        ("0 0 * * ? 2200", "year: '2200'"),
        ("0 0 * * ? 2030-2020", "range '2030-2020' is empty"),
        ("0/0 0 * * ? *", "minutes: '0'"),
    ],
)
def test_a_cron_expression_that_aws_refuses_names_its_field(fields: str, says: str) -> None:
    with pytest.raises(cron.InvalidCron, match=says.replace("?", r"\?")):
        cron.parse(fields)


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#rate-based")
@pytest.mark.parametrize(
    ("expression", "minutes"),
    [("rate(1 minute)", 1), ("rate(2 minutes)", 2), ("rate(3 hours)", 180), ("rate(1 day)", 1440)],
)
def test_a_rate_is_due_again_after_its_time(expression: str, minutes: int) -> None:
    assert expressions.parse(expression).next_after(at("2026-01-01T00:00")) == at("2026-01-01T00:00") + timedelta(
        minutes=minutes
    )


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#one-time")
def test_a_single_time_is_due_once_in_its_time_zone() -> None:
    timetable = expressions.parse("at(2026-07-01T12:00:00)", "America/New_York")

    assert timetable.next_after(at("2026-01-01T00:00")) == at("2026-07-01T16:00")
    assert timetable.next_after(at("2026-07-01T16:00")) is None


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html")
@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("rate(0 minutes)", "UTC"),
        ("rate(5 seconds)", "UTC"),
        ("rate(minutes)", "UTC"),
        ("rate(5 minutes", "UTC"),
        ("every 5 minutes", "UTC"),
        ("at(2026-07-01)", "UTC"),
        ("cron(0 0 * * *)", "UTC"),
        ("rate(5 minutes)", "Europe/Nowhere"),
    ],
)
def test_an_expression_or_zone_aws_refuses_is_refused(expression: str, zone: str) -> None:
    with pytest.raises(expressions.InvalidExpression):
        expressions.parse(expression, zone)


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html")
@pytest.mark.parametrize(
    "expression",
    ["rate(1 hours)", "rate(5 hour)", "rate(0 minutes)", "cron(60 0 * * ? *)", "at(2026-07-01T12:00:00)"],
)
def test_a_rule_is_not_made_with_a_schedule_that_eventbridge_refuses(cloud: StepsCloud, expression: str) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*ScheduleExpression is not valid"):
        cloud.client("events").put_rule(Name="refused", ScheduleExpression=expression)


# --- firing ---------------------------------------------------------------------------------------------------------


def arriving(cloud: StepsCloud, queue: str, count: int, seconds: float) -> list[tuple[float, Any]]:
    """The first `count` messages of a queue, with when they came."""
    began = time.monotonic()
    found: list[tuple[float, Any]] = []
    while len(found) < count:
        assert time.monotonic() - began < seconds, f"{len(found)} of {count} messages in {seconds} s"
        found += [(time.monotonic() - began, json.loads(m["Body"])) for m in cloud.messages(queue)]
        time.sleep(0.01)
    return found


def schedule(cloud: StepsCloud, name: str, expression: str, arn: str, **settings: Any) -> None:
    target = {"Arn": arn, "RoleArn": ROLE, **settings.pop("target", {})}
    cloud.client("scheduler").create_schedule(
        Name=name, ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=target, **settings
    )


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#rate-based")
def test_a_schedules_rate_fires_at_once_and_then_every_scaled_interval(cloud: StepsCloud) -> None:
    queue = cloud.queue("rate")

    schedule(cloud, "rate", "rate(2 minutes)", queue, target={"Input": '{"n": 1}'})
    came = arriving(cloud, queue, 4, seconds=6)

    assert [body for _, body in came] == [{"n": 1}] * 4
    assert came[0][0] < 0.9, "without a start date a rate is due at once"
    assert 2.5 < came[3][0] - came[0][0] < 4.0, "two minutes are a second at this scale"


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html")
def test_a_rules_rate_fires_after_its_first_interval(cloud: StepsCloud) -> None:
    queue = cloud.queue("rule-rate")
    rules = cloud.client("events")
    rules.put_rule(Name="every-minute", ScheduleExpression="rate(1 minute)")
    rules.put_targets(Rule="every-minute", Targets=[{"Id": "target", "Arn": queue}])

    (when, event) = arriving(cloud, queue, 1, seconds=5)[0]

    assert 0.4 < when < 1.5
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
    assert event["resources"] == [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/every-minute"]


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Target.html")
def test_a_schedule_without_input_gets_schedulers_own_event(cloud: StepsCloud) -> None:
    queue = cloud.queue("no-input")
    schedule(cloud, "plain", "rate(1 day)", queue)

    event = arriving(cloud, queue, 1, seconds=3)[0][1]

    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.scheduler", "Scheduled Event", "{}")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html"
)
def test_context_attributes_are_filled_in(cloud: StepsCloud) -> None:
    queue = cloud.queue("context")
    given = '{"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>", "n": <aws.scheduler.attempt-number>}'

    schedule(cloud, "context", "rate(1 day)", queue, target={"Input": given})
    body = arriving(cloud, queue, 1, seconds=3)[0][1]

    assert body["by"].endswith(":schedule/default/context")
    assert (body["n"], body["at"][-1]) == (1, "Z")


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#one-time")
def test_a_single_time_fires_once(cloud: StepsCloud) -> None:
    queue = cloud.queue("once")
    soon = datetime.now(UTC) + timedelta(minutes=1)

    schedule(cloud, "once", f"at({soon:%Y-%m-%dT%H:%M:%S})", queue, target={"Input": "1"})
    arriving(cloud, queue, 1, seconds=4)
    time.sleep(0.5)

    assert cloud.messages(queue) == []


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-state.html")
def test_a_disabled_schedule_waits_until_it_is_enabled_or_fired(cloud: StepsCloud) -> None:
    queue = cloud.queue("disabled")
    schedule(cloud, "disabled", "rate(1 minute)", queue, State="DISABLED", target={"Input": '"by hand"'})
    time.sleep(1.0)
    assert cloud.messages(queue) == []

    schedules.fire("disabled")

    assert cloud.bodies(queue) == ["by hand"]


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/APIReference/API_DeleteSchedule.html")
def test_a_deleted_schedule_fires_no_more(cloud: StepsCloud) -> None:
    queue = cloud.queue("deleted")
    schedule(cloud, "deleted", "rate(1 minute)", queue, target={"Input": "1"})
    arriving(cloud, queue, 1, seconds=3)

    cloud.client("scheduler").delete_schedule(Name="deleted")
    time.sleep(0.4)
    cloud.messages(queue)
    time.sleep(1.0)

    assert cloud.messages(queue) == []


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html")
def test_a_schedule_that_has_ended_fires_no_more(cloud: StepsCloud) -> None:
    queue = cloud.queue("ended")
    past = datetime.now(UTC) - timedelta(minutes=1)

    schedule(cloud, "ended", "rate(1 minute)", queue, EndDate=past, target={"Input": "1"})
    time.sleep(1.0)

    assert cloud.messages(queue) == []


@pytest.mark.ours
def test_firing_a_rule_gives_its_targets_the_event(cloud: StepsCloud) -> None:
    queue = cloud.queue("fired-rule")
    rules = cloud.client("events")
    rules.put_rule(Name="nightly", ScheduleExpression="cron(0 3 * * ? *)")
    rules.put_targets(Rule="nightly", Targets=[{"Id": "target", "Arn": queue, "Input": '{"sweep": true}'}])

    schedules.fire("nightly")

    assert cloud.bodies(queue) == [{"sweep": True}]


@pytest.mark.documented("https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html")
def test_a_scheduled_rules_event_has_the_shape_of_the_published_one(cloud: StepsCloud) -> None:
    queue = cloud.queue("published")
    rules = cloud.client("events")
    rules.put_rule(Name="published", ScheduleExpression="cron(0 3 * * ? *)")
    rules.put_targets(Rule="published", Targets=[{"Id": "target", "Arn": queue}])

    schedules.fire("published")

    (event,) = cloud.bodies(queue)
    published = recording("eventbridge-scheduled-event")
    assert shape(event) == shape(published)
    for part in ("version", "detail-type", "source", "detail"):
        assert event[part] == published[part]


@pytest.mark.ours
def test_firing_what_is_not_there_names_what_is(cloud: StepsCloud) -> None:
    schedule(cloud, "known", "rate(1 day)", cloud.queue("known"))

    with pytest.raises(schedules.NoSuchSchedule, match="known"):
        schedules.fire("unknown")


@pytest.mark.documented("https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html")
def test_an_undeliverable_schedule_ends_in_its_dead_letter_queue(cloud: StepsCloud) -> None:
    dead = cloud.queue("dead-schedule")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone"
    target = {"Input": '{"a": 1}', "DeadLetterConfig": {"Arn": dead}, "RetryPolicy": {"MaximumRetryAttempts": 0}}
    schedule(cloud, "undeliverable", "rate(1 day)", function, target=target)
    time.sleep(0.5)

    assert events.wait_idle(5)
    (letter,) = cloud.messages(dead)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert letter["Body"] == '{"a": 1}'
    assert attributes["SCHEDULE_ARN"].endswith("schedule/default/undeliverable")
    assert attributes["TARGET_ARN"] == function
    assert {"ERROR_CODE", "ERROR_MESSAGE", "EXECUTION_ID", "SCHEDULED_TIME", "RETRY_ATTEMPTS"} <= set(attributes)


@pytest.mark.ours
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ScheduleExpression": "rate(5 fortnights)"}, "rate is a positive number"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "no time zone"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}}, "FlexibleTimeWindow"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:s3:putObject", "RoleArn": ROLE}}, "delivers to"),
    ],
)
def test_a_schedule_the_twin_cannot_keep_is_refused(cloud: StepsCloud, change: dict[str, Any], says: str) -> None:
    given = {
        "Name": "refused",
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": OFF,
        "Target": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "RoleArn": ROLE},
    }

    with pytest.raises(ClientError, match=says):
        cloud.client("scheduler").create_schedule(**{**given, **change})
