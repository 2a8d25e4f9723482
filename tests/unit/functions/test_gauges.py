"""What `reconcile` measures: ages of what waits, hours spent, successes of the day."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import gauges
from spotline import metrics
from spotline.batch_jobs import describe_our_jobs
from spotline.gangs import Gang
from spotline.launching import gang_launched
from spotline.metrics import Measurement
from spotline.runs import Market
from spotline.strays import OurJob, Stage
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
QUEUES = {"arn:main": "main", "arn:spot": "gpu-spot"}


def job(queue: str, waiting_minutes: int | None) -> OurJob:
    since = None if waiting_minutes is None else NOW - timedelta(minutes=waiting_minutes)
    return OurJob("job", "run", Stage.PREPROCESS, "arn", NOW - timedelta(days=1), queue=queue, waiting_since=since)


def test_an_age_is_in_seconds_for_the_queues_own_chart() -> None:
    assert list(gauges.waiting([job("arn:main", 1)], {"arn:main": "main"}, NOW)) == [
        Measurement("RunnableAgeSeconds", 60, "Seconds", {"Queue": "main"})
    ]


def ages(*jobs: OurJob) -> dict[str, float]:
    return {it.dimensions["Queue"]: it.value for it in gauges.waiting(jobs, QUEUES, NOW)}


def test_a_queue_is_as_old_as_its_oldest_waiting_job() -> None:
    assert ages(job("arn:main", 5), job("arn:main", 20), job("arn:main", None), job("arn:spot", 1)) == {
        "main": 1200,
        "gpu-spot": 60,
    }


def test_queues_without_a_waiting_job_are_told_of_too() -> None:
    assert ages(job("arn:main", None), job("somebody's", 50)) == {"main": 0, "gpu-spot": 0}


MINUTE = 60_000


@pytest.mark.parametrize(
    ("described", "minutes"),
    [
        ({"status": "RUNNABLE"}, 0),
        ({"status": "RUNNABLE", "attempts": [{"stoppedAt": 7 * MINUTE}, {"stoppedAt": 9 * MINUTE}, {}]}, 9),
        ({"status": "PENDING", "arrayProperties": {"size": 2, "statusSummary": {"RUNNABLE": 1, "RUNNING": 1}}}, 0),
        ({"status": "PENDING", "arrayProperties": {"size": 2, "statusSummary": {"RUNNING": 2, "RUNNABLE": 0}}}, None),
        ({"status": "RUNNING"}, None),
        ({"status": "STARTING"}, None),
    ],
)
def test_a_job_waits_since_its_submission_or_its_last_attempts_end(
    described: dict[str, Any], minutes: int | None
) -> None:
    tags = {"spotline:run-id": "run", "spotline:stage": "preprocess", "spotline:execution-arn": "arn"}
    whole = {"jobId": "1", "jobQueue": "main", "createdAt": 0, "tags": tags, **described}

    class Batch:
        def get_paginator(self, _: str) -> Batch:
            return self

        def paginate(self, **_: Any) -> list[dict[str, Any]]:
            return [{"jobSummaryList": [whole]}]

        def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
            return {"jobs": [whole]}

    (found,) = describe_our_jobs(Batch(), ["j"])  # type: ignore[arg-type]
    since = None if minutes is None else datetime.fromtimestamp(minutes * 60, UTC)
    assert (found.queue, found.waiting_since) == ("main", since)


def test_hours_are_those_spent_and_reserved_beside_the_limit() -> None:
    assert list(gauges.hours(timedelta(hours=7, minutes=30), 24)) == [
        Measurement("OnDemandGangHoursToday", 7.5, "None"),
        Measurement("OnDemandGangHoursLimit", 24, "None"),
    ]


def test_what_a_gang_reserved_is_spent_until_it_settles() -> None:
    world = World()
    gang = Gang("run", 1, Market.ON_DEMAND, "token", "arn", NOW)
    assert world.allowances.spent(NOW) == timedelta(0)
    world.table.record_gang(gang)
    assert world.allowances.reserve_hours(gang, NOW)
    assert world.allowances.spent(NOW) == timedelta(seconds=world.look_settings.gang_attempt_seconds)
    world.allowances.settle_hours(gang, timedelta(hours=1))
    assert world.allowances.spent(NOW) == timedelta(hours=1)
    assert world.allowances.spent(NOW - timedelta(days=1)) == timedelta(0)


@pytest.mark.parametrize(
    ("stopped", "counts"),
    [
        (datetime(2013, 2, 9, tzinfo=UTC), 1),
        (datetime(2013, 2, 9, 12, 34, 56, 789, tzinfo=UTC), 1),
        (datetime(2013, 2, 8, 23, 59, 59, 999999, tzinfo=UTC), 0),
    ],
)
def test_a_run_counts_for_the_day_on_which_it_succeeded(stopped: datetime, counts: int) -> None:
    asked: dict[str, Any] = {}

    class Steps:
        def list_executions(self, **request: Any) -> dict[str, Any]:
            asked.update(request)
            return {"executions": [{"stopDate": stopped}]}

    now = datetime(2013, 2, 9, 12, 34, 56, 789, tzinfo=UTC)
    measured = list(gauges.successes(Steps(), "arn:machine", now))  # type: ignore[arg-type]
    assert measured == [Measurement("RunsSucceededToday", counts)]
    assert asked == {"stateMachineArn": "arn:machine", "statusFilter": "SUCCEEDED", "maxResults": 100}


def emitted(output: str) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line) for line in output.splitlines() if '"_aws"' in line)


def test_a_measurement_is_a_line_that_cloudwatch_reads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(metrics.NAMESPACE, "Spotline/prod")
    metrics.emit(Measurement("RunnableAgeSeconds", 5, "Seconds", {"Queue": "main"}))
    (said,) = emitted(capsys.readouterr().out)
    (declared,) = said["_aws"]["CloudWatchMetrics"]
    assert declared == {
        "Namespace": "Spotline/prod",
        "Dimensions": [["Queue"]],
        "Metrics": [{"Name": "RunnableAgeSeconds", "Unit": "Seconds"}],
    }
    assert (said["Queue"], said["RunnableAgeSeconds"]) == ("main", 5)


def test_a_gang_that_is_launched_counts_for_its_market() -> None:
    assert gang_launched(Market.ON_DEMAND) == Measurement("GangLaunched", 1, dimensions={"Market": "ON_DEMAND"})
