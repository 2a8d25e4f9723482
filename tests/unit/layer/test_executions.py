"""How an execution stands to what was begun for it, and what is asked of Step Functions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from spotline.executions import (
    CLOCKS_DIFFER,
    KNOWN_AFTER,
    Execution,
    ListedExecution,
    Standing,
    answer_failure,
    answer_success,
    describe_run,
    list_running,
)
from spotline.failures import ErrorName, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_stepfunctions import SFNClient

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
ARN = "arn:aws:states:us-east-1:123456789012:execution:pipeline:run"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:pipeline"
RUNNING = Execution(ARN, "RUNNING")
FAILED = Execution(ARN, "FAILED")
MOMENT = timedelta(microseconds=1)
FAILURE = Failure(ErrorName.SPOT_INTERRUPTED, "The Spot instance of member 1 was reclaimed", member=1)


@pytest.mark.parametrize(
    ("status", "runs"),
    [
        ("RUNNING", True),
        ("PENDING_REDRIVE", True),
        ("SUCCEEDED", False),
        ("FAILED", False),
        ("TIMED_OUT", False),
        ("ABORTED", False),
        ("UNKNOWN", False),
    ],
)
def test_an_execution_runs_or_waits_for_its_redrive(status: str, runs: bool) -> None:
    assert Execution(ARN, status).runs is runs


@pytest.mark.parametrize(
    ("redrives", "standing_while_it_runs", "standing_once_it_ended"),
    [
        (0, Standing.REDRIVEN, Standing.REDRIVEN),
        (1, Standing.AWAITED, Standing.ENDED),
        (2, Standing.UNCLEAR, Standing.UNCLEAR),
    ],
    ids=["begun before the redrive", "begun in it", "begun after what is described"],
)
def test_redrives_date_a_description_whatever_the_clocks_say(
    redrives: int, standing_while_it_runs: Standing, standing_once_it_ended: Standing
) -> None:
    for began in (NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)):
        times: Any = {"redriven_at": NOW, "stopped_at": NOW, "redrives": 1}
        assert replace(RUNNING, **times).find_standing(began, redrives, NOW) is standing_while_it_runs
        assert replace(FAILED, **times).find_standing(began, redrives, NOW) is standing_once_it_ended


@pytest.mark.parametrize(
    ("began", "standing"),
    [
        (NOW - CLOCKS_DIFFER - MOMENT, Standing.REDRIVEN),
        (NOW - CLOCKS_DIFFER, Standing.AWAITED),
        (NOW, Standing.AWAITED),
        (NOW + timedelta(days=1), Standing.AWAITED),
    ],
)
def test_without_redrives_what_began_clearly_before_a_redrive_is_of_before_it(
    began: datetime, standing: Standing
) -> None:
    assert replace(RUNNING, redriven_at=NOW, redrives=1).find_standing(began, None, NOW) is standing
    assert RUNNING.find_standing(began, None, NOW) is Standing.AWAITED, "it was never redriven"


@pytest.mark.parametrize(
    ("began", "standing"),
    [
        (NOW - timedelta(days=1), Standing.ENDED),
        (NOW + CLOCKS_DIFFER, Standing.ENDED),
        (NOW + CLOCKS_DIFFER + MOMENT, Standing.UNCLEAR),
    ],
)
def test_without_redrives_what_began_clearly_after_an_end_is_not_of_before_it(
    began: datetime, standing: Standing
) -> None:
    assert replace(FAILED, stopped_at=NOW).find_standing(began, None, NOW) is standing
    assert FAILED.find_standing(began, None, NOW) is Standing.ENDED, "no time of its end is described"


@pytest.mark.parametrize("redrives", [None, 0, 1])
def test_an_execution_that_is_not_known_may_appear_within_an_hour(redrives: int | None) -> None:
    unknown = Execution(ARN, "UNKNOWN")
    assert unknown.find_standing(NOW - KNOWN_AFTER + MOMENT, redrives, NOW) is Standing.UNCLEAR
    assert unknown.find_standing(NOW - KNOWN_AFTER, redrives, NOW) is Standing.ENDED


def test_a_listed_execution_says_whether_it_was_redriven_since() -> None:
    assert ListedExecution("run", NOW, redrives=1).was_redriven_after(NOW - MOMENT)
    assert not ListedExecution("run", NOW, redrives=1).was_redriven_after(NOW)
    assert not ListedExecution("run", NOW, redrives=0).was_redriven_after(NOW - MOMENT), "it began then"


@pytest.fixture(scope="module")
def client() -> SFNClient:
    return boto3.client(
        "stepfunctions", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )


@pytest.fixture
def steps(client: SFNClient) -> Iterator[Stubber]:
    """Step Functions' answers, which like the calls must be those of its API."""
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_running_executions_are_listed_a_thousand_at_a_time(client: SFNClient, steps: Stubber) -> None:
    listed = {"executionArn": ARN, "stateMachineArn": MACHINE, "status": "RUNNING", "startDate": NOW}
    first = [
        {**listed, "name": "new"},
        {**listed, "name": "redriven", "redriveDate": NOW + timedelta(hours=1), "redriveCount": 2},
    ]
    page = {"stateMachineArn": MACHINE, "statusFilter": "RUNNING", "maxResults": 1000}
    steps.add_response("list_executions", {"executions": first, "nextToken": "next"}, page)
    steps.add_response("list_executions", {"executions": [{**listed, "name": "last"}]}, {**page, "nextToken": "next"})
    assert list_running(client, MACHINE) == {
        "new": ListedExecution("new", NOW),
        "redriven": ListedExecution("redriven", NOW + timedelta(hours=1), 2),
        "last": ListedExecution("last", NOW),
    }


