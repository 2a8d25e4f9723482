"""Tasks that run Batch jobs: what Batch is given, what becomes of a job, and what a stop does."""

from __future__ import annotations

import json
import time

import pytest

from clouds.steps import StepsCloud, job, only, task
from twin import events


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html",
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync",
)
def test_a_finished_job_is_the_result_in_pascal_case(cloud: StepsCloud) -> None:
    cloud.batch.at_once = {"container": {"logStreamName": "stream"}, "tags": {"shop:order": "r"}}

    ended = cloud.run(only(job()))

    result = json.loads(ended["output"])
    assert result["Status"] == "SUCCEEDED"
    assert result["Container"] == {"LogStreamName": "stream"}
    assert result["Tags"] == {"shop:order": "r"}, "keys of maps are data"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
    "https://github.com/aws/aws-lambda-dotnet/blob/c38a0cecd1421c1aef33b37bf42f628f912e1ec0/Libraries/test/EventsTests.Shared/batch-job-state-change-event.json",
)
def test_every_documented_parameter_reaches_batch_in_its_own_casing(cloud: StepsCloud) -> None:
    cloud.batch.at_once = {}
    parameters = {
        "JobName": "n",
        "JobQueue": "q",
        "JobDefinition": "d",
        "ArrayProperties": {"Size": 4},
        "ContainerOverrides": {"Command": ["a"], "Environment": [{"Name": "A", "Value.$": "$.a"}]},
        "DependsOn": [{"JobId": "x", "Type": "SEQUENTIAL"}],
        "Parameters": {"Key": "value"},
        "PropagateTags": True,
        "RetryStrategy": {"Attempts": 2, "EvaluateOnExit": [{"Action": "EXIT", "OnReason": "*"}]},
        "SchedulingPriorityOverride": 3,
        "ShareIdentifier": "s",
        "Tags": {"shop:order.$": "$.a"},
        "Timeout": {"AttemptDurationSeconds": 60},
    }

    cloud.run(only(task("batch:submitJob.sync", parameters)), {"a": "1"})

    sent = cloud.batch.submitted[0]
    assert sent["containerOverrides"]["environment"] == [
        {"name": "A", "value": "1"},
        {"name": "MANAGED_BY_AWS", "value": "STARTED_BY_STEP_FUNCTIONS"},
    ]
    assert sent["arrayProperties"] == {"size": 4}
    assert sent["dependsOn"] == [{"jobId": "x", "type": "SEQUENTIAL"}]
    assert sent["parameters"] == {"Key": "value"}
    assert sent["propagateTags"] is True
    assert sent["retryStrategy"] == {"attempts": 2, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}]}
    assert (sent["schedulingPriorityOverride"], sent["shareIdentifier"]) == (3, "s")
    assert sent["tags"] == {"shop:order": "1"}
    assert sent["timeout"] == {"attemptDurationSeconds": 60}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync",
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
)
def test_a_failed_job_is_a_task_failure_whose_cause_is_the_job(cloud: StepsCloud) -> None:
    cloud.batch.at_once = {"status": "FAILED", "statusReason": "Host EC2 (instance i-1) terminated."}

    ended = cloud.run(only(job()))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(ended["cause"])["StatusReason"] == "Host EC2 (instance i-1) terminated."


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync")
def test_a_job_that_ends_wakes_its_task_at_once(cloud: StepsCloud) -> None:
    execution = cloud.start(only(job()))
    cloud.batch.until(lambda: bool(cloud.batch.jobs))
    cloud.until_event(execution, "TaskSubmitted")

    began = time.monotonic()
    cloud.batch.end("job-0")
    cloud.ended(execution)

    assert time.monotonic() - began < 1.0


@pytest.mark.documented("https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync")
def test_a_job_that_ends_without_a_word_is_found_all_the_same(cloud: StepsCloud) -> None:
    cloud.batch.silent = True
    execution = cloud.start(only(job()))
    cloud.batch.until(lambda: bool(cloud.batch.jobs))

    cloud.batch.end("job-0")

    assert cloud.ended(execution)["status"] == "SUCCEEDED"


@pytest.mark.ours
def test_a_look_that_fails_does_not_fail_the_task(cloud: StepsCloud) -> None:
    execution = cloud.start(only(job()))
    cloud.until_event(execution, "TaskSubmitted")
    forgotten = cloud.batch.jobs.pop("job-0")

    events.emit("aws.batch", "Batch Job State Change", [], {"jobId": "job-0", "status": "SUCCEEDED"})
    time.sleep(0.2)
    assert cloud.described(execution)["status"] == "RUNNING"
    cloud.batch.jobs["job-0"] = forgotten
    cloud.batch.end("job-0")

    assert cloud.ended(execution)["status"] == "SUCCEEDED"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
)
def test_a_refused_submission_has_batchs_own_error_name(cloud: StepsCloud) -> None:
    cloud.batch.refuse = "ClientException"
    assert cloud.run(only(job()))["error"] == "Batch.ClientException"
    cloud.batch.refuse = "ThrottlingException"
    assert cloud.run(only(job()))["error"] == "Batch.AWSBatchException"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync",
    "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html",
)
def test_stopping_an_execution_terminates_the_job_it_waits_for(cloud: StepsCloud) -> None:
    execution = cloud.start(only(job()))
    cloud.until_event(execution, "TaskSubmitted")

    cloud.client("stepfunctions").stop_execution(executionArn=execution, error="Operator", cause="no more")

    described = cloud.described(execution)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Operator", "no more")
    assert cloud.history(execution)[-1]["executionAbortedEventDetails"] == {"error": "Operator", "cause": "no more"}
    cloud.batch.until(lambda: "Step Functions" in cloud.batch.terminated.get("job-0", ""))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync",
    "https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html",
)
def test_a_failing_branch_terminates_its_siblings_job(cloud: StepsCloud) -> None:
    parallel = {
        "Type": "Parallel",
        "Branches": [
            only(job()),
            {
                "StartAt": "F",
                "States": {"F": {"Type": "Wait", "Seconds": 20, "Next": "X"}, "X": {"Type": "Fail", "Error": "E"}},
            },
        ],
        "End": True,
    }

    ended = cloud.run(only(parallel))

    assert ended["error"] == "E"
    cloud.batch.until(lambda: "job-0" in cloud.batch.terminated)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-sync",
    "https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html",
)
def test_a_tasks_own_timeout_fails_it_and_leaves_the_job_alone(cloud: StepsCloud) -> None:
    ended = cloud.run(only(job(TimeoutSeconds=20)))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert cloud.batch.terminated == {}
