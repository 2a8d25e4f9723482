"""Launching a recorded gang: a slot, the day's hours, the submission. Done by `launch_gang`, and by `reconcile` for gangs that waited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from spotline.allowances import Limits
from spotline.batch_jobs import GangPlaces, submit_gang
from spotline.executions import Standing, answer_failure, describe_run
from spotline.failures import FENCED_OFF, NOT_AWAITED, NOT_RUNNING, ErrorName, Failure
from spotline.metrics import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from spotline.allowances import Allowances
    from spotline.clients import Clients
    from spotline.gangs import Gang
    from spotline.run_table import RunTable
    from spotline.runs import Market


@dataclass(frozen=True)
class LaunchSettings:
    """What whoever launches gangs is told by template.yaml."""

    spot_queue: str
    spot_job_definition: str
    spot_forming_seconds: int
    spot_max_gangs: int
    on_demand_queue: str
    on_demand_job_definition: str
    on_demand_forming_seconds: int
    on_demand_max_gangs: int
    on_demand_gang_hours_per_day: int
    gang_members: int
    gang_attempt_seconds: int

    @property
    def places(self) -> GangPlaces:
        """Where gangs run."""
        return GangPlaces(
            spot_queue=self.spot_queue,
            spot_job_definition=self.spot_job_definition,
            spot_forming_seconds=self.spot_forming_seconds,
            on_demand_queue=self.on_demand_queue,
            on_demand_job_definition=self.on_demand_job_definition,
            on_demand_forming_seconds=self.on_demand_forming_seconds,
            members=self.gang_members,
        )

    @property
    def limits(self) -> Limits:
        """What gangs may cost."""
        return Limits(
            spot_gangs=self.spot_max_gangs,
            on_demand_gangs=self.on_demand_max_gangs,
            hours_per_day=self.on_demand_gang_hours_per_day,
            attempt=timedelta(seconds=self.gang_attempt_seconds),
        )


class Launched(StrEnum):
    """How far the launch of a gang came."""

    SUBMITTED = "submitted"
    WAITING = "waiting for a slot"
    ELSEWHERE = "submitted or closed by somebody else"
    STOPPED = "submitted, and terminated again: nobody waits for it"
    EXHAUSTED = "refused: the day's On-Demand gang hours are spent"
    REFUSED = "refused by Batch"


def gang_launched(market: Market) -> Measurement:
    """One more gang, for the dashboard."""
    return Measurement("GangLaunched", 1, dimensions={"Market": market.value})


def utc_now() -> datetime:
    """The clock that functions go by."""
    return datetime.now(UTC)


class Launcher:
    """Launches gangs whose record, token and all, is written. Every step may be repeated, and the caller may die between any two."""

    def __init__(
        self,
        clients: Clients,
        table: RunTable,
        allowances: Allowances,
        told: LaunchSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clients = clients
        self._table = table
        self._allowances = allowances
        self._places = told.places
        self._hours_per_day = told.on_demand_gang_hours_per_day
        self._now = now

    def launch(self, gang: Gang) -> Launched:
        """Submit the gang's job, or leave it waiting, or refuse it with a typed failure."""
        if not self._allowances.take_slot(gang):
            return Launched.WAITING
        if not self._allowances.reserve_hours(gang, self._now()):
            self._refuse(gang, self._exhausted())
            return Launched.EXHAUSTED
        if not self._table.claim_submission(gang, self._now()):
            if not self._table.is_open(gang.run_id, gang.generation):
                self._give_back(gang)
            return Launched.ELSEWHERE
        try:
            job_id = submit_gang(self._clients.batch, gang, self._places)
        except self._clients.batch.exceptions.ClientException as refused:
            self._refuse(gang, _misconfigured(str(refused)))
            return Launched.REFUSED
        if not self._table.record_job(gang, job_id):
            self._clients.batch.terminate_job(jobId=job_id, reason=NOT_AWAITED)
            return Launched.STOPPED
        # A stop, or a newer gang, before the submission would leave this job behind: look once more, now that it exists.
        useless = self._why_useless(gang)
        if useless is not None:
            self._clients.batch.terminate_job(jobId=job_id, reason=useless)
            return Launched.STOPPED
        return Launched.SUBMITTED

    def _why_useless(self, gang: Gang) -> str | None:
        if self._table.newest_generation(gang.run_id) > gang.generation:
            return FENCED_OFF
        execution = describe_run(self._clients.steps, gang.execution_arn)
        standing = execution.find_standing(gang.launched_at, gang.redrives, self._now())
        return NOT_RUNNING if standing in (Standing.ENDED, Standing.REDRIVEN) else None

    def _refuse(self, gang: Gang, failure: Failure) -> None:
        """Fail the Task, which a redrive runs again, however often it would be asked now."""
        self._give_back(gang)
        answer_failure(self._clients.steps, gang.task_token, failure)
        self._table.close_gang(gang, failure.error.value)

    def _give_back(self, gang: Gang) -> None:
        self._allowances.settle_hours(gang, timedelta(0))
        self._allowances.free_slot(gang.market, gang.name)

    def _exhausted(self) -> Failure:
        return Failure(
            ErrorName.BUDGET_EXHAUSTED,
            f"Of the day's {self._hours_per_day} On-Demand gang hours too few are left for an attempt. Redrive tomorrow (UTC), or"
            " raise OnDemandGangHoursPerDay and redrive: training goes on from the last checkpoint",
        )


def _misconfigured(reason: str) -> Failure:
    return Failure(
        ErrorName.JOB_MISCONFIGURED,
        f"Batch refused the gang's job: {reason}. Mend the definition or the queue, then redrive",
    )
