"""What the rest of the twin uses of its Batch: listening, capacity, reclaims, in a running twin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from clouds.compute import BatchCloud, account_network
from twin import compute, credentials

if TYPE_CHECKING:
    from pathlib import Path

    from twin import Twin

pytestmark = pytest.mark.ours


@pytest.fixture
def cloud(twin: Twin, tmp_path: Path) -> BatchCloud:
    assert compute._control is not None
    return BatchCloud(compute._control, twin.client("batch"), tmp_path, account_network())


def test_a_listener_hears_of_every_change_and_capacity_can_be_taken_away(cloud: BatchCloud) -> None:
    heard: list[dict[str, Any]] = []
    compute.on_job_change(heard.append)
    cloud.queue("spot", cloud.environment("spot-env", "SPOT"))
    cloud.definition("nothing", "true")
    compute.set_capacity("spot", 0)
    job_id = cloud.submit("nothing", "spot")
    stuck = cloud.when(job_id, lambda job: "statusReason" in job)
    assert stuck["statusReason"].startswith("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    with pytest.raises(compute.CannotReclaim, match="it is RUNNABLE"):
        compute.reclaim(job_id)
    compute.set_capacity("SPOT", 8)
    job = cloud.ended(job_id)
    end = time.monotonic() + 5
    while (not heard or heard[-1]["status"] != "SUCCEEDED") and time.monotonic() < end:
        time.sleep(0.01)
    assert [detail["status"] for detail in heard] == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert heard[-1]["jobId"] == job["jobId"]


def test_an_unknown_market_is_an_error(cloud: BatchCloud) -> None:
    with pytest.raises(ValueError, match="MARS"):
        compute.set_capacity("mars", 1)


def test_without_a_twin_there_is_nothing_to_reclaim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "_control", None)
    with pytest.raises(credentials.NotConnected, match="no twin is running"):
        compute.reclaim("job")
