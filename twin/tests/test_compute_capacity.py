"""Waiting in RUNNABLE, and what queues do about it (AWS Batch User Guide, "Jobs stuck in a RUNNABLE status")."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from clouds.compute import BatchCloud, batch_cloud
from clouds.recorded import recording, shape
from twin.compute.scheduler import Market

if TYPE_CHECKING:
    from collections.abc import Iterator

STUCK = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
MAX_RESOURCE = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


def cancel_after(seconds: int, reason: str) -> dict[str, object]:
    return {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": seconds, "action": "CANCEL"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchCloud]:
    """Ten minutes of AWS's waits take a tenth of a second here."""
    with batch_cloud(tmp_path_factory.mktemp("project"), scale=6000) as running:
        running.definition("naps", "sleep", "0.3")
        running.definition("sleeps", "sleep", "60")
        yield running


@pytest.fixture
def cloud(shared: BatchCloud, request: pytest.FixtureRequest) -> Iterator[BatchCloud]:
    """Queues and environments of the test's own, and markets that lend without limit."""
    shared.prefix = f"t{abs(hash(request.node.name))}-"
    shared.events.clear()
    yield shared
    for job in list(shared.control.jobs.values()):
        shared.control.terminate(job, "the test is over")
    for market in Market:
        set_supply(shared, market, math.inf)


def set_supply(cloud: BatchCloud, market: Market, vcpus: float) -> None:
    with cloud.control.lock:
        cloud.control.waiting.set_supply(market, vcpus)
    cloud.control.look_for_room()


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_scheduling.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_states.html",
)
def test_jobs_wait_for_room_in_the_order_of_submission(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env", vcpus=1))
    ids = [cloud.submit(definition, "main") for definition in ("sleeps", "naps", "naps")]
    for job_id, status in zip(ids, ("RUNNING", "RUNNABLE", "RUNNABLE"), strict=True):
        assert "statusReason" not in cloud.until(job_id, status)
    cloud.client.terminate_job(jobId=ids[0], reason="let the others run")
    jobs = [cloud.ended(job_id) for job_id in ids]
    assert all(later["startedAt"] >= earlier["stoppedAt"] for earlier, later in itertools.pairwise(jobs))


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_capacity.html",
    "https://docs.aws.amazon.com/batch/latest/userguide/batch-job-queue-blocked-events.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobStateTimeLimitAction.html",
)
def test_a_spot_market_without_supply_is_named_and_the_queue_cancels_after_its_time(cloud: BatchCloud) -> None:
    set_supply(cloud, Market.SPOT, 0)
    limits = [cancel_after(1200, STUCK), cancel_after(600, MAX_RESOURCE)]
    spot = cloud.environment("env", "SPOT", instanceTypes=["g5.xlarge"])
    cloud.queue("spot", spot, jobStateTimeLimitActions=limits)
    job_id = cloud.submit("naps", "spot")
    stuck = cloud.when(job_id, lambda job: "statusReason" in job)
    assert stuck["status"] == "RUNNABLE"
    assert stuck["statusReason"] == (
        f"{STUCK} - Service cannot fulfill the capacity requested for instance type [g5.xlarge]"
    )
    job = cloud.ended(job_id)
    assert (job["status"], job["statusReason"]) == (
        "FAILED",
        f"Canceled by JobStateTimeLimit action due to reason: {STUCK}",
    )
    assert job["attempts"] == []
    assert job["stoppedAt"] - job["createdAt"] >= 200
    blocked = [event for event in cloud.events if event["type"] == "Batch Job Queue Blocked"]
    assert [event["detail"]["jobId"] for event in blocked] == [job_id]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/batch-job-queue-blocked-events.html")
def test_the_event_of_a_blocked_queue_is_aws_s(cloud: BatchCloud) -> None:
    set_supply(cloud, Market.SPOT, 0)
    cloud.queue("spot", cloud.environment("env", "SPOT"))
    job_id = cloud.submit(
        cloud.definition("event-test", "sleep", "600", vcpus=2, memory=256), "spot", retryStrategy={"attempts": 2}
    )
    stuck = cloud.when(job_id, lambda job: "statusReason" in job)
    blocked = cloud.first_of("Batch Job Queue Blocked")
    recorded = recording("batch-job-queue-blocked")
    assert (blocked["source"], blocked["type"]) == (recorded["source"], recorded["detail-type"])
    assert blocked["resources"] == [stuck["jobArn"], stuck["jobQueue"]]
    detail = shape(blocked["detail"])
    # A job's detail has these too by now (API Reference, JobDetail), and in the twin its tags, as in the other event.
    beyond = {name: detail.pop(name) for name in ("isCancelled", "isTerminated", "platformCapabilities", "tags")}
    assert detail == shape(recorded["detail"])
    assert beyond == {
        "isCancelled": "bool",
        "isTerminated": "bool",
        "platformCapabilities": [],
        "tags": {"resourceArn": "str"},
    }


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_states.html")
def test_without_a_time_limit_a_stuck_job_stays(cloud: BatchCloud) -> None:
    set_supply(cloud, Market.SPOT, 0)
    cloud.queue("spot", cloud.environment("env", "SPOT"))
    job_id = cloud.submit("naps", "spot")
    time.sleep(0.3)
    assert cloud.job(job_id)["status"] == "RUNNABLE"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html")
