"""Alarms, filters and the dashboard speak of what exists: metrics that somebody sends, states and errors of the definition."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from spotline.failures import ErrorName
from tests.template.system import DEV, PROD, System, load

SYSTEM = load({**PROD, "ExpectRunsDaily": "yes", "AlarmEmail": "someone@example.com"})
BODY: dict[str, Any] = json.loads(SYSTEM.named("Dashboard").properties["DashboardBody"])
OURS = "Spotline/spotline"
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
    OURS: {
        transformation["MetricName"]
        for metric_filter in SYSTEM.all("AWS::Logs::MetricFilter")
        for transformation in metric_filter.properties["MetricTransformations"]
    },
}


def drawn() -> set[tuple[str, str]]:
    """Namespace and name of every metric on the dashboard, CloudWatch's abbreviations written out."""
    found: set[tuple[str, str]] = set()
    for widget in BODY["widgets"]:
        before: list[str] = []
        for row in widget["properties"].get("metrics", []):
            names = [item for item in row if isinstance(item, str)]
            if names[0] == "...":
                names = before[: len(before) - len(names) + 1] + names[1:]
            before = [old if new == "." else new for new, old in zip(names, [*before, *names], strict=False)]
            found.add((before[0], before[1]))
    return found


def alarmed(system: System) -> set[tuple[str, str]]:
    found = set()
    for alarm in system.all("AWS::CloudWatch::Alarm"):
        metrics = [
            entry["MetricStat"]["Metric"] for entry in alarm.properties.get("Metrics", []) if "MetricStat" in entry
        ]
        for metric in metrics or [alarm.properties]:
            found.add((metric["Namespace"], metric["MetricName"]))
    return found


@pytest.mark.parametrize("metric", sorted(drawn() | alarmed(SYSTEM)), ids="-".join)
def test_a_metric_that_is_looked_at_is_one_that_is_sent(metric: tuple[str, str]) -> None:
    namespace, name = metric
    assert name in SENT[namespace]


def test_every_metric_of_ours_is_drawn() -> None:
    assert {name for namespace, name in drawn() if namespace == OURS} == SENT[OURS]


def test_filters_name_states_and_errors_of_the_definition() -> None:
    patterns = [metric_filter.properties["FilterPattern"] for metric_filter in SYSTEM.all("AWS::Logs::MetricFilter")]
    states = [name for pattern in patterns for name in re.findall(r'details\.name = "([^"]+)"', pattern)]
    errors = [name for pattern in patterns for name in re.findall(r'details\.error = "([^"]+)"', pattern)]
    assert states
    assert all(any(fnmatchcase(state, pattern) for state in SYSTEM.states) for pattern in states)
    assert errors
    assert set(errors) <= {error.value for error in ErrorName}


def test_every_state_that_launches_a_gang_is_counted() -> None:
    launching = {
        name for name, state in SYSTEM.states.items() if str(state.get("Resource")).endswith(".waitForTaskToken")
    }
    patterns = re.findall(
        r'details\.name = "([^"]+)"', str([it.properties for it in SYSTEM.all("AWS::Logs::MetricFilter")])
    )
    assert launching == {name for name in SYSTEM.states if any(fnmatchcase(name, pattern) for pattern in patterns)}


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


def test_an_alarm_on_missing_runs_is_for_those_who_have_some_every_day() -> None:
    assert "NoRunForADay" in {alarm.name for alarm in SYSTEM.all("AWS::CloudWatch::Alarm")}
    assert "NoRunForADay" not in {alarm.name for alarm in load(DEV).all("AWS::CloudWatch::Alarm")}
