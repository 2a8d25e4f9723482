"""What is known of a run beside its own files: the days before, the way that it took, and what that cost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from postprocess.timeline import Leg, timeline
from spotline.documents import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_s3 import S3Client

    from spotline.cost_settings import CostSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """Nothing of it is known on local paths. `cost` is an estimate as `spotline.costs` writes it down."""

    drift: dict[str, Any] | None = None
    timeline: Sequence[Leg] = ()
    cost: dict[str, Any] | None = None


def way_of_run(
    batch: BatchClient, s3: S3Client, settings: CostSettings, run_id: str, gangs: Sequence[Mapping[str, Any]]
) -> tuple[list[Leg], dict[str, Any] | None]:
    """The run's timeline, and what it cost so far.

    A run's results are worth more than either: what cannot be found out is left out, and the log says why.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  jobs on local paths never pay for the import

    from spotline.costing import estimate_run, uses_of_run  # noqa: PLC0415

    outcomes = {gang["job_id"]: gang["outcome"] for gang in gangs if gang.get("job_id") and gang.get("outcome")}
    try:
        uses = uses_of_run(batch, settings, run_id, outcomes)
    except (ClientError, BotoCoreError) as error:
        logger.warning("the run's jobs cannot be described, so it has neither timeline nor cost: %s", error)
        return timeline([], gangs), None
    try:
        cost = estimate_run(s3, settings, run_id, uses, datetime.now(UTC))
    except (DocumentError, ClientError, BotoCoreError) as error:
        logger.warning("no cost can be estimated: %s", error)
        return timeline(uses, gangs), None
    return timeline(uses, gangs), cost.to_item()
