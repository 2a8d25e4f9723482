"""Tasks that call functions and API actions: answers, errors, and task tokens."""

from __future__ import annotations

import functools
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clouds.steps import LAUNCH, ROLE, StepsCloud, only, refused, task, until


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html")
def test_a_functions_answer_is_its_parsed_payload(cloud: StepsCloud) -> None:
    cloud.functions["f"] = lambda event: {"twice": event["n"] * 2}

    ended = cloud.run(only(task("lambda:invoke", {"FunctionName": "f", "Payload": {"n.$": "$.n"}})), {"n": 2})

    output = json.loads(ended["output"])
    assert (output["StatusCode"], output["Payload"]) == (200, {"twice": 4})


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
)
def test_a_functions_exception_is_the_error(cloud: StepsCloud) -> None:
    def fail(event: Any) -> Any:
        raise KeyError("x")

    cloud.functions["f"] = fail

    ended = cloud.run(only(task("lambda:invoke", {"FunctionName": "f"})))

    assert ended["error"] == "KeyError"
    assert json.loads(ended["cause"])["errorMessage"] == "'x'"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
    "https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html",
)
def test_a_missing_function_is_lambdas_error(cloud: StepsCloud) -> None:
    assert (
        cloud.run(only(task("lambda:invoke", {"FunctionName": "nope"})))["error"] == "Lambda.ResourceNotFoundException"
    )


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html",
)
def test_an_answered_token_is_the_result(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    execution = cloud.start(only(task("lambda:invoke.waitForTaskToken", LAUNCH)))
    until(lambda: tokens)

    cloud.client("stepfunctions").send_task_success(taskToken=tokens[0], output='{"done": 1}')

    assert json.loads(cloud.ended(execution)["output"]) == {"done": 1}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token",
)
def test_an_answer_before_the_function_returns_counts(cloud: StepsCloud) -> None:
    def answer(event: Any) -> None:
        cloud.client("stepfunctions").send_task_success(taskToken=event["token"], output='"early"')

    cloud.functions["launch"] = answer

    assert cloud.run(only(task("lambda:invoke.waitForTaskToken", LAUNCH)))["output"] == '"early"'


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html")
def test_a_failed_token_has_its_own_error_and_cause(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    execution = cloud.start(only(task("lambda:invoke.waitForTaskToken", LAUNCH)))
    until(lambda: tokens)

    cloud.client("stepfunctions").send_task_failure(taskToken=tokens[0], error="Spot.Interrupted", cause="i-1")

    ended = cloud.ended(execution)
    assert (ended["error"], ended["cause"]) == ("Spot.Interrupted", "i-1")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-retrying-after-an-error",
)
def test_each_attempt_has_a_token_of_its_own_and_waits_anew(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    retry = [{"ErrorEquals": ["Spot.Interrupted"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    execution = cloud.start(only(task("lambda:invoke.waitForTaskToken", LAUNCH, Retry=retry)))
    until(lambda: tokens)
    sfn = cloud.client("stepfunctions")

    sfn.send_task_failure(taskToken=tokens[0], error="Spot.Interrupted")
    until(lambda: len(tokens) == 2)
    time.sleep(0.1)

    assert tokens[0] != tokens[1]
    assert cloud.described(execution)["status"] == "RUNNING", "the first attempt's answer is not the second's"
    sfn.send_task_success(taskToken=tokens[1], output="2")
    assert cloud.ended(execution)["output"] == "2"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-fallback-states",
)
def test_a_caught_error_goes_on_with_its_name_and_cause(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    catch = [{"ErrorEquals": ["Spot.NoCapacity"], "ResultPath": "$.spot", "Next": "Other"}]
    machine = {
        "StartAt": "Spot",
        "States": {
            "Spot": task("lambda:invoke.waitForTaskToken", LAUNCH, Catch=catch),
            "Other": {"Type": "Succeed"},
        },
    }
    execution = cloud.start(machine, {"run": "r"})
    until(lambda: tokens)

    cloud.client("stepfunctions").send_task_failure(taskToken=tokens[0], error="Spot.NoCapacity", cause="none")

    assert json.loads(cloud.ended(execution)["output"]) == {
        "run": "r",
        "spot": {"Error": "Spot.NoCapacity", "Cause": "none"},
    }


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html")
def test_a_token_that_never_was_is_invalid(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match="InvalidToken"):
        cloud.client("stepfunctions").send_task_success(taskToken="made up", output="1")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html")
def test_a_used_token_has_timed_out(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    execution = cloud.start(only(task("lambda:invoke.waitForTaskToken", LAUNCH)))
    until(lambda: tokens)
    sfn = cloud.client("stepfunctions")
    sfn.send_task_success(taskToken=tokens[0], output="1")

    with pytest.raises(ClientError, match="TaskTimedOut"):
        sfn.send_task_failure(taskToken=tokens[0], error="late")

    assert cloud.ended(execution)["output"] == "1"


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskHeartbeat.html")
def test_a_timed_out_or_stopped_tasks_token_has_timed_out(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    sfn = cloud.client("stepfunctions")
    cloud.run(only(task("lambda:invoke.waitForTaskToken", LAUNCH, TimeoutSeconds=5)))
    stopped = cloud.start(only(task("lambda:invoke.waitForTaskToken", LAUNCH)))
    until(lambda: len(tokens) == 2)

    sfn.stop_execution(executionArn=stopped)

    assert cloud.described(stopped)["status"] == "ABORTED"
    for token in tokens:
        until(functools.partial(timed_out, sfn, token))


def timed_out(sfn: Any, token: str) -> bool:
    return refused(sfn, token) == "TaskTimedOut"


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html")
def test_an_answer_that_is_no_json_is_refused(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match="InvalidOutput"):
        cloud.client("stepfunctions").send_task_success(taskToken="any", output="{")


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html")
def test_an_answer_that_is_too_long_is_refused(cloud: StepsCloud) -> None:
    with pytest.raises(ClientError, match="InvalidOutput"):
        cloud.client("stepfunctions").send_task_success(taskToken="any", output=f'"{"ä" * (256 * 1024 // 2)}"')


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#wait-token-hearbeat",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
)
def test_a_missing_heartbeat_is_a_timeout_and_one_that_comes_is_not(cloud: StepsCloud) -> None:
    tokens = cloud.tokens()
    state = task("lambda:invoke.waitForTaskToken", LAUNCH, HeartbeatSeconds=60, TimeoutSeconds=1000)
    execution = cloud.start(only(state))
    until(lambda: tokens)

    for _ in range(4):
        time.sleep(0.3)
        cloud.client("stepfunctions").send_task_heartbeat(taskToken=tokens[0])
    assert cloud.described(execution)["status"] == "RUNNING"

    assert cloud.ended(execution)["error"] == "States.HeartbeatTimeout"


def bucket(cloud: StepsCloud, name: str) -> Any:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/list-obj-version-enabled-bucket.html",
)
def test_object_versions_are_listed_newest_first_with_iso_times(cloud: StepsCloud) -> None:
    s3 = bucket(cloud, "versions")
    s3.put_object(Bucket="versions", Key="k", Body=b"1")
    newest = s3.put_object(Bucket="versions", Key="k", Body=b"2")["VersionId"]

    ended = cloud.run(only(task("aws-sdk:s3:listObjectVersions", {"Bucket": "versions", "Prefix": "k", "MaxKeys": 1})))

    (version,) = json.loads(ended["output"])["Versions"]
    assert version["VersionId"] == newest
    assert version["IsLatest"] is True
    assert version["LastModified"].endswith("Z")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    "https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html",
)
def test_an_objects_head_has_its_metadata_as_written(cloud: StepsCloud) -> None:
    bucket(cloud, "head").put_object(Bucket="head", Key="k", Body=b"1", Metadata={"analyse": "yes"})

    ended = cloud.run(only(task("aws-sdk:s3:headObject", {"Bucket": "head", "Key": "k"})))

    assert json.loads(ended["output"])["Metadata"] == {"analyse": "yes"}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html",
)
def test_an_objects_body_is_text(cloud: StepsCloud) -> None:
    bucket(cloud, "body").put_object(Bucket="body", Key="k", Body=b'{"a": 1}')

    ended = cloud.run(only(task("aws-sdk:s3:getObject", {"Bucket": "body", "Key": "k"})))

    assert json.loads(ended["output"])["Body"] == '{"a": 1}'


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
)
@pytest.mark.parametrize(
    ("action", "parameters", "error"),
    [
        ("headObject", {"Bucket": "errors", "Key": "nope"}, "S3.NoSuchKeyException"),
        ("getObject", {"Bucket": "errors", "Key": "nope"}, "S3.NoSuchKeyException"),
        ("getObject", {"Bucket": "no-bucket", "Key": "nope"}, "S3.NoSuchBucketException"),
        ("getObject", {"Bucket": "errors", "Key": "k", "VersionId": "nope"}, "S3.S3Exception"),
    ],
)
def test_api_errors_have_the_names_of_awss_sdk(
    cloud: StepsCloud, action: str, parameters: dict[str, str], error: str
) -> None:
    bucket(cloud, "errors").put_object(Bucket="errors", Key="k", Body=b"")

    assert cloud.run(only(task(f"aws-sdk:s3:{action}", parameters)))["error"] == error


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html")
def test_tasks_call_with_the_machines_own_role(cloud: StepsCloud) -> None:
    ended = cloud.run(only(task("aws-sdk:sts:getCallerIdentity", {})))

    assert json.loads(ended["output"])["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/machine/")


@pytest.mark.ours
def test_a_role_that_is_not_deployed_is_named(cloud: StepsCloud) -> None:
    arn = cloud.client("stepfunctions").create_state_machine(
        name="roleless",
        definition=json.dumps(only(task("aws-sdk:sts:getCallerIdentity", {}))),
        roleArn=ROLE.replace("machine", "missing"),
    )["stateMachineArn"]

    assert "role/missing" in cloud.ended(cloud.start_on(arn))["cause"]