def test_an_execution_is_described_with_all_that_is_known(client: SFNClient, steps: Stubber) -> None:
    described: dict[str, Any] = {
        "executionArn": ARN,
        "stateMachineArn": MACHINE,
        "status": "FAILED",
        "startDate": NOW,
        "stopDate": NOW + timedelta(hours=2),
        "redriveDate": NOW + timedelta(hours=1),
        "redriveCount": 3,
        "input": "{}",
        "error": "States.Timeout",
        "cause": "why",
    }
    steps.add_response("describe_execution", described, {"executionArn": ARN})
    assert describe_run(client, ARN) == Execution(
        ARN,
        "FAILED",
        redriven_at=NOW + timedelta(hours=1),
        error="States.Timeout",
        cause="why",
        input="{}",
        started_at=NOW,
        stopped_at=NOW + timedelta(hours=2),
        redrives=3,
    )


def test_a_description_may_lack_what_has_not_happened(client: SFNClient, steps: Stubber) -> None:
    described = {"executionArn": ARN, "stateMachineArn": MACHINE, "status": "RUNNING", "startDate": NOW}
    steps.add_response("describe_execution", described, {"executionArn": ARN})
    assert describe_run(client, ARN) == Execution(ARN, "RUNNING", started_at=NOW)
    steps.add_client_error("describe_execution", "ExecutionDoesNotExist")
    assert describe_run(client, ARN) == Execution(ARN, "UNKNOWN")


def succeed(client: SFNClient) -> bool:
    return answer_success(client, "token", {"manifest": "s3://m"})


def fail(client: SFNClient) -> bool:
    return answer_failure(client, "token", FAILURE)


def test_a_waiting_task_is_answered(client: SFNClient, steps: Stubber) -> None:
    steps.add_response("send_task_success", {}, {"taskToken": "token", "output": json.dumps({"manifest": "s3://m"})})
    assert succeed(client) is True
    failure = {"taskToken": "token", "error": "Spot.Interrupted", "cause": FAILURE.to_cause()}
    steps.add_response("send_task_failure", {}, failure)
    assert fail(client) is True


@pytest.mark.parametrize(("method", "answer"), [("send_task_success", succeed), ("send_task_failure", fail)])
def test_a_task_that_does_not_wait_is_no_error_and_an_outage_is(
    method: str, answer: Callable[[SFNClient], bool], client: SFNClient, steps: Stubber
) -> None:
    for gone in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
        steps.add_client_error(method, gone)
        assert answer(client) is False
    steps.add_client_error(method, "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        answer(client)
