"""Timeline and cost are worth less than the results: what cannot be read is left out, and a log line gives the reason."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postprocess.timeline import read_timeline_and_cost
from spotline.cost_settings import CostSettings
from spotline.prices import SHIPPED

RUN = "flights-20130209-0123456789abcdef"
SETTINGS = CostSettings(
    job_queues="main,spot,main",
    spot_queues="spot",
    gang_instance_type="g6.2xlarge",
    ingest_bucket="ingest",
    results_bucket="results",
)
START = 1_360_368_000
CONTAINER = {"resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "15360"}]}
GANG = {"generation": 1, "market": "SPOT", "job_id": "a", "launched_at": "2013-02-09T00:00:30+00:00"}


def described(job_id: str, queue: str, stage: str, start: int, end: int, **changes: Any) -> dict[str, Any]:
    tags = {"spotline:run-id": RUN, "spotline:stage": stage, "spotline:generation": "1"}
    span = {"startedAt": (START + start) * 1000, "stoppedAt": (START + end) * 1000}
    job = {"jobId": job_id, "jobQueue": queue, "status": "SUCCEEDED", "createdAt": START * 1000, "tags": tags}
    return {**job, "container": CONTAINER, "attempts": [span], **span, **changes}


class Batch:
    """Jobs by queue; each list is asked for once."""

    def __init__(self, *jobs: dict[str, Any], down: bool = False) -> None:
        self.jobs = {job["jobId"]: job for job in jobs}
        self.down = down

    def get_paginator(self, _: str) -> Any:
        batch = self

        class Pages:
            def paginate(self, *, jobQueue: str, **_: Any) -> list[dict[str, Any]]:  # noqa: N803  as Batch names it
                if batch.down:
                    raise ClientError({"Error": {"Code": "ServerException", "Message": "down"}}, "ListJobs")
                found = [job for job in batch.jobs.values() if job["jobQueue"] == jobQueue and ":" not in job["jobId"]]
                return [{"jobSummaryList": found}]

        return Pages()

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        return {"jobs": [self.jobs[job] for job in jobs if job in self.jobs]}


class NoSuchKey(Exception):
    pass


class S3:
    """A price table, or none, and the moments at which the pointer was written."""

    def __init__(self, prices: bytes | None = None, saves: tuple[int, ...] = ()) -> None:
        self.exceptions = type("Exceptions", (), {"NoSuchKey": NoSuchKey})
        self._prices = prices
        self._saves = saves

    def get_object(self, **_: Any) -> dict[str, Any]:
        if self._prices is None:
            raise NoSuchKey
        return {"Body": io.BytesIO(self._prices), "ETag": "e", "ContentLength": len(self._prices)}

    def get_paginator(self, _: str) -> Any:
        versions = [
            {
                "Key": f"runs/{RUN}/analysis/checkpoints/pointer.json",
                "LastModified": datetime.fromtimestamp(START + save, UTC),
            }
            for save in self._saves
        ]

        class Pages:
            def paginate(self, **_: Any) -> list[dict[str, Any]]:
                return [{"Versions": versions}]

        return Pages()


def reclaimed_gang() -> Batch:
    reclaim = {"status": "FAILED", "statusReason": "Host EC2 (instance i-0) terminated."}
    return Batch(
        described("p", "main", "preprocess", 0, 3600),
        described(
            "a", "spot", "analysis", 3600, 7200, arrayProperties={"size": 2}, attempts=[], container={}, status="FAILED"
        ),
        described("a:0", "spot", "analysis", 3600, 7200, **reclaim),
        described("a:1", "spot", "analysis", 3600, 7200),
    )


def way(batch: Batch, s3: S3) -> tuple[Any, Any]:
    return read_timeline_and_cost(batch, s3, SETTINGS, RUN, [GANG])  # type: ignore[arg-type]


def test_jobs_checkpoints_and_prices_make_timeline_and_cost() -> None:
    legs, cost = way(reclaimed_gang(), S3(saves=(3700, 6300)))

    assert [leg.stage for leg in legs] == ["preprocess", "analysis"]
    assert cost is not None
    assert [job["job_id"] for job in cost["jobs"]] == ["a", "p"]
    # A member hour of the shipped table's g6.2xlarge is $0.39 on Spot, and the last quarter of each member's was lost
    assert cost["costs"] == {"SPOT": 0.78, "ON_DEMAND": 0.19}
    assert cost["wasted"] == pytest.approx(0.195)


def test_the_user_s_prices_go_before_the_shipped_ones() -> None:
    mine = json.loads(SHIPPED.read_bytes())
    mine["instances"]["m6i.xlarge"]["on_demand"] = 7.0

    _, cost = way(Batch(described("p", "main", "preprocess", 0, 3600)), S3(json.dumps(mine).encode()))

    assert cost is not None
    assert cost["total"] == 7.0


def test_without_a_usable_price_there_is_a_timeline_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    legs, cost = way(reclaimed_gang(), S3(b"{}"))

    assert (len(legs), cost) == (2, None)
    assert (
        "no cost can be estimated: the price table: expected schema 'spotline/prices/1', found null. Mend prices.json"
        in caplog.text
    )


def test_when_batch_does_not_answer_the_records_describe_the_gangs(caplog: pytest.LogCaptureFixture) -> None:
    legs, cost = way(Batch(down=True), S3())

    assert [(leg.stage, leg.generation) for leg in legs] == [("analysis", 1)]
    assert cost is None
    assert "jobs cannot be described" in caplog.text
