"""Spot reclaims (Amazon EC2 User Guide, "Spot Instance interruption notices"; AWS Batch, "Host EC2 … terminated")."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from clouds.compute import BatchCloud, batch_cloud
from twin.compute.spot import CannotReclaim, reclaim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.compute.processes import ContainerProcess

POLITE = 'trap "echo leaving; exit 75" TERM; echo ready; while :; do sleep 0.01; done'


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchCloud]:
    """The two minutes of a notice take a second here."""
    with batch_cloud(tmp_path_factory.mktemp("project"), scale=120) as running:
        running.queue("spot", running.environment("spot-env", "SPOT", vcpus=64))
        running.queue("main", running.environment("main-env", "EC2", vcpus=8))
        running.definition("sleeps", "sleep", "60")
        running.definition("polite", "sh", "-c", POLITE)
        yield running


def ready(cloud: BatchCloud, job_id: str) -> dict[str, Any]:
    cloud.until(job_id, "RUNNING")
    return cloud.when(job_id, lambda job: "ready" in cloud.output(job))


def process_of(cloud: BatchCloud, job_id: str) -> ContainerProcess:
    member = cloud.control.jobs[job_id].main
    assert member is not None
    assert member.process is not None
    return member.process


class Metadata:
    """A program's view of its instance."""

    def __init__(self, cloud: BatchCloud, job_id: str) -> None:
        member = cloud.control.jobs[job_id].main
        assert member is not None
        assert member.place is not None
        self.instance = member.place.instance

    def token(self, seconds: str = "60") -> str:
        return self._ask("/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": seconds})

    def get(self, path: str, token: str | None = None) -> str:
        return self._ask(f"/latest/meta-data/{path}", "GET", {"X-aws-ec2-metadata-token": token or self.token()})

    def get_for(self, seconds: float, path: str) -> None:
        """Keep asking; whoever waits for an answer when the socket closes is cut off, and asks again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.get(path)
            except ConnectionResetError:
                continue
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionResetError):
                    raise

    def status(self, path: str) -> int:
        try:
            self.get(path)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(self.instance.endpoint + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=5) as reply:
            return str(reply.read().decode())


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html",
    "https://aws.amazon.com/blogs/compute/introducing-retry-strategies-for-aws-batch/",
)
def test_a_reclaim_without_notice_kills_before_it_returns(cloud: BatchCloud) -> None:
    job_id = cloud.submit("polite", "spot")
    ready(cloud, job_id)
    process = process_of(cloud, job_id)
    instance = reclaim(cloud.control, job_id, None, notice_seconds=0)
    assert not process.running
    job = cloud.ended(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", f"Host EC2 (instance {instance}) terminated.")
    assert "exitCode" not in job["container"]
    assert "leaving" not in cloud.output(job)
    assert job["attempts"][0]["statusReason"] == job["statusReason"]


@pytest.mark.documented(
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html",
    "https://aws.amazon.com/blogs/compute/introducing-retry-strategies-for-aws-batch/",
)
def test_a_notice_comes_first_then_sigterm(cloud: BatchCloud) -> None:
    job_id = cloud.submit("polite", "spot")
    ready(cloud, job_id)
    metadata = Metadata(cloud, job_id)
    assert metadata.status("spot/instance-action") == 404
    asked = time.monotonic()
    instance = reclaim(cloud.control, job_id, None, None)
    assert instance == metadata.get("instance-id")
    notice = json.loads(metadata.get("spot/instance-action"))
    assert notice["action"] == "terminate"
    assert notice["time"] == metadata.get("spot/termination-time")
    assert cloud.job(job_id)["status"] == "RUNNING"
    job = cloud.ended(job_id)
    assert time.monotonic() - asked >= 1.0
    assert job["statusReason"] == f"Host EC2 (instance {instance}) terminated."
    assert job["container"]["exitCode"] == 75
    assert cloud.output(job)[-1] == "leaving"


@pytest.mark.ours
def test_what_ignores_sigterm_is_killed_when_the_host_is_down(cloud: BatchCloud) -> None:
    job_id = cloud.submit("sleeps", "spot")
    cloud.until(job_id, "RUNNING")
    reclaim(cloud.control, job_id, None, notice_seconds=12)
    assert cloud.ended(job_id)["container"]["exitCode"] == 137


@pytest.mark.documented("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html")
def test_a_job_that_leaves_on_the_notice_ends_as_it_says_itself(cloud: BatchCloud) -> None:
    job_id = cloud.submit(cloud.definition("leaves", "sh", "-c", "echo ready; sleep 0.3; exit 75"), "spot")
    ready(cloud, job_id)
    reclaim(cloud.control, job_id, None, None)
    job = cloud.ended(job_id)
    assert (job["statusReason"], job["container"]["exitCode"]) == ("Essential container in task exited", 75)
    time.sleep(1.0)  # the notice runs out on an instance that has gone
    assert cloud.job(job_id) == job


@pytest.mark.ours
def test_an_instance_takes_its_metadata_with_it(cloud: BatchCloud) -> None:
    job_id = cloud.submit("sleeps", "spot")
    cloud.until(job_id, "RUNNING")
    metadata = Metadata(cloud, job_id)
    assert metadata.get("local-ipv4") == metadata.instance.address
    reclaim(cloud.control, job_id, None, notice_seconds=0)
    cloud.ended(job_id)
    with pytest.raises(urllib.error.URLError, match="refused"):
        metadata.get_for(5.0, "instance-id")


@pytest.mark.documented(
    "https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html",
    "https://aws.amazon.com/blogs/compute/introducing-retry-strategies-for-aws-batch/",
)
def test_a_reclaimed_job_with_attempts_left_gets_another_instance(cloud: BatchCloud) -> None:
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onStatusReason": "*", "action": "EXIT"}]
    job_id = cloud.submit("sleeps", "spot", retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    cloud.until(job_id, "RUNNING")
    first = reclaim(cloud.control, job_id, None, notice_seconds=0)
    cloud.when(job_id, lambda job: job["status"] == "RUNNING" and len(job["attempts"]) == 1)
    assert reclaim(cloud.control, job_id, None, notice_seconds=0) != first
    assert len(cloud.ended(job_id)["attempts"]) == 2


@pytest.mark.documented("https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html")
def test_one_member_of_an_array_can_be_taken(cloud: BatchCloud) -> None:
    job_id = cloud.submit("sleeps", "spot", arrayProperties={"size": 3})
    for index in range(3):
        cloud.until(f"{job_id}:{index}", "RUNNING")
    reclaim(cloud.control, job_id, 1, notice_seconds=0)
    assert cloud.ended(f"{job_id}:1")["statusReason"].startswith("Host EC2 (instance i-")
    assert [cloud.job(f"{job_id}:{index}")["status"] for index in (0, 2)] == ["RUNNING", "RUNNING"]
    reclaim(cloud.control, job_id, None, notice_seconds=0)
    assert cloud.ended(f"{job_id}:0")["status"] == "FAILED"
    reclaim(cloud.control, f"{job_id}:2", None, notice_seconds=0)
    assert cloud.ended(job_id)["statusReason"] == "Array Child Job failed"


@pytest.mark.ours
def test_on_demand_capacity_is_not_reclaimed(cloud: BatchCloud) -> None:
    job_id = cloud.submit("sleeps", "main")
    cloud.until(job_id, "RUNNING")
    with pytest.raises(CannotReclaim, match="On-Demand"):
        reclaim(cloud.control, job_id, None, None)


@pytest.mark.ours
def test_what_does_not_run_cannot_be_reclaimed(cloud: BatchCloud) -> None:
    with pytest.raises(CannotReclaim, match="no job nothing"):
        reclaim(cloud.control, "nothing", None, None)
    job_id = cloud.submit("sleeps", "spot", arrayProperties={"size": 2})
    cloud.until(f"{job_id}:1", "RUNNING")
    with pytest.raises(CannotReclaim, match=r"not member 7 runs \(0: RUNNING, 1: RUNNING\)"):
        reclaim(cloud.control, job_id, 7, None)


@pytest.mark.documented("https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html")
def test_fargate_spot_warns_with_sigterm_and_says_so_in_its_own_words(cloud: BatchCloud) -> None:
    cloud.queue("fargate", cloud.environment("fargate-env", "FARGATE_SPOT", vcpus=4))
    fargate: dict[str, Any] = {
        "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}],
    }
    cloud.definition("on-fargate", "sh", "-c", POLITE, container=fargate, platformCapabilities=["FARGATE"])
    job_id = cloud.submit("on-fargate", "fargate")
    ready(cloud, job_id)
    reclaim(cloud.control, job_id, None, None)
    assert cloud.ended(job_id)["statusReason"] == "Your Spot Task was interrupted."


@pytest.mark.ours
def test_each_instance_has_an_id_and_on_linux_an_address_of_its_own(cloud: BatchCloud) -> None:
    job_id = cloud.submit("sleeps", "spot", arrayProperties={"size": 3})
    seen = []
    for index in range(3):
        cloud.until(f"{job_id}:{index}", "RUNNING")
        metadata = Metadata(cloud, f"{job_id}:{index}")
        seen.append((metadata.get("instance-id"), metadata.get("local-ipv4"), metadata.instance.endpoint))
    ids, addresses, endpoints = zip(*seen, strict=True)
    assert len(set(ids)) == len(set(endpoints)) == 3
    assert all(len(instance) == 19 and instance.startswith("i-") for instance in ids)
    assert len(set(addresses)) == 3 or set(addresses) == {"127.0.0.1"}
