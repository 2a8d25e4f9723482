"""State machines on the twin's interpreter: errors, waits, the context object, and the API around executions."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clouds.steps import LAUNCH, ROLE, WAIT, StepsCloud, only, refused, task
from twin import credentials
from twin.executions import errors

AWS = Path(sys.executable).with_name("aws")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html")
@pytest.mark.parametrize(
    ("names", "error", "caught"),
    [
        (["Spot.Interrupted"], "Spot.Interrupted", True),
        (["Spot.Interrupted"], "Spot.NoCapacity", False),
        (["States.ALL"], "Spot.NoCapacity", True),
        (["States.ALL"], "States.TaskFailed", True),
        (["States.ALL"], "States.Timeout", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.DataLimitExceeded"], "States.DataLimitExceeded", True),
        (["States.Runtime"], "States.Runtime", False),
        (["States.TaskFailed"], "Spot.NoCapacity", True),
        (["States.TaskFailed"], "States.TaskFailed", True),
        (["States.TaskFailed"], "States.BranchFailed", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.Timeout"], "States.HeartbeatTimeout", True),
        (["States.HeartbeatTimeout"], "States.Timeout", False),
    ],
)
def test_error_lists_apply_as_awss_do(names: list[str], error: str, caught: bool) -> None:
    assert errors.catches(names, error) is caught


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html")
@pytest.mark.parametrize(
    ("service_id", "name"),
    [
        ("S3", "S3"),
        ("DynamoDB", "DynamoDb"),
        ("SFN", "Sfn"),
        ("SQS", "Sqs"),
        ("Secrets Manager", "SecretsManager"),
        ("CloudWatch Logs", "CloudWatchLogs"),
        ("Batch", "Batch"),
        ("EventBridge", "EventBridge"),
    ],
)
def test_services_are_called_as_in_the_sdk_for_java(service_id: str, name: str) -> None:
    assert errors.java_name(service_id) == name


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html")
def test_a_stop_interrupts_a_retrys_interval(cloud: StepsCloud) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5000, "MaxAttempts": 3}]
    execution = cloud.start(only(task("lambda:invoke", {"FunctionName": "nope"}, Retry=retry)))
    cloud.until_event(execution, "TaskFailed")

    began = time.monotonic()
    cloud.client("stepfunctions").stop_execution(executionArn=execution)

    assert cloud.described(execution)["status"] == "ABORTED"
    assert time.monotonic() - began < 1.0


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html")
def test_a_stop_does_not_wait_for_a_function_that_is_busy(cloud: StepsCloud) -> None:
    release = threading.Event()
    cloud.functions["busy"] = lambda event: release.wait(10)
    execution = cloud.start(only(task("lambda:invoke", {"FunctionName": "busy"})))
    cloud.until_event(execution, "TaskStarted")

    cloud.client("stepfunctions").stop_execution(executionArn=execution)
    status = cloud.described(execution)["status"]
    release.set()

    assert status == "ABORTED"
    time.sleep(0.2)
    assert cloud.events(execution)[-1] == "ExecutionAborted", "what ends later writes no history any more"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html",
)
def test_a_stop_at_any_moment_ends_as_aborted_with_an_end_in_the_history(cloud: StepsCloud) -> None:
    loop = {
        "StartAt": "A",
        "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}},
    }
    machine = cloud.machine(loop)

    for number in range(30):
        execution = cloud.start_on(machine)
        time.sleep(number / 1000)
        cloud.client("stepfunctions").stop_execution(executionArn=execution)
        assert cloud.described(execution)["status"] == "ABORTED"
        last = cloud.client("stepfunctions").get_execution_history(
            executionArn=execution, reverseOrder=True, maxResults=1
        )
        assert last["events"][0]["type"] == "ExecutionAborted"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
)
def test_an_attempt_that_timed_out_counts_no_more_whatever_comes_of_it(cloud: StepsCloud) -> None:
    release, tokens = threading.Event(), []

    def busy(event: Any) -> None:
        tokens.append(event["token"])
        release.wait(10)

    cloud.functions["launch"] = busy
    machine = {
        "StartAt": "Late",
        "States": {
            "Late": task(
                "lambda:invoke.waitForTaskToken",
                LAUNCH,
                TimeoutSeconds=20,
                Catch=[{"ErrorEquals": ["States.Timeout"], "Next": "Wait"}],
            ),
            "Wait": {"Type": "Wait", "Seconds": 100, "End": True},
        },
    }

    execution = cloud.start(machine)
    cloud.until_event(execution, "WaitStateEntered")
    answer = refused(cloud.client("stepfunctions"), tokens[0])
    release.set()
    cloud.ended(execution)

    assert answer == "TaskTimedOut"
    types = [event["type"] for event in cloud.history(execution)]
    assert types[types.index("TaskTimedOut") + 1 :] == [
        "TaskStateExited",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html")
def test_a_map_runs_its_items(cloud: StepsCloud) -> None:
    cloud.functions["f"] = lambda event: event["n"] * 2
    item = only(task("lambda:invoke", {"FunctionName": "f", "Payload.$": "$"}, OutputPath="$.Payload"))
    mapped = {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ItemProcessor": item, "End": True}

    ended = cloud.run(only(mapped), {"items": [{"n": n} for n in range(5)]})

    assert json.loads(ended["output"]) == [0, 2, 4, 6, 8]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-retrying-after-an-error",
)
def test_retries_wait_in_scaled_time(cloud: StepsCloud) -> None:
    retry = [
        {
            "ErrorEquals": ["States.ALL"],
            "IntervalSeconds": 10,
            "BackoffRate": 2,
            "MaxAttempts": 3,
            "MaxDelaySeconds": 30,
        }
    ]

    began = time.monotonic()
    execution = cloud.start(only(task("lambda:invoke", {"FunctionName": "nope"}, Retry=retry)))
    cloud.ended(execution)

    assert 0.6 <= time.monotonic() - began < 1.5, "10 + 20 + 30 seconds at a scale of 100"
    assert cloud.events(execution).count("TaskFailed") == 4


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html",
)
def test_an_execution_that_takes_too_long_times_out(cloud: StepsCloud) -> None:
    ended = cloud.run({**only(WAIT), "TimeoutSeconds": 10})

    assert ended["status"] == "TIMED_OUT"
    assert ended["stopDate"] > ended["startDate"]
    assert ended["redriveStatus"] == "REDRIVABLE"


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html")
def test_the_context_object_has_what_aws_documents(cloud: StepsCloud) -> None:
    parameters = {
        "id.$": "$$.Execution.Id",
        "name.$": "$$.Execution.Name",
        "input.$": "$$.Execution.Input",
        "start.$": "$$.Execution.StartTime",
        "role.$": "$$.Execution.RoleArn",
        "redrives.$": "$$.Execution.RedriveCount",
        "state.$": "$$.State.Name",
        "machine.$": "$$.StateMachine.Name",
    }

    arn = cloud.start(only({"Type": "Pass", "Parameters": parameters, "End": True}), {"a": 1}, name="run-1")

    seen = json.loads(cloud.ended(arn)["output"])
    assert (seen["id"], seen["name"], seen["input"], seen["role"]) == (arn, "run-1", {"a": 1}, ROLE)
    assert (seen["redrives"], seen["state"]) == (0, "Only")
    assert seen["start"].endswith("Z")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html")
def test_starting_twice_with_the_same_input_is_one_execution(cloud: StepsCloud) -> None:
    machine = cloud.machine(only(WAIT))

    first, second = (cloud.start_on(machine, {"a": 1}, name="one") for _ in range(2))

    assert first == second
    listed = cloud.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert len(listed) == 1


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html")
def test_many_starts_at_once_are_one_execution(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Pass", "End": True}))
    with ThreadPoolExecutor(16) as pool:
        results = [pool.submit(cloud.start_on, machine, name="same") for _ in range(16)]

    refusals = [str(error) for result in results if (error := result.exception())]
    assert all("ExecutionAlreadyExists" in refusal for refusal in refusals)
    assert len(cloud.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]) == 1


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html")
@pytest.mark.parametrize(("state", "given"), [(WAIT, {"a": 2}), ({"Type": "Succeed"}, {"a": 1})])
def test_a_name_with_another_input_or_a_closed_execution_is_taken(
    cloud: StepsCloud, state: dict[str, Any], given: dict[str, Any]
) -> None:
    machine = cloud.machine(only(state))
    first = cloud.start_on(machine, {"a": 1}, name="one")
    if state != WAIT:
        cloud.ended(first)

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        cloud.start_on(machine, given, name="one")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html")
@pytest.mark.parametrize("name", ["a b", "x" * 81, "a/b"])
def test_a_name_aws_would_refuse_is_refused(cloud: StepsCloud, name: str) -> None:
    with pytest.raises(ClientError):
        cloud.start_on(cloud.machine(only(WAIT)), name=name)


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html")
def test_an_input_that_is_too_long_is_refused(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Succeed"}))
    # Step Functions counts bytes of UTF-8: two for each of these, and the quotes.
    longest = 256 * 1024 // 2 - 1

    cloud.client("stepfunctions").start_execution(stateMachineArn=machine, input=f'"{"ä" * longest}"')
    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        cloud.client("stepfunctions").start_execution(stateMachineArn=machine, input=f'"{"ä" * (longest + 1)}"')


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html")
def test_an_unnamed_execution_gets_a_name_of_its_own(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Succeed"}))

    assert cloud.start_on(machine) != cloud.start_on(machine)


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html")
def test_executions_are_listed_by_status(cloud: StepsCloud) -> None:
    machine = cloud.machine(
        {
            "StartAt": "C",
            "States": {
                "C": {
                    "Type": "Choice",
                    "Choices": [{"Variable": "$.ok", "BooleanEquals": True, "Next": "S"}],
                    "Default": "F",
                },
                "S": {"Type": "Succeed"},
                "F": {"Type": "Fail", "Error": "E"},
            },
        }
    )
    for ok in (True, False, False):
        cloud.ended(cloud.start_on(machine, {"ok": ok}))

    listed = cloud.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="FAILED")["executions"]

    assert [execution["status"] for execution in listed] == ["FAILED", "FAILED"]


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html")
def test_a_history_comes_in_pages_and_backwards(cloud: StepsCloud) -> None:
    execution = cloud.start(only({"Type": "Pass", "End": True}))
    cloud.ended(execution)
    sfn = cloud.client("stepfunctions")

    pages = sfn.get_paginator("get_execution_history").paginate(
        executionArn=execution, PaginationConfig={"PageSize": 1}
    )
    assert [event["id"] for page in pages for event in page["events"]] == [1, 2, 3, 4]
    backwards = sfn.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=1)["events"]
    assert backwards[0]["type"] == "ExecutionSucceeded"


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html")
def test_a_machine_of_the_same_name_but_another_definition_exists_already(cloud: StepsCloud) -> None:
    arn = cloud.machine(only({"Type": "Succeed"}), name="taken")

    assert cloud.machine(only({"Type": "Succeed"}), name="taken") == arn
    with pytest.raises(ClientError, match="StateMachineAlreadyExists"):
        cloud.machine(only(WAIT), name="taken")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html")
def test_another_role_is_ignored_where_the_machine_is_there_already(cloud: StepsCloud) -> None:
    made = {"name": "kept", "definition": json.dumps(only({"Type": "Succeed"}))}
    sfn = cloud.client("stepfunctions")
    arn = sfn.create_state_machine(**made, roleArn=ROLE)["stateMachineArn"]

    assert sfn.create_state_machine(**made, roleArn=f"{ROLE}-2")["stateMachineArn"] == arn
    assert sfn.describe_state_machine(stateMachineArn=arn)["roleArn"] == ROLE
    with pytest.raises(ClientError, match="StateMachineAlreadyExists"):
        sfn.create_state_machine(**made, roleArn=ROLE, tracingConfiguration={"enabled": True})


@pytest.mark.ours
def test_an_express_machine_is_refused(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match="StateMachineTypeNotSupported"):
        cloud.client("stepfunctions").create_state_machine(
            name="express", definition=json.dumps(only(WAIT)), roleArn=ROLE, type="EXPRESS"
        )


@pytest.mark.documented("https://docs.aws.amazon.com/cli/latest/reference/stepfunctions/index.html")
def test_the_aws_command_works_on_executions(cloud: StepsCloud) -> None:
    execution = cloud.start(only(WAIT), name="by-hand")
    machine = cloud.described(execution)["stateMachineArn"]
    environment = {
        "AWS_ENDPOINT_URL": credentials.endpoint(),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        **credentials.administrator(),
    }

    def aws(*arguments: str) -> Any:
        command = [str(AWS), "stepfunctions", *arguments, "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert "stopDate" in aws("stop-execution", "--execution-arn", execution, "--error", "E")
    assert aws("describe-execution", "--execution-arn", execution)["status"] == "ABORTED"
    assert "redriveDate" in aws("redrive-execution", "--execution-arn", execution)
    (listed,) = aws("list-executions", "--state-machine-arn", machine, "--status-filter", "RUNNING")["executions"]
    assert listed["name"] == "by-hand"
    types = [event["type"] for event in aws("get-execution-history", "--execution-arn", execution)["events"]]
    assert types == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted", "ExecutionRedriven"]


@pytest.mark.ours
def test_forty_executions_at_once_end(cloud: StepsCloud) -> None:
    machine = cloud.machine(only({"Type": "Wait", "Seconds": 50, "End": True}))

    executions_started = [cloud.start_on(machine) for _ in range(40)]

    assert {cloud.ended(execution)["status"] for execution in executions_started} == {"SUCCEEDED"}
