"""Alarms, filters and the dashboard speak of what exists: metrics that somebody sends, states and errors of the definition."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

import reconcile
from spotline import settings
from spotline.failures import ErrorName
from tests.template.emitted import emitted
from tests.template.system import DEV, FARGATE, PROD, System, load

SYSTEM = load({**PROD, **FARGATE, "RunExpectedByHour": "12", "AlarmEmail": "someone@example.com"})
BODY: dict[str, Any] = json.loads(SYSTEM.named("Dashboard").properties["DashboardBody"])
OURS = "Spotline/spotline"
Metric = tuple[str, str, tuple[str, ...]]
# Metrics that AWS sends by itself ("Monitoring Step Functions metrics", "Lambda function metrics", "Amazon SQS metrics").
SENT = {
    "AWS/States": {
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
        "ExecutionThrottled",
        "ExecutionTime",
    },
    "AWS/Lambda": {"Errors", "Throttles", "Invocations", "Duration"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
}
COUNTED = {
    (transformation["MetricName"], ())
    for metric_filter in SYSTEM.all("AWS::Logs::MetricFilter")
    for transformation in metric_filter.properties["MetricTransformations"]
}


def drawn() -> set[Metric]:
    """Namespace, name and dimensions of every metric on the dashboard, CloudWatch's abbreviations written out."""
    found: set[Metric] = set()
    for widget in BODY["widgets"]:
        before: list[str] = []
        for row in widget["properties"].get("metrics", []):
            names = [item for item in row if isinstance(item, str)]
            if not names:
                continue  # an expression over others
            if names[0] == "...":
                names = before[: len(before) - len(names) + 1] + names[1:]
            before = [old if new == "." else new for new, old in zip(names, [*before, *names], strict=False)]
            found.add((before[0], before[1], tuple(before[2::2])))
    return found


def alarmed(system: System) -> set[Metric]:
    found = set()
    for alarm in system.all("AWS::CloudWatch::Alarm"):
        metrics = [
            entry["MetricStat"]["Metric"] for entry in alarm.properties.get("Metrics", []) if "MetricStat" in entry
        ]
        for metric in metrics or [alarm.properties]:
            dimensions = tuple(dimension["Name"] for dimension in metric.get("Dimensions", ()))
            found.add((metric["Namespace"], metric["MetricName"], dimensions))
    return found


@pytest.mark.parametrize(
    "metric", sorted(drawn() | alarmed(SYSTEM)), ids=lambda metric: "-".join([*metric[:2], *metric[2]])
)
def test_a_metric_that_is_looked_at_is_one_that_is_sent(metric: Metric) -> None:
    namespace, name, dimensions = metric
    if namespace == OURS:
        assert (name, dimensions) in emitted() | COUNTED
    else:
        assert name in SENT[namespace]


def test_every_metric_of_ours_is_looked_at() -> None:
    looked_at = {(name, dimensions) for namespace, name, dimensions in drawn() | alarmed(SYSTEM) if namespace == OURS}
    assert looked_at == emitted() | COUNTED


def test_functions_write_into_the_namespace_that_is_looked_at() -> None:
    for function in SYSTEM.all("AWS::Lambda::Function"):
        assert function.properties["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == OURS


def test_every_queue_is_charted_by_the_name_that_reconcile_gives_it() -> None:
    rows = [row for widget in BODY["widgets"] for row in widget["properties"].get("metrics", [])]
    [start] = [at for at, row in enumerate(rows) if "RunnableAgeSeconds" in row]
    following = itertools.takewhile(lambda row: row[0] == "...", rows[start + 1 :])
    drawn_queues = {rows[start][3], *(row[1] for row in following)}
    variables = SYSTEM.named("ReconcileFunction").properties["Environment"]["Variables"]
    loaded = settings.load(reconcile.Settings, {key: str(value) for key, value in variables.items()})
    assert set(loaded.queues) == {queue.ref for queue in SYSTEM.all("AWS::Batch::JobQueue")}
    assert set(loaded.queues.values()) == drawn_queues


def test_filters_name_our_errors() -> None:
    patterns = [metric_filter.properties["FilterPattern"] for metric_filter in SYSTEM.all("AWS::Logs::MetricFilter")]
    errors = [name for pattern in patterns for name in re.findall(r'details\.error = "([^"]+)"', pattern)]
    assert errors
    assert set(errors) <= {error.value for error in ErrorName}


def test_widgets_fill_the_dashboard_without_overlap() -> None:
    covered: set[tuple[int, int]] = set()
    for widget in BODY["widgets"]:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & covered
        assert max(x for x, _ in cells) < 24
        covered |= cells
    assert len(covered) == 24 * (1 + max(y for _, y in covered))


def alarm(system: System, name: str) -> dict[str, Any]:
    return system.named(name).properties


def test_a_missing_run_rings_from_the_hour_on_that_was_given() -> None:
    expressions = [entry.get("Expression") for entry in alarm(SYSTEM, "NoRunByTheHour")["Metrics"]]
    assert "IF(today, 0, HOUR(today) >= 12)" in expressions
    assert "NoRunByTheHour" not in {it.name for it in load(DEV).all("AWS::CloudWatch::Alarm")}


def test_a_gang_that_waits_is_an_alarm_only_after_it_should_have_been_moved_on() -> None:
    variables = SYSTEM.named("ReconcileFunction").properties["Environment"]["Variables"]
    for name, market in (("SpotGangsWait", "SPOT"), ("OnDemandGangsWait", "ON_DEMAND")):
        assert int(alarm(SYSTEM, name)["Threshold"]) == int(variables[f"{market}_MAX_WAIT_SECONDS"])


def test_hours_run_out_when_too_few_are_left_for_an_attempt() -> None:
    variables = SYSTEM.named("LaunchGangFunction").properties["Environment"]["Variables"]
    assert int(alarm(SYSTEM, "GangHoursRunOut")["Threshold"]) * 3600 == int(variables["GANG_ATTEMPT_SECONDS"])


def test_every_function_and_every_queue_is_watched() -> None:
    watched = str(alarm(SYSTEM, "FunctionsFail")["Metrics"])
    for function in SYSTEM.all("AWS::Lambda::Function"):
        assert watched.count(function.ref) == 2, f"errors and throttles of {function.path}"
    blocked = SYSTEM.named("QueueBlocked").properties["EventPattern"]["detail"]["jobQueue"]
    assert {queue.ref for queue in SYSTEM.all("AWS::Batch::JobQueue")} == set(blocked)
