"""Many jobs at once: few threads, nothing left behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from clouds.compute import batch_cloud
from twin.compute import control

pytestmark = pytest.mark.ours


def test_noop_jobs_end_at_once_and_well(tmp_path: Path) -> None:
    with batch_cloud(tmp_path, noop=True) as cloud:
        cloud.queue("main", cloud.environment("main-env"))
        cloud.definition("anything", "no-such-program", container={"image": "no-such-image"})
        job_id = cloud.submit("anything", "main", arrayProperties={"size": 3})
        assert cloud.ended(job_id)["status"] == "SUCCEEDED"
        assert cloud.job(f"{job_id}:2")["container"]["exitCode"] == 0


def test_a_hundred_jobs_at_once_need_few_threads_and_all_end(tmp_path: Path) -> None:
    with batch_cloud(tmp_path) as cloud:
        cloud.queue("main", cloud.environment("main-env", vcpus=100))
        cloud.definition("naps", "sleep", "0.5")
        before = threading.active_count()
        job_id = cloud.submit("naps", "main", arrayProperties={"size": 100})
        most = 0
        while cloud.job(job_id)["status"] not in ("SUCCEEDED", "FAILED"):
            most = max(most, threading.active_count())
            time.sleep(0.05)
        summary = cloud.job(job_id)["arrayProperties"]["statusSummary"]
        assert summary["SUCCEEDED"] == 100
        assert most - before <= 2


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open descriptors are counted in /proc")
def test_nothing_is_left_when_it_stops(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with batch_cloud(tmp_path) as cloud:  # the first one opens what the process keeps
        cloud.queue("main", cloud.environment("main-env"))
        cloud.definition("naps", "sleep", "60")
        cloud.until(cloud.submit("naps", "main"), "RUNNING")
    threads, open_before = threading.active_count(), descriptors()
    children = {process.pid for process in psutil.Process().children(recursive=True)}
    with batch_cloud(tmp_path) as cloud:
        cloud.queue("main", cloud.environment("main-env"))
        cloud.definition("naps", "sleep", "60")
        for job_id in [cloud.submit("naps", "main") for _ in range(5)]:
            cloud.until(job_id, "RUNNING")
    assert threading.active_count() == threads
    assert descriptors() == open_before
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= children


def test_a_job_that_ended_costs_little_memory(tmp_path: Path) -> None:
    """A thousand runs one after another are some thousands of jobs that DescribeJobs must still know."""
    with batch_cloud(tmp_path, noop=True) as cloud:
        cloud.queue("main", cloud.environment("main-env", vcpus=10_000))
        cloud.definition("nothing", "true")
        cloud.ended(cloud.submit("nothing", "main", arrayProperties={"size": 500}))
        before = psutil.Process().memory_info().rss
        cloud.ended(cloud.submit("nothing", "main", arrayProperties={"size": 2000}))
        assert (psutil.Process().memory_info().rss - before) / 2000 < 20_000


def test_only_the_latest_ended_jobs_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REMEMBERED_JOBS", 2)
    with batch_cloud(tmp_path, noop=True) as cloud:
        cloud.queue("main", cloud.environment("main-env"))
        cloud.definition("nothing", "true")
        array = cloud.submit("nothing", "main", arrayProperties={"size": 2})
        cloud.ended(array)
        later = [cloud.submit("nothing", "main") for _ in range(2)]
        for job_id in later:
            cloud.ended(job_id)
        described = cloud.client.describe_jobs(jobs=[array, f"{array}:0", *later])["jobs"]
        assert [job["jobId"] for job in described] == later
