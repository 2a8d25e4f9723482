"""The edge to what a run's cost is made of: its jobs in Batch, its checkpoints' times, and the prices that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spotline.batch_jobs import jobs_of_run
from spotline.costs import Estimate, estimate
from spotline.documents import MIB
from spotline.layout import POINTER, PRICES, analysis_prefix
from spotline.objects import ObjectMissing, S3Objects
from spotline.prices import PriceTable
from spotline.usage import JobUse, job_use

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_s3 import S3Client

    from spotline.cost_settings import CostSettings


def uses_of_run(client: BatchClient, told: CostSettings, run_id: str, outcomes: Mapping[str, str]) -> list[JobUse]:
    """What the jobs of a run used, in the order of their submission. `outcomes` are gangs' recorded ends, by job id."""
    spot = frozenset(told.spot_queues.split(","))
    found = (job_use(job, members, spot, outcomes) for job, members in jobs_of_run(client, told.queues, run_id))
    return [use for use in found if use is not None]


def estimate_run(client: S3Client, told: CostSettings, run_id: str, uses: Sequence[JobUse], now: datetime) -> Estimate:
    """Estimate what a run cost until now.

    Raises
    ------
    DocumentError
        When the price table in the ingest bucket is unusable, or names no price for what ran (`PriceError`).
    """
    prices = read_prices(S3Objects(told.ingest_bucket, "", client))
    interrupted = any(use.interrupted for use in uses)
    saves = pointer_writes(client, told.results_bucket, run_id) if interrupted else ()
    return estimate(uses, prices, told.gang_instance_type, saves, now.timestamp())


def read_prices(ingest: S3Objects) -> PriceTable:
    """The user's own price table if there is one, else the shipped one."""
    try:
        return PriceTable.from_json(ingest.read(PRICES, MIB).body)
    except ObjectMissing:
        return PriceTable.shipped()


def pointer_writes(client: S3Client, bucket: str, run_id: str) -> list[float]:
    """When the run's checkpoint pointer was written, in seconds since 1970: the bucket keeps the versions for a week."""
    key = f"{analysis_prefix(run_id)}{POINTER}"
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    return [
        version["LastModified"].timestamp()
        for page in pages
        for version in page.get("Versions", [])
        if version["Key"] == key
    ]
