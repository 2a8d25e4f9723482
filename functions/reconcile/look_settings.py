"""What a reconcile is configured with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from spotline.batch_jobs import LISTED_OF_CONTAINERS, LISTED_OF_GANGS
from spotline.gangs import Waits
from spotline.launching import LaunchSettings
from spotline.runs import Market

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_batch.literals import JobStatusType


@dataclass(frozen=True)
class LookSettings(LaunchSettings):
    """What a look goes by. The waits of a market are the longest that a gang may stay RUNNABLE.

    `slot_max_wait_seconds` is the longest that a gang waits for a slot. A run that may use both markets waits for Spot's slots
    `spot_slot_max_wait_seconds`, and then takes one of On-Demand as soon as there is one, with hours left for it.
    """

    results_bucket: str
    state_machine_arn: str
    main_queue: str
    postprocess_queue: str
    backfill_queue: str
    backfill_postprocess_queue: str
    spot_max_wait_seconds: int
    on_demand_max_wait_seconds: int
    slot_max_wait_seconds: int
    spot_slot_max_wait_seconds: int

    def waits(self, market: Market) -> Waits:
        """How long a gang of that market may wait."""
        capacity = self.spot_max_wait_seconds if market is Market.SPOT else self.on_demand_max_wait_seconds
        return Waits(timedelta(seconds=self.slot_max_wait_seconds), timedelta(seconds=capacity))

    def slots(self, market: Market) -> int:
        """How many gangs may run in that market at a time."""
        return self.spot_max_gangs if market is Market.SPOT else self.on_demand_max_gangs

    @property
    def queues(self) -> dict[str, str]:
        """Every queue that a job of ours may be in, with the name to chart it under. One that has two uses is there once."""
        return {
            self.postprocess_queue: "postprocess",
            self.main_queue: "main",
            self.backfill_postprocess_queue: "backfill-postprocess",
            self.backfill_queue: "backfill",
            self.spot_queue: "gpu-spot",
            self.on_demand_queue: "gpu-on-demand",
        }

    @property
    def listed(self) -> dict[str, Sequence[JobStatusType]]:
        """The statuses in which unfinished jobs are listed, by queue."""
        gangs = (self.spot_queue, self.on_demand_queue)
        return {queue: LISTED_OF_GANGS if queue in gangs else LISTED_OF_CONTAINERS for queue in self.queues}
