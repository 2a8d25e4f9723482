"""What a run's jobs used, read from how Batch describes them: which containers ran, when, where, and which were reclaimed. Pure.

An instance is billed from its launch on, and Batch tells when a container started: what an instance took to boot, to pull the image
and to idle before it was given back is in no job's description, and so in no figure made from this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spotline.failures import ErrorName
from spotline.runs import Market
from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from spotline.failures import Job

_MIB_IN_A_GIB = 1024


@dataclass(frozen=True)
class Attempt:
    """One container that ran, in seconds since 1970. `ended` is None while it runs; `reclaimed` is whether its host was taken."""

    market: Market
    started: float
    ended: float | None
    reclaimed: bool = False


@dataclass(frozen=True)
class JobUse:
    """What one job used.

    `members` holds, for each container of the job, its attempts in order; a container that never ran has none. `vcpus` and
    `memory_gib` are those of one container. `generation` is 0 for a job that is no gang. `outcome` is `SUCCEEDED`, a typed error,
    `FAILED`, or None while the job has not ended. On Fargate a job shares no instance; that it was Fargate Spot shows only when it
    was reclaimed.
    """

    job_id: str
    stage: Stage
    submitted: float
    members: tuple[tuple[Attempt, ...], ...]
    vcpus: float
    memory_gib: float
    generation: int = 0
    outcome: str | None = None
    fargate: bool = False

    @property
    def attempts(self) -> Iterator[Attempt]:
        """The attempts of all members."""
        return (attempt for member in self.members for attempt in member)

    @property
    def interrupted(self) -> bool:
        """Whether a reclaim ended it: a gang ends with its first member, and a job of one container may begin again."""
        return self.outcome == ErrorName.SPOT_INTERRUPTED or any(attempt.reclaimed for attempt in self.attempts)


def job_use(
    job: Job, members: Sequence[Job], spot_queues: Collection[str], outcomes: Mapping[str, str]
) -> JobUse | None:
    """Read what a job used; None for a job without our tags.

    Of a queue with two environments it is not told which one a job came to: it counts as the one that the queue tries first, unless
    its host was reclaimed, which happens on Spot alone.

    Parameters
    ----------
    job
        As DescribeJobs answers it.
    members
        The members of a gang, described likewise; empty for a job of one container.
    spot_queues
        The ARNs of the queues that buy on Spot, or try it first.
    outcomes
        What is recorded of gangs' ends, by job id: a typed error says more than Batch's FAILED.
    """
    tags = job.get("tags") or {}
    try:
        stage = Stage(tags["spotline:stage"])
    except (KeyError, ValueError):
        return None
    fargate = "FARGATE" in (job.get("platformCapabilities") or ())
    market = Market.SPOT if job["jobQueue"] in spot_queues and not fargate else Market.ON_DEMAND
    parts = members or (job,)
    return JobUse(
        job_id=job["jobId"],
        stage=stage,
        generation=int(tags.get("spotline:generation", 0)),
        submitted=job["createdAt"] / 1000,
        members=tuple(tuple(_attempts(part, market)) for part in parts),
        vcpus=_required(parts, "VCPU"),
        memory_gib=_required(parts, "MEMORY") / _MIB_IN_A_GIB,
        outcome=outcomes.get(job["jobId"]) or (job["status"] if job["status"] in ("SUCCEEDED", "FAILED") else None),
        fargate=fargate,
    )


def _attempts(job: Job, market: Market) -> Iterator[Attempt]:
    """The attempts that are over, and the one that runs. An attempt whose container never started has no `startedAt`."""
    told = [attempt for attempt in job.get("attempts") or () if attempt.get("startedAt")]
    for attempt in told:
        yield _attempt(attempt, market, str(attempt.get("statusReason") or job.get("statusReason") or ""))
    last = told[-1]["startedAt"] if told else 0
    if job.get("startedAt") and job["startedAt"] > last and (job["status"] == "RUNNING" or not told):
        yield _attempt(job, market, str(job.get("statusReason") or ""))


def _attempt(span: Mapping[str, Any], market: Market, reason: str) -> Attempt:
    reclaimed = reason.startswith("Host EC2") or "Spot Task was interrupted" in reason
    ended = span["stoppedAt"] / 1000 if span.get("stoppedAt") else None
    return Attempt(Market.SPOT if reclaimed else market, span["startedAt"] / 1000, ended, reclaimed)


def _required(parts: Sequence[Job], kind: str) -> float:
    """How much of a resource one container asks for; 0 when it is not told."""
    for part in parts:
        for requirement in (part.get("container") or {}).get("resourceRequirements") or ():
            if requirement["type"] == kind:
                return float(requirement["value"])
    return 0.0
