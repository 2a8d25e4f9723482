"""What of a definition is refused, and what of a mock file: by name, before anything runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from clouds.steps import WAIT, StepsCloud, job, only, task
from twin import executions
from twin.executions import definition
from twin.executions.mocks import InvalidMocks

if TYPE_CHECKING:
    from pathlib import Path

MOCKS: dict[str, Any] = {
    "StateMachines": {
        "mocked": {
            "TestCases": {
                "Fallback": {"Spot": "Interrupted", "On-Demand": "Done"},
                "Failure": {"Spot": "Failed"},
            }
        }
    },
    "MockedResponses": {
        "Interrupted": {
            "0-1": {"Throw": {"Error": "Spot.Interrupted", "Cause": "i-1"}},
            "2": {"Throw": {"Error": "Spot.NoCapacity", "Cause": "none"}},
        },
        "Failed": {"0": {"Throw": {"Error": "States.TaskFailed", "Cause": "{}"}}},
        "Done": {"0": {"Return": {"JobId": "j"}}},
    },
}
MOCKED = {
    "StartAt": "Spot",
    "States": {
        "Spot": task(
            "lambda:invoke.waitForTaskToken",
            {"FunctionName": "launch", "Payload": {"token.$": "$$.Task.Token"}},
            Retry=[{"ErrorEquals": ["Spot.Interrupted"], "IntervalSeconds": 1, "MaxAttempts": 2}],
            Catch=[{"ErrorEquals": ["Spot.Interrupted", "Spot.NoCapacity"], "Next": "On-Demand"}],
            Next="On-Demand",
        ),
        "On-Demand": job(),
    },
}


@pytest.mark.ours
@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({**only(WAIT), "QueryLanguage": "JSONata"}, "QueryLanguage JSONata"),
        (only({**WAIT, "QueryLanguage": "JSONata"}), "'Only': QueryLanguage JSONata"),
        (only({"Type": "Pass", "Assign": {"a": 1}, "End": True}), "'Only': the field Assign"),
        (only({**WAIT, "Type": "Nap"}), "'Only': the type 'Nap'"),
        (only(task("glue:startJobRun.sync", {})), "aws-sdk:glue"),
        (only(task("ecs:runTask", {})), "aws-sdk:ecs"),
        (only(task("batch:submitJob.waitForTaskToken", {})), "no pattern .waitForTaskToken"),
        (only(task("batch:submitJob.sync", {"NodeOverrides": {}})), "NodeOverrides is not supported"),
        (
            only(task("batch:submitJob", {"ContainerOverrides": {"Memroy": 1}})),
            "no parameter ContainerOverrides.Memroy",
        ),
        (only(task("aws-sdk:s3:headObject", {"Bukket": "b"})), "no parameter Bukket"),
        (only(task("aws-sdk:s3:headObjects", {})), "no API action headObjects"),
        (only(task("aws-sdk:s4:headObject", {})), "no AWS service s4"),
        (only(task("aws-sdk:s3:headObject.sync", {})), "no pattern .sync"),
        (only(job(HeartbeatSeconds=5, TimeoutSeconds=10)), "HeartbeatSeconds"),
        (only({**job(), "Resource": "arn:aws:lambda:us-east-1:1:function:f"}), "use arn:aws:states:::lambda:invoke"),
        ({"StartAt": "Nowhere", "States": {"Only": WAIT}}, "StartAt names 'Nowhere'"),
        (only({"Type": "Pass", "Next": "Nowhere"}), "goes on to 'Nowhere'"),
        (only({"Type": "Parallel", "Branches": [only({"Type": "Nap"})], "End": True}), "the type 'Nap'"),
        (
            only(
                {
                    "Type": "Map",
                    "ItemProcessor": {**only(WAIT), "ProcessorConfig": {"Mode": "DISTRIBUTED"}},
                    "End": True,
                }
            ),
            "mode DISTRIBUTED",
        ),
    ],
)
def test_what_the_twin_does_not_model_is_refused_by_name(machine: dict[str, Any], says: str) -> None:
    problems = definition.problems(machine)

    assert any(says in problem for problem in problems), problems


@pytest.mark.ours
def test_a_refused_definition_makes_no_machine(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match=r"InvalidDefinition.*state 'Only'.*Assign"):
        cloud.machine(only({"Type": "Pass", "Assign": {"a": 1}, "End": True}), name="refused")

    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        cloud.client("stepfunctions").describe_state_machine(
            stateMachineArn="arn:aws:states:us-east-1:123456789012:stateMachine:refused"
        )


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html",
    "https://states-language.net/spec.html",
)
@pytest.mark.parametrize("broken", ["{", '{"StartAt": "Only", "States": {"Only": {"Type": "Wait", "End": true}}}'])
def test_what_is_no_definition_at_all_is_invalid(cloud: StepsCloud, broken: str) -> None:
    with pytest.raises(ClientError, match="InvalidDefinition"):
        cloud.client("stepfunctions").create_state_machine(
            name="broken", definition=broken, roleArn="arn:aws:iam::123456789012:role/machine"
        )


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-test-sm-exec.html")
def test_a_mocked_case_runs_as_in_step_functions_local(cloud: StepsCloud, tmp_path: Path) -> None:
    (tmp_path / "mocks.json").write_text(json.dumps(MOCKS))
    executions.load_mocks(tmp_path / "mocks.json")
    machine = cloud.machine(MOCKED, name="mocked")

    fallback = cloud.start_on(f"{machine}#Fallback")
    failure = cloud.start_on(f"{machine}#Failure")

    assert json.loads(cloud.ended(fallback)["output"]) == {"JobId": "j"}
    assert cloud.events(fallback).count("TaskFailed") == 3
    assert cloud.ended(failure)["error"] == "States.TaskFailed"
    assert cloud.batch.jobs == {}, "nothing was called"


@pytest.mark.ours
def test_an_unknown_case_is_refused_with_the_known_ones(cloud: StepsCloud, tmp_path: Path) -> None:
    (tmp_path / "mocks.json").write_text(json.dumps(MOCKS))
    executions.load_mocks(tmp_path / "mocks.json")
    machine = cloud.machine(MOCKED, name="mocked")

    with pytest.raises(ClientError, match="Fallback"):
        cloud.start_on(f"{machine}#Nope")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-test-sm-exec.html")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"MockedResponses": {}}, "'Interrupted', which is not there"),
        ({"MockedResponses": {**MOCKS["MockedResponses"], "Done": {"1": {"Return": {}}}}}, "consecutively"),
        ({"MockedResponses": {**MOCKS["MockedResponses"], "Done": {"0": {}}}}, "either Return or Throw"),
    ],
)
def test_a_broken_mock_file_says_where(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    (tmp_path / "mocks.json").write_text(json.dumps({**MOCKS, **change}))

    with pytest.raises(InvalidMocks, match=says):
        executions.load_mocks(tmp_path / "mocks.json")