def test_when_supply_comes_back_in_time_the_job_runs(cloud: BatchCloud) -> None:
    set_supply(cloud, Market.SPOT, 0)
    cloud.queue("spot", cloud.environment("env", "SPOT"), jobStateTimeLimitActions=[cancel_after(86_400, STUCK)])
    job_id = cloud.submit("naps", "spot")
    cloud.when(job_id, lambda job: "statusReason" in job)
    set_supply(cloud, Market.SPOT, 4)
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobDetail.html",
)
@pytest.mark.parametrize(
    ("asked", "reason"), [({"vcpus": 8}, MAX_RESOURCE), ({"memory": 10_000_000}, REQUIREMENT)], ids=["vcpus", "memory"]
)
def test_what_can_never_be_placed_is_a_misconfiguration(cloud: BatchCloud, asked: dict[str, int], reason: str) -> None:
    cloud.queue("main", cloud.environment("env", vcpus=4), jobStateTimeLimitActions=[cancel_after(600, reason)])
    job_id = cloud.submit(cloud.definition("large", "true", **asked), "main")
    assert cloud.ended(job_id)["statusReason"] == f"Canceled by JobStateTimeLimit action due to reason: {reason}"


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_JobStateTimeLimitAction.html",
)
def test_only_the_reason_that_the_queue_names_cancels(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env", vcpus=4), jobStateTimeLimitActions=[cancel_after(600, STUCK)])
    job_id = cloud.submit(cloud.definition("large", "true", vcpus=8), "main")
    time.sleep(0.3)
    job = cloud.job(job_id)
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith(f"{MAX_RESOURCE} - CE(s) associated with the job queue cannot meet")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable_capacity.html")
def test_a_cancelled_head_lets_the_next_job_through(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env", vcpus=4))
    large = cloud.submit(cloud.definition("large", "true", vcpus=8), "main")
    behind = cloud.submit("naps", "main")
    cloud.when(large, lambda job: "statusReason" in job)
    cloud.until(behind, "RUNNABLE")
    cloud.client.cancel_job(jobId=large, reason="too large")
    assert cloud.ended(behind)["status"] == "SUCCEEDED"
    assert cloud.job(large)["statusReason"] == "too large"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/mnp-ce.html")
def test_a_gang_on_spot_stays_runnable_for_ever_without_a_word(cloud: BatchCloud) -> None:
    limits = [cancel_after(600, reason) for reason in (STUCK, MAX_RESOURCE, REQUIREMENT)]
    cloud.queue("spot", cloud.environment("env", "SPOT"), jobStateTimeLimitActions=limits)
    cloud.gang("gang", 2, "true")
    job_id = cloud.submit("gang", "spot")
    time.sleep(0.4)
    job = cloud.job(job_id)
    assert job["status"] == "RUNNABLE"
    assert "statusReason" not in job
    assert not [event for event in cloud.events if event["type"] == "Batch Job Queue Blocked"]


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html")
def test_two_arrays_starve_each_other_on_capacity_for_one(cloud: BatchCloud) -> None:
    """Children are placed one by one: nothing keeps the two halves of different gangs apart."""
    environment = cloud.environment("env", "SPOT", vcpus=2)
    cloud.queue("a", environment)
    cloud.queue("b", environment)
    first = cloud.submit("sleeps", "a", arrayProperties={"size": 2}, dependsOn=[{"type": "SEQUENTIAL"}])
    cloud.until(f"{first}:0", "RUNNING")
    second = cloud.submit("sleeps", "b", arrayProperties={"size": 2})
    cloud.until(f"{second}:0", "RUNNING")
    assert cloud.job(f"{second}:1")["status"] == "RUNNABLE"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateComputeEnvironment.html")
def test_raising_maxvcpus_lets_waiting_jobs_run(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env", vcpus=1))
    job_id = cloud.submit(cloud.definition("large", "true", vcpus=4), "main")
    cloud.when(job_id, lambda job: "statusReason" in job)
    cloud.client.update_compute_environment(computeEnvironment=f"{cloud.prefix}env", computeResources={"maxvCpus": 4})
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateComputeEnvironment.html")
def test_an_environment_made_without_a_state_is_enabled(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env", state=None))
    assert cloud.ended(cloud.submit("naps", "main"))["status"] == "SUCCEEDED"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateComputeEnvironment.html")
def test_a_disabled_environment_takes_no_jobs(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env", state="DISABLED"))
    job_id = cloud.submit("naps", "main")
    time.sleep(0.2)
    assert cloud.job(job_id)["status"] == "RUNNABLE"
    cloud.client.update_compute_environment(computeEnvironment=f"{cloud.prefix}env", state="ENABLED")
    assert cloud.ended(job_id)["status"] == "SUCCEEDED"


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html")
def test_a_disabled_queue_takes_no_jobs(cloud: BatchCloud) -> None:
    cloud.queue("main", cloud.environment("env"))
    cloud.client.update_job_queue(jobQueue=f"{cloud.prefix}main", state="DISABLED")
    with pytest.raises(ClientError, match="DISABLED"):
        cloud.submit("naps", "main")


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/share-identifiers.html")
def test_a_fair_share_queue_serves_the_share_that_runs_less(cloud: BatchCloud) -> None:
    policy = cloud.client.create_scheduling_policy(
        name="fair", fairsharePolicy={"shareDistribution": [{"shareIdentifier": "b", "weightFactor": 1.0}]}
    )
    cloud.queue("fair", cloud.environment("env", vcpus=2), schedulingPolicyArn=policy["arn"])
    running = cloud.submit("sleeps", "fair", shareIdentifier="a")
    cloud.until(running, "RUNNING")
    set_supply(cloud, Market.ON_DEMAND, 0)
    second_a, first_b = (cloud.submit("sleeps", "fair", shareIdentifier=share) for share in "ab")
    for job_id in (second_a, first_b):
        cloud.until(job_id, "RUNNABLE")
    set_supply(cloud, Market.ON_DEMAND, 2)
    cloud.until(first_b, "RUNNING")
    assert cloud.job(second_a)["status"] == "RUNNABLE"
    assert cloud.job(first_b)["shareIdentifier"] == "b"
