"""What an ended run cost: estimated from its jobs as they are described now, and kept in its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from announce.measurements import Spent
from announce.table import write_cost
from spotline.costing import estimate_run, uses_of_run
from spotline.costs import Estimate

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from announce.table import Recorded
    from spotline.cost_settings import CostSettings


class Spending:
    """The services that know, and the table that keeps."""

    def __init__(
        self, told: CostSettings, table: str, batch: BatchClient, s3: S3Client, dynamodb: DynamoDBClient
    ) -> None:
        self._told = told
        self._table = table
        self._batch = batch
        self._s3 = s3
        self._dynamodb = dynamodb

    def settle(self, run_id: str, recorded: Recorded, now: datetime) -> Spent:
        """Estimate what the run cost until now and write it down.

        Jobs that Batch has forgotten since an earlier end of the run stay in the figure as they were written down then.

        Raises
        ------
        PriceError, ClientError, BotoCoreError
            It cannot be estimated, or not be written down.
        """
        ends = ((gang.get("job_id"), gang.get("outcome")) for gang in recorded.gangs)
        outcomes = {job: end for job, end in ends if isinstance(job, str) and isinstance(end, str) and job and end}
        uses = uses_of_run(self._batch, self._told, run_id, outcomes)
        earlier: dict[str, Any] | None = recorded.run.get("cost")
        fresh = estimate_run(self._s3, self._told, run_id, uses, now)
        cost = fresh.after(Estimate.from_item(earlier) if earlier else None)
        write_cost(self._table, self._dynamodb, run_id, cost.to_item())
        return Spent(uses, cost)
