"""RedriveExecution as on AWS: from the unsuccessful state, same ARN and history, nothing that succeeded is repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from clouds.steps import job, only, task
from twin.executions import status

if TYPE_CHECKING:
    from clouds.steps import StepsCloud

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def redrive(cloud: StepsCloud, execution: str) -> dict[str, Any]:
    """Redrive and wait for the end."""
    cloud.client("stepfunctions").redrive_execution(executionArn=execution)
    return cloud.ended(execution)


def failing(cloud: StepsCloud, name: str, times: int = 1) -> list[Any]:
    """A function that fails so often and then succeeds; returns the list of its events."""
    seen: list[Any] = []

    def function(event: Any) -> Any:
        seen.append(event)
        if len(seen) <= times:
            raise RuntimeError(f"failure {len(seen)}")
        return {"calls": len(seen)}

    cloud.functions[name] = function
    return seen


def invoke(name: str, **fields: Any) -> dict[str, Any]:
    return task("lambda:invoke", {"FunctionName": name, "Payload.$": "$"}, **fields)


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html")
def test_a_redrive_goes_on_at_the_task_that_failed(cloud: StepsCloud) -> None:
    first, second = failing(cloud, "first", times=0), failing(cloud, "second")
    machine = {
        "StartAt": "First",
        "States": {
            "First": invoke("first", ResultPath="$.first", ResultSelector={"done": True}, Next="Second"),
            "Second": invoke("second", OutputPath="$.Payload"),
        },
    }
    execution = cloud.start(machine, {"run": "r"})
    assert cloud.ended(execution)["status"] == "FAILED"

    ended = redrive(cloud, execution)

    assert ended["status"] == "SUCCEEDED"
    assert ended["executionArn"] == execution
    assert len(first) == 1, "what succeeded is not repeated"
    assert second == [{"run": "r", "first": {"done": True}}] * 2, "with the same input"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_ExecutionRedrivenEventDetails.html",
)
def test_the_history_goes_on_and_enters_no_state_twice(cloud: StepsCloud) -> None:
    failing(cloud, "f")
    execution = cloud.start(only(invoke("f")))
    cloud.ended(execution)

    redrive(cloud, execution)

    assert cloud.events(execution) == [
        "ExecutionStarted",
        "TaskStateEntered Only",
        "TaskScheduled",
        "TaskStarted",
        "TaskFailed",
        "ExecutionFailed",
        "ExecutionRedriven",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    history = cloud.history(execution)
    assert [event["id"] for event in history] == list(range(1, 13))
    assert history[6]["executionRedrivenEventDetails"] == {"redriveCount": 1}


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html")
def test_the_description_counts_redrives(cloud: StepsCloud) -> None:
    failing(cloud, "f", times=2)
    execution = cloud.start(only(invoke("f")))
    before = cloud.ended(execution)
    assert (before["redriveCount"], before["redriveStatus"]) == (0, "REDRIVABLE")
    assert "redriveDate" not in before

    assert redrive(cloud, execution)["status"] == "FAILED"
    after = redrive(cloud, execution)

    assert (after["status"], after["redriveCount"], after["redriveStatus"]) == ("SUCCEEDED", 2, "NOT_REDRIVABLE")
    assert after["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
    assert after["startDate"] < after["redriveDate"] <= after["stopDate"]
    assert "error" not in after


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html")
def test_the_state_machine_sees_the_redrive_count(cloud: StepsCloud) -> None:
    failing(cloud, "f")
    selector = {"redrives.$": "$$.Execution.RedriveCount", "time.$": "$$.Execution.RedriveTime"}
    execution = cloud.start(only(invoke("f", ResultSelector=selector)))
    cloud.ended(execution)

    output = json.loads(redrive(cloud, execution)["output"])

    assert output["redrives"] == 1
    assert output["time"].endswith("Z")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html#redrive-retry-behavior",
)
def test_retries_are_counted_anew(cloud: StepsCloud) -> None:
    seen = failing(cloud, "f", times=3)
    retry = [{"ErrorEquals": ["RuntimeError"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = cloud.start(only(invoke("f", Retry=retry)))
    cloud.ended(execution)
    assert len(seen) == 2

    assert redrive(cloud, execution)["status"] == "SUCCEEDED"
    assert len(seen) == 4


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html")
def test_the_executions_own_timeout_begins_anew(cloud: StepsCloud) -> None:
    machine = {**only({"Type": "Wait", "Seconds": 30, "End": True}), "TimeoutSeconds": 20}
    execution = cloud.start(machine)
    assert cloud.ended(execution)["status"] == "TIMED_OUT"

    ended = redrive(cloud, execution)

    assert (ended["status"], ended["redriveCount"]) == ("TIMED_OUT", 1)
    assert cloud.events(execution).count("ExecutionTimedOut") == 2


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeStateMachineForExecution.html",
)
def test_a_changed_machine_redrives_its_old_definition(cloud: StepsCloud) -> None:
    failing(cloud, "f")
    machine = cloud.machine(only(invoke("f", OutputPath="$.Payload")))
    execution = cloud.start_on(machine)
    cloud.ended(execution)

    cloud.client("stepfunctions").update_state_machine(
        stateMachineArn=machine, definition=json.dumps(only({"Type": "Pass", "Result": "new", "End": True}))
    )

    old = cloud.client("stepfunctions").describe_state_machine_for_execution(executionArn=execution)
    assert "Task" in old["definition"]
    assert json.loads(redrive(cloud, execution)["output"]) == {"calls": 2}
    assert cloud.ended(cloud.start_on(machine))["output"] == '"new"'


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html#redrive-behavior-states",
)
def test_an_aborted_execution_goes_on_where_it_was_stopped(cloud: StepsCloud) -> None:
    execution = cloud.start(only(job()))
    cloud.until_event(execution, "TaskSubmitted")
    cloud.client("stepfunctions").stop_execution(executionArn=execution)
    cloud.batch.until(lambda: "job-0" in cloud.batch.terminated)
    cloud.batch.at_once = {}

    ended = redrive(cloud, execution)

    assert json.loads(ended["output"])["JobId"] == "job-1", "the job is submitted again"


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html")
def test_an_execution_stopped_before_its_first_state_begins_there(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Pass", "End": True}))
    for _ in range(20):
        execution = cloud.start_on(machine)
        cloud.client("stepfunctions").stop_execution(executionArn=execution)
        if cloud.described(execution)["status"] == "ABORTED":
            assert redrive(cloud, execution)["status"] == "SUCCEEDED"
            assert cloud.events(execution).count("ExecutionStarted") == 1


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html")
def test_a_caught_failure_is_a_success_and_is_not_repeated(cloud: StepsCloud) -> None:
    spot, on_demand = failing(cloud, "spot", times=9), failing(cloud, "on-demand")
    machine = {
        "StartAt": "Spot",
        "States": {
            "Spot": invoke("spot", Catch=[{"ErrorEquals": ["RuntimeError"], "Next": "On-Demand"}]),
            "On-Demand": invoke("on-demand"),
        },
    }
    execution = cloud.start(machine)
    cloud.ended(execution)

    assert redrive(cloud, execution)["status"] == "SUCCEEDED"
    assert (len(spot), len(on_demand)) == (1, 2)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html#redrive-behavior-states",
)
def test_a_fail_state_is_entered_again_and_fails_again(cloud: StepsCloud) -> None:
    execution = cloud.start(only({"Type": "Fail", "Error": "E", "Cause": "c"}))
    cloud.ended(execution)

    ended = redrive(cloud, execution)

    assert (ended["status"], ended["error"], ended["redriveCount"]) == ("FAILED", "E", 1)
    assert cloud.events(execution).count("FailStateEntered Only") == 2


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html#redrive-behavior-states",
)
def test_only_the_failed_and_aborted_branches_of_a_parallel_run_again(cloud: StepsCloud) -> None:
    good, bad = failing(cloud, "good", times=0), failing(cloud, "bad")
    before = failing(cloud, "before", times=0)
    branches = [
        only(invoke("good", OutputPath="$.Payload")),
        {
            "StartAt": "Before",
            "States": {
                "Before": invoke("before", ResultPath=None, Next="Pause"),
                "Pause": {"Type": "Wait", "Seconds": 30, "Next": "Bad"},
                "Bad": invoke("bad", OutputPath="$.Payload"),
            },
        },
        {"StartAt": "Slow", "States": {"Slow": {"Type": "Wait", "Seconds": 60, "End": True}}},
    ]
    machine = {
        "StartAt": "Both",
        "States": {
            "Both": {"Type": "Parallel", "Branches": branches, "Next": "After"},
            "After": {"Type": "Pass", "End": True},
        },
    }
    execution = cloud.start(machine, {"a": 1})
    assert cloud.ended(execution)["error"] == "RuntimeError"

    ended = redrive(cloud, execution)

    assert json.loads(ended["output"]) == [{"calls": 1}, {"calls": 2}, {"a": 1}]
    assert (len(good), len(before), len(bad)) == (1, 1, 2)
    entered = [event for event in cloud.events(execution) if "Entered" in event]
    assert len(entered) == len(set(entered)), "no state is entered twice"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html#redrive-behavior-states",
)
def test_a_parallel_within_a_parallel_goes_on_inside(cloud: StepsCloud) -> None:
    good, bad = failing(cloud, "good", times=0), failing(cloud, "bad")
    slow_bad = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 20, "Next": "B"}, "B": invoke("bad")}}
    inner = {"Type": "Parallel", "Branches": [only(invoke("good")), slow_bad], "End": True}
    execution = cloud.start(only({"Type": "Parallel", "Branches": [only(inner)], "End": True}))
    cloud.ended(execution)

    assert redrive(cloud, execution)["status"] == "SUCCEEDED"
    assert (len(good), len(bad)) == (1, 2)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html#redrive-retry-behavior",
    "https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html",
)
def test_a_parallels_retry_after_a_redrive_runs_all_its_branches(cloud: StepsCloud) -> None:
    good, bad = failing(cloud, "good", times=0), failing(cloud, "bad", times=3)
    slow_bad = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 20, "Next": "B"}, "B": invoke("bad")}}
    retry = [{"ErrorEquals": ["RuntimeError"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    parallel = {"Type": "Parallel", "Branches": [only(invoke("good")), slow_bad], "Retry": retry, "End": True}
    execution = cloud.start(only(parallel))
    cloud.ended(execution)
    assert (len(good), len(bad)) == (2, 2)

    assert redrive(cloud, execution)["status"] == "SUCCEEDED"
    assert (len(good), len(bad)) == (3, 4), "the redrive spares the good branch, the retry does not"


@pytest.mark.ours
def test_a_redrive_within_a_map_is_refused_by_name(cloud: StepsCloud) -> None:
    failing(cloud, "f", times=9)
    mapped = {"Type": "Map", "ItemProcessor": only(invoke("f")), "End": True}
    execution = cloud.start({"StartAt": "Each file", "States": {"Each file": mapped}}, [1])
    assert cloud.ended(execution)["redriveStatus"] == "NOT_REDRIVABLE"

    with pytest.raises(ClientError, match="Map state 'Each file'"):
        cloud.client("stepfunctions").redrive_execution(executionArn=execution)


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html")
def test_a_running_or_successful_execution_is_not_redrivable(cloud: StepsCloud) -> None:
    running = cloud.start(only({"Type": "Wait", "Seconds": 1000, "End": True}))
    succeeded = cloud.start(only({"Type": "Succeed"}))
    cloud.ended(succeeded)

    for execution in (running, succeeded):
        with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
            cloud.client("stepfunctions").redrive_execution(executionArn=execution)


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_RedriveExecution.html")
def test_an_unknown_execution_does_not_exist(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Succeed"}))
    arn = machine.replace(":stateMachine:", ":execution:") + ":nope"

    with pytest.raises(ClientError, match="ExecutionDoesNotExist"):
        cloud.client("stepfunctions").redrive_execution(executionArn=arn)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html",
    "https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html",
)
@pytest.mark.parametrize(
    ("ended_as", "stopped", "reason"),
    [
        ("FAILED", NOW - timedelta(days=13, hours=23), None),
        ("TIMED_OUT", NOW - timedelta(days=1), None),
        ("ABORTED", NOW - timedelta(days=1), None),
        ("FAILED", NOW - timedelta(days=14, seconds=1), "Execution redrivable period exceeded"),
        ("RUNNING", None, "Execution is RUNNING and cannot be redriven"),
        ("SUCCEEDED", NOW, "Execution is SUCCEEDED and cannot be redriven"),
    ],
)
def test_what_cannot_be_redriven_has_awss_reason(ended_as: str, stopped: datetime | None, reason: str | None) -> None:
    assert status.why_not_redrivable(ended_as, stopped, NOW) == reason


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html")
def test_redrives_can_be_listed(cloud: StepsCloud) -> None:
    failing(cloud, "f")
    machine = cloud.machine(only(invoke("f")))
    redriven, plain = cloud.start_on(machine), None
    cloud.ended(redriven)
    redrive(cloud, redriven)
    plain = cloud.start_on(machine)
    cloud.ended(plain)

    def listed(which: str) -> list[str]:
        found = cloud.client("stepfunctions").list_executions(stateMachineArn=machine, redriveFilter=which)
        return [execution["executionArn"] for execution in found["executions"]]

    assert (listed("REDRIVEN"), listed("NOT_REDRIVEN")) == ([redriven], [plain])
