"""What to do about a gang: one pure function from how things are now to what to do next.

Nothing is decided from what an event says. An event, of Batch, of Step Functions or of a clock, only says *look again*, so that a
lost, late, doubled or reordered one costs time and nothing else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spotline.failures import (
    FENCED_OFF,
    GANG_ENDED,
    NOT_RUNNING,
    WAITED_TOO_LONG,
    ErrorName,
    Failure,
    Job,
    classify,
)
from spotline.runs import Market

SETTLING = timedelta(minutes=10)
"""How long the other members may take to leave by themselves once one has failed."""

LAUNCHING = timedelta(minutes=15)
"""How long a launcher may leave a recorded gang without a job: Lambda's longest timeout."""

_TERMINAL = ("SUCCEEDED", "FAILED")
_NOT_YET_STARTING = ("SUBMITTED", "PENDING", "RUNNABLE")
_RUNNING_EXECUTION = ("RUNNING", "PENDING_REDRIVE")


@dataclass(frozen=True)
class Gang:
    """One gang of a run, as its launcher recorded it. `job_id` is None until the job was submitted."""

    run_id: str
    generation: int
    market: Market
    task_token: str
    execution_arn: str
    launched_at: datetime
    job_id: str | None = None


@dataclass(frozen=True)
class Sight:
    """How things are now. `members` are described in order; `noticed` are those that wrote a Spot notice.

    `published` is the location of the manifest that this gang left, if it did.
    """

    now: datetime
    execution_status: str
    newest_generation: int
    job: Job | None = None
    members: Sequence[Job] = ()
    noticed: Collection[int] = ()
    published: str | None = None


@dataclass(frozen=True)
class Terminate:
    """End a job, or one member of it."""

    job_id: str
    reason: str


@dataclass(frozen=True)
class Succeed:
    """Answer the gang's task token: it is done."""

    output: Mapping[str, Any]


@dataclass(frozen=True)
class Fail:
    """Answer the gang's task token with a typed failure."""

    failure: Failure


@dataclass(frozen=True)
class Close:
    """Nothing is left to do about this gang; later looks pass it by."""


Action = Terminate | Succeed | Fail | Close


def decide(gang: Gang, sight: Sight, longest_wait: timedelta) -> list[Action]:
    """Say what to do about `gang` now; an empty list means wait and look again.

    Parameters
    ----------
    gang
        As recorded by its launcher.
    sight
        How its execution and its job are described now.
    longest_wait
        How long a member may stay RUNNABLE, counted from the job's submission.
    """
    job = sight.job
    if gang.generation < sight.newest_generation:
        return _end(job, FENCED_OFF)
    if sight.execution_status not in _RUNNING_EXECUTION:
        return _end(job, NOT_RUNNING)
    if job is None:
        return _unlaunched(gang, sight.now)
    if job["status"] == "SUCCEEDED":
        return [_succeeded(gang, job, sight.published), Close()]
    if job["status"] == "FAILED":
        failure = classify(job, sight.members, market=gang.market, noticed=sight.noticed)
        return [Fail(failure), Close()]
    if any(member.get("status") == "FAILED" for member in sight.members) and "arrayProperties" in job:
        return _settle(job, sight)
    if _waits_too_long(job, sight, longest_wait):
        return [Terminate(job["jobId"], WAITED_TOO_LONG)]
    return []


def _end(job: Job | None, reason: str) -> list[Action]:
    if job is None or job["status"] in _TERMINAL:
        return [Close()]
    return [Terminate(job["jobId"], reason)]


def _unlaunched(gang: Gang, now: datetime) -> list[Action]:
    """A launcher that failed is retried by Step Functions; one that vanished without a word is found here."""
    if now - gang.launched_at < LAUNCHING:
        return []
    failure = Failure(ErrorName.GANG_MEMBER_LOST, "The launcher vanished before it submitted the gang's job")
    return [Fail(failure), Close()]


def _succeeded(gang: Gang, job: Job, published: str | None) -> Action:
    if published is None:
        sentence = "The gang's job succeeded without leaving a manifest: its image breaks the contract of an analysis"
        return Fail(Failure(ErrorName.JOB_FAILED, sentence, job_id=job["jobId"]))
    return Succeed(
        {"manifest": published, "generation": gang.generation, "market": gang.market.value, "job_id": job["jobId"]}
    )


def _settle(job: Job, sight: Sight) -> list[Action]:
    """An array whose member failed cannot complete, but its parent fails only after every child has ended."""
    waiting = [member for member in sight.members if member.get("status") in _NOT_YET_STARTING]
    if waiting:
        return [Terminate(member["jobId"], GANG_ENDED) for member in waiting]
    stops = [
        member["stoppedAt"] for member in sight.members if member.get("status") == "FAILED" and "stoppedAt" in member
    ]
    if stops and sight.now.timestamp() - min(stops) / 1000 > SETTLING.total_seconds():
        return [Terminate(job["jobId"], GANG_ENDED)]
    return []


def _waits_too_long(job: Job, sight: Sight, longest_wait: timedelta) -> bool:
    if sight.now.timestamp() - job["createdAt"] / 1000 <= longest_wait.total_seconds():
        return False
    return any(part.get("status") in _NOT_YET_STARTING for part in (sight.members or (job,)))
