"""Which runs a version has had, and which executions ended badly of late: what `sweep` reads of executions and results."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spotline.runs import Run, Source
from sweeping.attempts import Attempt, History
from sweeping.endings import LOOK_BACK, bad_endings
from tests.unit.functions.memory import EXECUTIONS, MACHINE, S3, Steps

RUN = "flights-20130209-6adc0044e115deaf"
NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)


def execute(steps: Steps, name: str, status: str = "RUNNING", request: str = "") -> None:
    source = Source("ingest", "data/flights/20130209/f.csv", "v1", 9)
    run = Run(run_id=name, dataset="flights", day="20130209", source=source, request=request)
    steps.executions[name] = {"status": status, "input": run.to_input()}


def history(steps: Steps, s3: S3) -> History:
    return History(cast("Any", steps), cast("Any", s3), MACHINE, "results")


def attempts(steps: Steps, s3: S3, *, reruns: bool = True) -> list[Attempt]:
    return history(steps, s3).of(RUN, reruns=reruns)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def s3() -> S3:
    return S3()


def leave(s3: S3, *keys: str) -> None:
    for key in keys:
        s3.put(key, b"{}", "results")


def test_a_version_that_never_ran_has_no_attempt_and_is_asked_for_two_executions(steps: Steps, s3: S3) -> None:
    assert attempts(steps, s3) == []
    assert steps.described == [RUN, f"{RUN}-r1"]


@pytest.mark.parametrize(
    ("status", "running"), [("RUNNING", True), ("PENDING_REDRIVE", True), ("FAILED", False), ("SUCCEEDED", False)]
)
def test_an_execution_is_an_attempt_with_the_request_that_started_it(
    steps: Steps, s3: S3, status: str, running: bool
) -> None:
    execute(steps, RUN, status, "tuesday")
    assert attempts(steps, s3, reruns=False) == [Attempt(0, running, "tuesday")]


@pytest.mark.parametrize("written", ["", "{", "[]", '{"run_id": "x"}'])
def test_an_execution_that_a_person_started_answers_no_request(steps: Steps, s3: S3, written: str) -> None:
    steps.executions[RUN] = {"status": "FAILED", "input": written}
    assert attempts(steps, s3, reruns=False) == [Attempt(0)]


def test_a_run_that_step_functions_forgot_is_known_by_its_last_manifest(steps: Steps, s3: S3) -> None:
    leave(s3, f"runs/{RUN}/postprocess/manifest.json")
    assert attempts(steps, s3, reruns=False) == [Attempt(0)]
    assert s3.asked == [{"Bucket": "results", "Prefix": f"runs/{RUN}/postprocess/manifest.json", "MaxKeys": 1}]


def test_a_run_that_was_forgotten_before_it_was_done_is_no_attempt(steps: Steps, s3: S3) -> None:
    leave(s3, f"runs/{RUN}/analysis/manifest.json", f"runs/{RUN}/postprocess/metrics.json")
    assert attempts(steps, s3, reruns=False) == []


def test_reruns_are_looked_for_only_when_they_are_asked_for(steps: Steps, s3: S3) -> None:
    execute(steps, RUN)
    execute(steps, f"{RUN}-r1")
    assert attempts(steps, s3, reruns=False) == [Attempt(0, running=True)]
    assert (steps.described, s3.asked) == ([RUN], [])


def test_reruns_are_those_with_an_execution_and_those_that_left_files(steps: Steps, s3: S3) -> None:
    execute(steps, RUN, "SUCCEEDED")
    execute(steps, f"{RUN}-r1", "FAILED", "monday")
    leave(s3, f"runs/{RUN}-r2/analysis/manifest.json")
    execute(steps, f"{RUN}-r3", request="tuesday")
    assert attempts(steps, s3) == [
        Attempt(0),
        Attempt(1, request="monday"),
        Attempt(2),
        Attempt(3, running=True, request="tuesday"),
    ]
    assert steps.described == [RUN, *(f"{RUN}-r{number}" for number in range(1, 5))]


def test_a_gap_between_reruns_hides_none(steps: Steps, s3: S3) -> None:
    leave(s3, *(f"runs/{RUN}-r{number}/postprocess/manifest.json" for number in (2, 4, 5, 11)))
    execute(steps, f"{RUN}-r12")
    assert attempts(steps, s3) == [*(Attempt(number) for number in (2, 4, 5, 11)), Attempt(12, running=True)]
    listing = {"Bucket": "results", "Prefix": f"runs/{RUN}-r", "Delimiter": "/", "StartAfter": ""}
    assert s3.asked[-1] == listing


@pytest.mark.parametrize(
    "key",
    [
        f"runs/{RUN}-r0/x",
        f"runs/{RUN}-r01/x",
        f"runs/{RUN}-rx/x",
        f"runs/{RUN}-r1x/x",
        f"runs/{RUN}-r1",
        f"runs/{RUN}-request/r1/x",
        f"runs/{RUN}x-r1/x",
    ],
)
def test_nothing_else_in_the_bucket_is_taken_for_a_rerun(steps: Steps, s3: S3, key: str) -> None:
    leave(s3, key)
    assert attempts(steps, s3) == []


# Ends that somebody may not have heard of


def ended(name: str, ago: timedelta, **more: Any) -> dict[str, Any]:
    return {"name": name, "executionArn": f"{EXECUTIONS}:{name}", "stopDate": NOW - ago, **more}


def test_a_bad_end_of_the_last_hours_is_brought_as_the_event_that_was_lost() -> None:
    asked: list[dict[str, Any]] = []
    of_status = {
        "FAILED": [ended("now", timedelta(0), redriveCount=2), ended("late", LOOK_BACK - timedelta(seconds=1))],
        "TIMED_OUT": [ended("too-late", LOOK_BACK)],
        "ABORTED": [ended("stopped", timedelta(hours=1))],
    }

    def list_executions(**call: Any) -> dict[str, Any]:
        asked.append(call)
        return {"executions": of_status[call["statusFilter"]]}

    client = cast("Any", SimpleNamespace(list_executions=list_executions))
    assert list(bad_endings(client, MACHINE, NOW)) == [
        {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": f"{EXECUTIONS}:{name}",
                "name": name,
                "status": status,
                "redriveCount": redrives,
            },
        }
        for name, status, redrives in (("now", "FAILED", 2), ("late", "FAILED", 0), ("stopped", "ABORTED", 0))
    ]
    assert asked == [{"stateMachineArn": MACHINE, "statusFilter": status, "maxResults": 100} for status in of_status]
