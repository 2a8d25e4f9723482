"""Array jobs (AWS Batch User Guide, "Array jobs")."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from clouds.compute import BatchCloud, batch_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Child n waits until the file that is named by GATE appears, then leaves with the n-th of CODES.
GATED = "while [ ! -e $GATE ]; do sleep 0.01; done; shift $AWS_BATCH_JOB_ARRAY_INDEX; exit $1"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchCloud]:
    with batch_cloud(tmp_path_factory.mktemp("project"), scale=60) as running:
        running.queue("main", running.environment("main-env", vcpus=8))
        running.definition("index", "sh", "-c", "echo $AWS_BATCH_JOB_ARRAY_INDEX of $AWS_BATCH_JOB_ARRAY_SIZE")
        yield running


def gated(cloud: BatchCloud, name: str, *codes: int) -> tuple[str, Path]:
    """An array whose children end with `codes` when the returned file is made."""
    gate = cloud.root / name
    container = {"environment": [{"name": "GATE", "value": str(gate)}]}
    cloud.definition(name, "sh", "-c", GATED, "sh", *map(str, codes), container=container)
    return cloud.submit(name, "main", arrayProperties={"size": len(codes)}), gate


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html",
)
def test_each_child_knows_its_place(cloud: BatchCloud) -> None:
    job_id = cloud.submit("index", "main", arrayProperties={"size": 3})
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"
    for index in range(3):
        child = cloud.job(f"{job_id}:{index}")
        assert child["arrayProperties"] == {"statusSummary": {}, "index": index}
        assert child["jobArn"].endswith(f"{job_id}:{index}")
        assert cloud.output(child) == [f"{index} of 3"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html",
)
def test_a_parent_is_pending_until_all_its_children_have_ended_and_then_failed(cloud: BatchCloud) -> None:
    job_id, gate = gated(cloud, "mixed", 0, 3, 0)
    for index in range(3):
        cloud.until(f"{job_id}:{index}", "RUNNING")
    parent = cloud.job(job_id)
    assert parent["status"] == "PENDING"
    assert parent["arrayProperties"]["size"] == 3
    assert parent["arrayProperties"]["statusSummary"]["RUNNING"] == 3
    gate.touch()
    parent = cloud.ended(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    assert parent["arrayProperties"]["statusSummary"]["FAILED"] == 1
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 2
    assert parent["stoppedAt"] >= max(cloud.job(f"{job_id}:{index}")["stoppedAt"] for index in range(3))
    assert cloud.statuses_when(job_id, "FAILED") == ["PENDING", "FAILED"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html")
def test_one_child_that_still_waits_keeps_a_failed_array_open(cloud: BatchCloud) -> None:
    job_id, gate = gated(cloud, "nine", 1, *[0] * 8)
    last = f"{job_id}:8"
    cloud.until(f"{job_id}:7", "RUNNING")
    assert cloud.job(last)["status"] == "RUNNABLE"
    cloud.client.terminate_job(jobId=f"{job_id}:0", reason="lost")
    assert cloud.ended(f"{job_id}:0")["status"] == "FAILED"
    assert cloud.job(job_id)["status"] == "PENDING"
    cloud.until(last, "RUNNING")
    gate.touch()
    assert cloud.ended(job_id)["status"] == "FAILED"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html")
def test_terminating_a_parent_ends_every_child(cloud: BatchCloud) -> None:
    job_id, _ = gated(cloud, "many", *[0] * 10)
    cloud.until(f"{job_id}:7", "RUNNING")
    cloud.client.terminate_job(jobId=job_id, reason="superseded")
    parent = cloud.ended(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "superseded")
    reasons = {cloud.job(f"{job_id}:{index}")["statusReason"] for index in range(10)}
    assert reasons == {"superseded"}
    assert cloud.job(f"{job_id}:9")["attempts"] == []


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CancelJob.html")
def test_cancelling_a_parent_ends_the_children_that_have_not_started(cloud: BatchCloud) -> None:
    job_id, gate = gated(cloud, "some", *[0] * 10)
    cloud.until(f"{job_id}:7", "RUNNING")
    cloud.client.cancel_job(jobId=job_id, reason="not needed")
    assert cloud.job(f"{job_id}:9")["statusReason"] == "not needed"
    assert cloud.job(f"{job_id}:0")["status"] == "RUNNING"
    gate.touch()
    parent = cloud.ended(job_id)
    assert (parent["status"], parent["isCancelled"]) == ("FAILED", True)
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 8


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html")
def test_children_are_listed_by_their_array(cloud: BatchCloud) -> None:
    job_id, gate = gated(cloud, "listed", 0, 0)
    cloud.until(f"{job_id}:1", "RUNNING")
    children = cloud.client.list_jobs(arrayJobId=job_id)["jobSummaryList"]
    assert [child["jobId"] for child in children] == [f"{job_id}:0", f"{job_id}:1"]
    assert [child["arrayProperties"]["index"] for child in children] == [0, 1]
    assert cloud.client.list_jobs(arrayJobId=job_id, jobStatus="FAILED")["jobSummaryList"] == []
    in_queue = cloud.client.list_jobs(jobQueue="main", filters=[{"name": "JOB_NAME", "values": ["job"]}])
    ids = [job["jobId"] for job in in_queue["jobSummaryList"]]
    assert job_id in ids
    assert f"{job_id}:0" not in ids
    gate.touch()
    cloud.ended(job_id)


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_dependencies.html",
)
def test_sequential_children_run_one_after_another(cloud: BatchCloud) -> None:
    job_id = cloud.submit("index", "main", arrayProperties={"size": 3}, dependsOn=[{"type": "SEQUENTIAL"}])
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"
    children = [cloud.job(f"{job_id}:{index}") for index in range(3)]
    assert all(later["startedAt"] >= earlier["stoppedAt"] for earlier, later in itertools.pairwise(children))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_dependencies.html",
)
def test_n_to_n_children_wait_for_their_own_number(cloud: BatchCloud) -> None:
    first, gate = gated(cloud, "pairs", 0, 1)
    second = cloud.submit("index", "main", arrayProperties={"size": 2}, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    cloud.until(f"{second}:0", "PENDING")
    assert cloud.job(second)["status"] == "SUBMITTED", "a parent is PENDING once a child is RUNNABLE"
    gate.touch()
    assert cloud.ended(f"{second}:0")["status"] == "SUCCEEDED"
    assert cloud.ended(f"{second}:1")["statusReason"] == "Dependent Job failed"
    assert cloud.ended(second)["status"] == "FAILED"
