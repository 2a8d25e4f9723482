"""Waiting for room: which jobs wait in which queue, what the running ones hold, and what queues do with stuck heads."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.compute.fleet import Host
from twin.compute.jobs import Job, Member, Status
from twin.compute.resources import Resources, instance_types, total
from twin.compute.runner import StartFailed
from twin.compute.scheduler import (
    Block,
    Demand,
    Environment,
    Market,
    Placement,
    Queue,
    Reason,
    Shares,
    schedule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moto.batch.models import ComputeEnvironment, JobQueue

    from twin.compute.loop import Cancellable, Loop
    from twin.compute.services import Services

_MESSAGES = {
    Reason.INSUFFICIENT_CAPACITY: "Service cannot fulfill the capacity requested for instance type [{type}]",
    Reason.MAX_RESOURCE: "CE(s) associated with the job queue cannot meet the CPU requirement of the job.",
    Reason.RESOURCE_REQUIREMENT: (
        "The job resource requirement (vCPU/memory/GPU) is higher than that can be met by the CE(s) attached to the job "
        "queue."
    ),
}


@dataclass
class _Stuck:
    """The head of a queue that is stuck for a reason, and the queue's limits on that."""

    job: Job
    reason: Reason
    limits: list[Cancellable]


class Waiting:
    """RUNNABLE jobs and the capacity they wait for. Guarded by the lock of `Control`."""

    def __init__(
        self,
        loop: Loop,
        services: Services,
        cancel: Callable[[Job, str], None],
        blocked: Callable[[Job], None],
    ) -> None:
        self._loop = loop
        self._services = services
        self._cancel = cancel
        self._blocked = blocked
        self._queues: dict[str, JobQueue] = {}
        self._demands: dict[str, list[Demand]] = {}
        self._used: dict[str, Resources] = {}
        self._environments: dict[str, ComputeEnvironment] = {}
        self._share_vcpus: dict[str, dict[str, float]] = {}
        self._supply: dict[Market, float] = {}
        self._stuck: dict[str, _Stuck] = {}
        self._asked = False

    def ask(self) -> bool:
        """Whether a look for room must be arranged; it need not while one is."""
        first, self._asked = not self._asked, True
        return first

    def set_supply(self, market: Market, vcpus: float) -> None:
        """All that a market lends from now on; what is lent already stays."""
        self._supply[market] = vcpus

    def add(self, job: Job) -> None:
        """The job waits for room, behind those submitted before it."""
        self._queues[job.queue.arn] = job.queue
        bisect.insort(self._demands.setdefault(job.queue.arn, []), job.demand, key=lambda demand: demand.order)

    def remove(self, job: Job) -> None:
        """The job waits no longer."""
        demands = self._demands.get(job.queue.arn, [])
        at = bisect.bisect_left(demands, job.order, key=lambda demand: demand.order)
        if at < len(demands) and demands[at].order == job.order:
            del demands[at]
        self._unstick(job.queue.arn, job)

    def place(self, jobs: Mapping[str, Job]) -> tuple[Placement, ...]:
        """Give room to what it suffices for; it is held until `release`."""
        self._asked = False
        environments = self._known_environments()
        plan = schedule([self._queue(queue) for queue in self._queues.values()], environments, self._used, self._supply)
        for placement in plan.placements:
            job = jobs[placement.job_id]
            self.remove(job)
            self._hold(job, placement.environment, total(spec.resources for spec in job.specs), 1)
        blocked = {block.queue: block for block in plan.blocks}
        for arn in list(self._queues):
            self._look_at_head(arn, blocked.get(arn), jobs)
        return plan.placements

    def release(self, job: Job, member: Member) -> None:
        """A member gives back what it held."""
        for attempt in job.attempts:
            if member in attempt.members:
                self._hold(job, attempt.environment, member.spec.resources, -1)

    def _hold(self, job: Job, environment: str, amount: Resources, sign: int) -> None:
        used = self._used.get(environment, Resources())
        self._used[environment] = used + amount if sign > 0 else used - amount
        shares = self._share_vcpus.setdefault(job.queue.arn, {})
        share = job.submission.share_identifier or ""
        shares[share] = shares.get(share, 0.0) + sign * amount.vcpus

    def host(self, job: Job, environment: str) -> Host:
        """Where members of a job that was placed in `environment` run. Raises `StartFailed` when it is gone."""
        found = next((env for env in job.queue.environments if env.name == environment), None)
        if found is None:
            raise StartFailed(f"compute environment {environment} is gone")
        resources: dict[str, Any] = found.compute_resources
        return Host(
            environment=environment,
            cluster=found.ecs_name,
            market=Market.from_type(resources["type"]),
            zone=self._services.zone(resources["subnets"][0]),
        )

    def _queue(self, queue: JobQueue) -> Queue:
        return Queue(
            name=queue.arn,
            priority=int(queue.priority),
            environments=tuple(environment.name for environment in queue.environments),
            waiting=self._demands.get(queue.arn, []),
            shares=_shares(queue),
            running=self._share_vcpus.get(queue.arn, {}),
        )

    def _known_environments(self) -> dict[str, Environment]:
        return {
            environment.name: describe_environment(environment)
            for queue in self._queues.values()
            for environment in queue.environments
        }

    def _look_at_head(self, queue: str, block: Block | None, jobs: Mapping[str, Job]) -> None:
        """Say why the head of a queue is stuck, and let the queue's own time limits run."""
        stuck = self._stuck.get(queue)
        job = jobs[block.job_id] if block else None
        if stuck and (block is None or stuck.job is not job or stuck.reason is not block.reason):
            self._unstick(queue, stuck.job)
            stuck = None
        if stuck or job is None or block is None or block.reason is None:
            return
        job.status_reason = f"{block.reason} - {_MESSAGES[block.reason].format(type=block.instance_type)}"
        limits = [
            self._loop.later(
                self._services.clock.real(float(action["maxTimeSeconds"])),
                self._cancel,
                job,
                f"Canceled by JobStateTimeLimit action due to reason: {block.reason}",
            )
            for action in getattr(job.queue, "job_state_time_limit_actions", [])
            if action["reason"] == block.reason
        ]
        self._stuck[queue] = _Stuck(job, block.reason, limits)
        self._blocked(job)

    def _unstick(self, queue: str, job: Job) -> None:
        stuck = self._stuck.get(queue)
        if stuck is None or stuck.job is not job:
            return
        del self._stuck[queue]
        for limit in stuck.limits:
            limit.cancel()
        if job.status is Status.RUNNABLE:
            job.status_reason = None


def describe_environment(environment: ComputeEnvironment) -> Environment:
    """A compute environment as the scheduler sees it."""
    resources: dict[str, Any] = environment.compute_resources
    market = Market.from_type(resources["type"])
    return Environment(
        name=environment.name,
        market=market,
        max_vcpus=float(resources["maxvCpus"]),
        types=() if market.fargate else instance_types(resources.get("instanceTypes") or ["optimal"]),
        enabled=environment.state != "DISABLED",  # moto keeps no state when none is given; AWS means ENABLED
    )


def _shares(queue: JobQueue) -> Shares | None:
    if not queue.schedule_policy:
        return None
    weights: dict[str, float] = {}
    for policy in queue.backend.describe_scheduling_policies([queue.schedule_policy]):
        distribution: Any = policy.fairshare_policy.get("shareDistribution") or ()
        weights |= {entry["shareIdentifier"]: float(entry.get("weightFactor") or 1.0) for entry in distribution}
    return Shares(weights)
