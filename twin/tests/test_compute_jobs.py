"""The life of a container job (AWS Batch User Guide, "Job states", "Automated job retries", "Job timeouts")."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from clouds.clients import REGION, client
from clouds.compute import BatchCloud, batch_cloud
from clouds.recorded import recording, shape
from twin.compute import validation

if TYPE_CHECKING:
    from collections.abc import Iterator

# Handles SIGTERM as a well-behaved job does, and says that it is ready to.
POLITE = 'trap "echo leaving; exit 75" TERM; echo ready; while :; do sleep 0.01; done'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchCloud]:
    """A Batch in which a minute of AWS's waits takes a second, with one queue on one On-Demand environment."""
    with batch_cloud(tmp_path_factory.mktemp("project"), scale=60) as running:
        running.queue("main", running.environment("main-env", vcpus=64))
        running.definition("true", "true")
        exits = {"environment": [{"name": "CODE", "value": "0"}]}
        running.definition("gate", "sh", "-c", "sleep 0.3; exit $CODE", container=exits)
        yield running


def running_output(cloud: BatchCloud, job_id: str, line: str) -> dict[str, Any]:
    """The job once its container has written `line`."""
    cloud.until(job_id, "RUNNING")
    return cloud.when(job_id, lambda job: line in cloud.output(job))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_states.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/batch_job_events.html",
)
def test_a_job_passes_through_its_states_and_events_tell_of_each(cloud: BatchCloud) -> None:
    job_id = cloud.submit("true", "main")
    job = cloud.ended(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 0
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert cloud.statuses_when(job_id, "SUCCEEDED") == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    last = cloud.changes(job_id)[-1]
    assert last["source"] == "aws.batch"
    assert last["resources"] == [job["jobArn"]]
    assert last["detail"] == job | {"tags": {"resourceArn": job["jobArn"]}}


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/batch_job_events.html")
def test_the_event_of_a_job_s_state_is_aws_s(cloud: BatchCloud) -> None:
    cloud.definition("event-test", "sleep", "600", vcpus=2, memory=256, retryStrategy={"attempts": 2})
    job_id = cloud.submit("event-test", "main")
    cloud.statuses_when(job_id, "RUNNABLE")
    cloud.client.terminate_job(jobId=job_id, reason="the event is all that is wanted")
    first = cloud.changes(job_id)[0]
    recorded = recording("batch-job-state-change")
    assert (first["source"], first["type"]) == (recorded["source"], recorded["detail-type"])
    assert shape(first["resources"]) == shape(recorded["resources"])
    detail = shape(first["detail"])
    beyond = {name: detail.pop(name) for name in ("isCancelled", "isTerminated")}
    assert detail == shape(recorded["detail"])
    assert beyond == {"isCancelled": "bool", "isTerminated": "bool"}, "younger than the page (API Reference, JobDetail)"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_states.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerDetail.html",
)
def test_a_failed_program_leaves_its_exit_code(cloud: BatchCloud) -> None:
    job = cloud.ended(cloud.submit(cloud.definition("fails", "sh", "-c", "exit 65"), "main"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 65)
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [65]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html")
def test_a_container_sees_what_aws_gives_it_and_nothing_of_the_twin_s_own(
    cloud: BatchCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_IN_THE_TWIN", "1")
    cloud.definition(
        "env",
        "env",
        container={
            "jobRoleArn": "arn:aws:iam::123456789012:role/job",
            "environment": [{"name": "GIVEN", "value": "by the definition"}],
        },
    )
    overrides = {"environment": [{"name": "RUN_ID", "value": "r-1"}]}
    job = cloud.ended(cloud.submit("env", "main", containerOverrides=overrides))
    seen = dict(line.split("=", 1) for line in cloud.output(job))
    assert seen["AWS_BATCH_JOB_ID"] == job["jobId"]
    assert seen["AWS_BATCH_JQ_NAME"] == "main"
    assert seen["AWS_BATCH_CE_NAME"] == "main-env"
    assert seen["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert seen["AWS_ACCESS_KEY_ID"] == "key of arn:aws:iam::123456789012:role/job"
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == REGION
    assert seen["GIVEN"] == "by the definition"
    assert seen["RUN_ID"] == "r-1"
    assert "ONLY_IN_THE_TWIN" not in seen
    assert {name for name in seen if name.startswith("AWS_BATCH_")} == {
        "AWS_BATCH_JOB_ID",
        "AWS_BATCH_JOB_ATTEMPT",
        "AWS_BATCH_JQ_NAME",
        "AWS_BATCH_CE_NAME",
    }


@pytest.mark.ours
def test_a_container_s_own_folder_is_gone_with_it(cloud: BatchCloud) -> None:
    job_id = cloud.submit(cloud.definition("writes", "sh", "-c", "touch $TMPDIR/a ~/b; pwd; echo $TMPDIR"), "main")
    here, temporary = cloud.output(cloud.ended(job_id))
    assert here == temporary
    end = time.monotonic() + 5
    while Path(here).exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not Path(here).exists()


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_states.html",
)
def test_output_goes_to_a_stream_named_after_the_definition_and_the_task(cloud: BatchCloud) -> None:
    """AWS Batch User Guide, "Using the awslogs log driver": <definition>/default/<ECS task id>."""
    job = cloud.ended(
        cloud.submit(cloud.definition("speaks", "sh", "-c", "echo one; echo two >&2; printf three"), "main")
    )
    definition, default, task = job["container"]["logStreamName"].split("/")
    assert (definition, default) == ("speaks", "default")
    assert job["container"]["taskArn"].endswith(f"/{task}")
    assert cloud.output(job) == ["one", "two", "three"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html")
def test_a_definition_s_log_options_are_followed(cloud: BatchCloud) -> None:
    client("logs").create_log_group(logGroupName="/own/group")
    options = {"awslogs-group": "/own/group", "awslogs-stream-prefix": "prefix"}
    logging = {"logDriver": "awslogs", "options": options}
    cloud.definition("logs", "echo", "here", container={"logConfiguration": logging})
    job = cloud.ended(cloud.submit("logs", "main"))
    assert job["container"]["logStreamName"].startswith("prefix/default/")
    assert cloud.output(job, "/own/group") == ["here"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/using_awslogs.html",
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html",
)
def test_a_missing_log_group_keeps_a_container_from_starting(cloud: BatchCloud) -> None:
    logging = {"logDriver": "awslogs", "options": {"awslogs-group": "/no/such/group"}}
    cloud.definition("lost-logs", "true", container={"logConfiguration": logging})
    job = cloud.ended(cloud.submit("lost-logs", "main"))
    assert job["statusReason"] == "Task failed to start"
    assert "The specified log group does not exist" in job["container"]["reason"]


@pytest.mark.documented("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html")
def test_an_image_that_cannot_be_pulled_fails_without_an_exit_code(cloud: BatchCloud) -> None:
    cloud.definition("no-image", "true", container={"image": "public.ecr.aws/nothing:1"})
    job = cloud.ended(cloud.submit("no-image", "main"))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotPullContainerError: ")
    assert "exitCode" not in job["container"]


@pytest.mark.ours
def test_a_role_that_is_not_deployed_keeps_a_container_from_starting(cloud: BatchCloud) -> None:
    cloud.definition("no-role", "true", container={"jobRoleArn": "arn:aws:iam::123456789012:role/missing"})
    job = cloud.ended(cloud.submit("no-role", "main"))
    assert "unable to assume the role" in job["container"]["reason"]


@pytest.mark.documented("https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html")
def test_overrides_that_are_too_long_fail_when_the_task_starts(cloud: BatchCloud) -> None:
    overrides = {"environment": [{"name": "LONG", "value": "x" * 8192}]}
    job = cloud.ended(cloud.submit(cloud.definition("long", "true"), "main", containerOverrides=overrides))
    assert job["statusReason"] == "Container Overrides length must be at most 8192"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html")
def test_attempts_are_counted_and_described(cloud: BatchCloud) -> None:
    cloud.definition("retries", "sh", "-c", "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || exit 9", retryStrategy={"attempts": 3})
    job_id = cloud.submit("retries", "main")
    job = cloud.ended(job_id)
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [9, 0]
    streams = {attempt["container"]["logStreamName"] for attempt in job["attempts"]}
    assert len(streams) == 2
    assert cloud.statuses_when(job_id, "SUCCEEDED").count("RUNNABLE") == 2


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_EvaluateOnExit.html")
def test_a_rule_can_end_a_job_at_its_first_failure(cloud: BatchCloud) -> None:
    rules = [{"onExitCode": "65", "action": "EXIT"}]
    cloud.definition("exits", "sh", "-c", "exit 65")
    job = cloud.ended(cloud.submit("exits", "main", retryStrategy={"attempts": 5, "evaluateOnExit": rules}))
    assert len(job["attempts"]) == 1
    assert job["retryStrategy"] == {"attempts": 5, "evaluateOnExit": [{"onExitCode": "65", "action": "exit"}]}


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html")
def test_terminate_sends_sigterm_and_the_job_fails_with_the_given_reason(cloud: BatchCloud) -> None:
    job_id = cloud.submit(cloud.definition("polite", "sh", "-c", POLITE), "main")
    running_output(cloud, job_id, "ready")
    cloud.client.terminate_job(jobId=job_id, reason="superseded")
    job = cloud.ended(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "superseded")
    assert (job["isTerminated"], job["isCancelled"]) == (True, False)
    assert job["container"]["exitCode"] == 75
    assert cloud.output(job)[-1] == "leaving"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html")
def test_a_terminated_job_is_not_tried_again(cloud: BatchCloud) -> None:
    cloud.definition("stubborn-retry", "sh", "-c", POLITE, retryStrategy={"attempts": 3})
    job_id = cloud.submit("stubborn-retry", "main")
    running_output(cloud, job_id, "ready")
    cloud.client.terminate_job(jobId=job_id, reason="enough")
    assert len(cloud.ended(job_id)["attempts"]) == 1


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html")
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only /proc tells whether a process handles a signal"
)
def test_a_program_that_does_not_handle_sigterm_runs_until_sigkill(cloud: BatchCloud) -> None:
    """It is process 1 of its container, which the kernel spares signals that it does not handle (pid_namespaces(7))."""
    job_id = cloud.submit(cloud.definition("deaf", "sleep", "60"), "main")
    cloud.until(job_id, "RUNNING")
    asked = time.monotonic()
    cloud.client.terminate_job(jobId=job_id, reason="enough")
    job = cloud.ended(job_id)
    assert job["container"]["exitCode"] == 137
    assert time.monotonic() - asked >= 30 / 60


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_LinuxParameters.html")
def test_an_init_process_passes_sigterm_on(cloud: BatchCloud) -> None:
    init = {"linuxParameters": {"initProcessEnabled": True}}
    job_id = cloud.submit(cloud.definition("with-init", "sleep", "60", container=init), "main")
    cloud.until(job_id, "RUNNING")
    cloud.client.terminate_job(jobId=job_id, reason="enough")
    assert cloud.ended(job_id)["container"]["exitCode"] == 143


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html")
def test_a_job_past_its_time_is_stopped_and_not_tried_again(cloud: BatchCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS Batch User Guide, "Job timeouts": SIGTERM, 30 seconds, SIGKILL; "it isn't retried"."""
    monkeypatch.setattr(validation, "MINIMUM_TIMEOUT_SECONDS", 1)
    cloud.definition("slow", "sh", "-c", POLITE, retryStrategy={"attempts": 3})
    job = cloud.ended(cloud.submit("slow", "main", timeout={"attemptDurationSeconds": 1}))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")
    assert len(job["attempts"]) == 1
    assert job["container"]["exitCode"] == 75
    assert job["timeout"] == {"attemptDurationSeconds": 1}


@pytest.mark.ours
def test_processes_that_a_program_leaves_behind_end_with_it(cloud: BatchCloud) -> None:
    job_id = cloud.submit(cloud.definition("leaves", "sh", "-c", "sleep 300 & echo $!"), "main")
    (left,) = cloud.output(cloud.ended(job_id))
    end = time.monotonic() + 5
    while Path(f"/proc/{left}").exists() and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(int(left), 0)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html",
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/out-of-memory.html",
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="memory is read from /proc here")
def test_a_container_over_its_memory_is_killed(cloud: BatchCloud) -> None:
    program = "import time; held = b'x' * (200 << 20); time.sleep(60)"
    cloud.definition("greedy", "python", "-c", program, memory=100)
    job = cloud.ended(cloud.submit("greedy", "main"))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert job["container"]["exitCode"] == 137
    assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html")
def test_a_name_without_revision_means_the_newest_active_one(cloud: BatchCloud) -> None:
    for word in ("first", "second", "third"):
        cloud.definition("revised", "echo", word)
    cloud.client.deregister_job_definition(jobDefinition="revised:3")
    assert cloud.output(cloud.ended(cloud.submit("revised", "main"))) == ["second"]
    assert cloud.output(cloud.ended(cloud.submit("revised:1", "main"))) == ["first"]
    with pytest.raises(ClientError, match="INACTIVE"):
        cloud.submit("revised:3", "main")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_dependencies.html")
def test_a_dependent_job_waits_and_fails_with_what_it_depends_on(cloud: BatchCloud) -> None:
    failing = {"environment": [{"name": "CODE", "value": "1"}]}
    good, bad = cloud.submit("gate", "main"), cloud.submit("gate", "main", containerOverrides=failing)
    after_good = cloud.submit("true", "main", dependsOn=[{"jobId": good}])
    after_bad = cloud.submit("true", "main", dependsOn=[{"jobId": good}, {"jobId": bad}])
    assert cloud.until(after_good, "PENDING", "SUCCEEDED")["status"] == "PENDING"
    assert cloud.ended(after_good)["startedAt"] >= cloud.job(good)["stoppedAt"]
    job = cloud.ended(after_bad)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Dependent Job failed")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CancelJob.html")
def test_a_cancelled_job_that_depends_on_others_ends_after_them(cloud: BatchCloud) -> None:
    """API Reference, CancelJob: "A PENDING job is canceled after all dependency jobs are completed"."""
    first = cloud.submit("gate", "main")
    second = cloud.submit("true", "main", dependsOn=[{"jobId": first}])
    cloud.until(second, "PENDING")
    cloud.client.cancel_job(jobId=second, reason="not needed")
    assert cloud.job(second)["status"] == "PENDING"
    job = cloud.ended(second)
    assert (job["statusReason"], job["isCancelled"]) == ("not needed", True)
    assert job["stoppedAt"] >= cloud.ended(first)["stoppedAt"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CancelJob.html")
def test_cancelling_a_running_job_changes_nothing(cloud: BatchCloud) -> None:
    job_id = cloud.submit("gate", "main")
    cloud.until(job_id, "RUNNING")
    cloud.client.cancel_job(jobId=job_id, reason="too late")
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html",
)
def test_tags_are_kept_and_shown(cloud: BatchCloud) -> None:
    job = cloud.job(cloud.submit("true", "main", tags={"shop:order": "r"}, propagateTags=True))
    assert job["tags"] == {"shop:order": "r"}
    assert job["propagateTags"] is True
    assert cloud.client.list_tags_for_resource(resourceArn=job["jobArn"])["tags"] == {"shop:order": "r"}


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html",
)
def test_refusals_are_client_exceptions(cloud: BatchCloud) -> None:
    with pytest.raises(ClientError, match="does not exist") as refusal:
        cloud.submit("no-such-definition", "main")
    assert refusal.value.response["Error"]["Code"] == "ClientException"
    with pytest.raises(ClientError, match="does not exist"):
        cloud.submit("true", "no-such-queue")
    with pytest.raises(ClientError, match="dependency x does not exist"):
        cloud.submit("true", "main", dependsOn=[{"jobId": "x"}])
    cloud.client.terminate_job(jobId="never-seen", reason="as AWS: not an error")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html")
def test_jobs_are_listed_by_status_newest_first_and_in_pages(cloud: BatchCloud) -> None:
    """API Reference, ListJobs: without a status the RUNNING ones; a filter shows any status."""
    queue = cloud.queue("listed", cloud.environment("listed-env"))
    ids = [cloud.submit("true", queue, name=f"listed-{at}") for at in range(3)]
    for job_id in ids:
        cloud.ended(job_id)
    assert cloud.client.list_jobs(jobQueue=queue)["jobSummaryList"] == []
    done = cloud.client.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED", maxResults=2)
    assert [job["jobId"] for job in done["jobSummaryList"]] == [ids[2], ids[1]]
    rest = cloud.client.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED", nextToken=done["nextToken"])
    assert [job["jobId"] for job in rest["jobSummaryList"]] == [ids[0]]
    named = [{"name": "JOB_NAME", "values": ["LISTED-1*"]}]
    assert [job["jobId"] for job in cloud.client.list_jobs(jobQueue=queue, filters=named)["jobSummaryList"]] == [ids[1]]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html")
def test_a_filter_on_definitions_minds_the_case_and_knows_arns(cloud: BatchCloud) -> None:
    queue = cloud.queue("by-definition", cloud.environment("by-definition-env"))
    cloud.definition("Cased", "true")
    job = cloud.ended(cloud.submit("Cased", queue))

    def found(value: str) -> list[str]:
        filters = [{"name": "JOB_DEFINITION", "values": [value]}]
        return [item["jobId"] for item in cloud.client.list_jobs(jobQueue=queue, filters=filters)["jobSummaryList"]]

    assert found("Cased") == found("Cas*") == found(job["jobDefinition"]) == [job["jobId"]]
    assert found("cased") == found(job["jobDefinition"][:-1] + "9") == []


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html")
def test_a_filter_on_shares_goes_with_a_status(cloud: BatchCloud) -> None:
    policy = cloud.client.create_scheduling_policy(name="shares", fairsharePolicy={"shareDistribution": []})
    environment = cloud.environment("by-share-env")
    queue = cloud.queue("by-share", environment, schedulingPolicyArn=policy["arn"])
    job_id = cloud.ended(cloud.submit("true", queue, shareIdentifier="a"))["jobId"]

    def found(**status: str) -> list[str]:
        filters = [{"name": "SHARE_IDENTIFIER", "values": ["a"]}]
        listed = cloud.client.list_jobs(jobQueue=queue, filters=filters, **status)["jobSummaryList"]
        return [item["jobId"] for item in listed]

    assert found() == found(jobStatus="SUCCEEDED") == [job_id]
    assert found(jobStatus="FAILED") == []
