"""What to do about a gang: one pure function from how things are now to what to do next.

Nothing is decided from what an event says. An event, of Batch, of Step Functions or of a clock, only says *look again*, so that a
lost, late, doubled or reordered one costs time and nothing else.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spotline.executions import Execution, Standing
from spotline.failures import (
    FENCED_OFF,
    GANG_ENDED,
    NOT_RUNNING,
    WAITED_TOO_LONG,
    ErrorName,
    Failure,
    Job,
    classify,
    gave_way,
)
from spotline.runs import Market, Priority

SETTLING = timedelta(minutes=10)
"""How long the other members may take to leave by themselves once one has failed."""

SUBMITTING = timedelta(minutes=6)
"""How long whoever claimed a gang's submission may take: longer than either function that submits may run (template.yaml)."""

TAKEN_OVER = Failure(ErrorName.GANG_MEMBER_LOST, "A newer gang of the run took over before this one was done")
"""The answer to a fenced-off gang's Task. Nobody waits for it, unless its launcher was overtaken by an older, slower one."""

EXECUTION_ENDED = Failure(ErrorName.GANG_MEMBER_LOST, "The execution ended before its gang was done")
"""The answer to a gang's Task whose execution does not run. Nobody waits for it, unless the execution was described wrongly: then the
Task asks again instead of waiting for ever."""

_TERMINAL = ("SUCCEEDED", "FAILED")
_NOT_YET_STARTING = ("SUBMITTED", "PENDING", "RUNNABLE")


@dataclass(frozen=True)
class Gang:
    """One gang of a run, as it is recorded.

    `priority` is its run's. `launched_at` is when its Task asked for it. `submitting_at` is when somebody last set about submitting
    its job, None while it waits for a slot. `job_id` is None until the submitted job was written down. `redrives` is how often the
    execution had been redriven when its Task asked; None in a record that does not say. `falls_back` is whether the run goes on to
    On-Demand when Spot fails it. `requeued_at` is when the gang began to wait again behind the same token, after an older generation
    gave its slot away. `hours_day` is the day (UTC, YYYYMMDD) whose On-Demand hours it has reserved.
    """

    run_id: str
    generation: int
    market: Market
    task_token: str
    execution_arn: str
    launched_at: datetime
    submitting_at: datetime | None = None
    job_id: str | None = None
    priority: Priority = Priority.DAILY
    redrives: int | None = None
    falls_back: bool = False
    requeued_at: datetime | None = None
    hours_day: str | None = None

    @property
    def name(self) -> str:
        """What slots and hours are held under.

        >>> from datetime import UTC
        >>> Gang("flights-20130209-1", 2, Market.SPOT, "token", "arn", datetime.now(UTC)).name
        'flights-20130209-1#2'
        """
        return f"{self.run_id}#{self.generation}"


_NAME = re.compile(r"(.+)#([0-9]{1,9})", re.DOTALL)


def parse_gang_name(name: str) -> tuple[str, int] | None:
    """The run and the generation that `Gang.name` was made of; None of what no gang is called.

    >>> parse_gang_name("flights-20130209-1#2"), parse_gang_name("flights")
    (('flights-20130209-1', 2), None)
    """
    found = _NAME.fullmatch(name)
    return (found[1], int(found[2])) if found else None


@dataclass(frozen=True)
class Sight:
    """How things are now. `members` are described in order; `noticed` are those that wrote a Spot notice.

    `published` is the location of the manifest that this gang left, if it did; `unpublished` says of a gang whose job succeeded why
    there is none.
    """

    now: datetime
    execution: Execution
    newest_generation: int
    job: Job | None = None
    members: Sequence[Job] = ()
    noticed: Collection[int] = ()
    published: str | None = None
    unpublished: str = ""


@dataclass(frozen=True)
class Launch:
    """Submit the gang's job, if there is a slot for it and the day's hours allow."""


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
    """Nothing is left to do about this gang; later looks pass it by. `used` is how long its job ran."""

    used: timedelta = timedelta(0)


@dataclass(frozen=True)
class Requeue:
    """Let the gang wait for a slot again, as the run's next generation and behind the same token. `used` is how long its job ran."""

    used: timedelta = timedelta(0)


Action = Launch | Terminate | Succeed | Fail | Close | Requeue


@dataclass(frozen=True)
class Waits:
    """How long a gang may wait: for a slot from when its Task asked, and then in RUNNABLE from its job's submission."""

    slot: timedelta
    capacity: timedelta


def decide(gang: Gang, sight: Sight, waits: Waits) -> list[Action]:
    """Say what to do about `gang` now; an empty list means wait and look again.

    Parameters
    ----------
    gang
        As recorded by its launcher.
    sight
        How its execution and its job are described now.
    waits
        How long it may wait.
    """
    job = sight.job
    standing = sight.execution.find_standing(gang.launched_at, gang.redrives, sight.now)
    if gang.generation < sight.newest_generation or standing is Standing.REDRIVEN:
        return _end(job, FENCED_OFF, TAKEN_OVER)
    if standing is Standing.ENDED:
        return _end(job, NOT_RUNNING, EXECUTION_ENDED)
    if standing is Standing.UNCLEAR:
        return []
    if job is None:
        return _without_job(gang, sight.now, waits.slot)
    if job["status"] == "SUCCEEDED":
        return [_succeeded(gang, job, sight), Close(_ran_for(job))]
    if job["status"] == "FAILED" and gave_way(job, sight.members):
        return [Requeue(_ran_for(job))]
    if job["status"] == "FAILED":
        failure = classify(job, sight.members, market=gang.market, noticed=sight.noticed)
        return [Fail(failure), Close(_ran_for(job))]
    if any(member.get("status") == "FAILED" for member in sight.members) and "arrayProperties" in job:
        return _settle(job, sight)
    if _waits_too_long(job, sight, waits.capacity):
        return [Terminate(job["jobId"], WAITED_TOO_LONG)]
    return []


def _end(job: Job | None, reason: str, answer: Failure) -> list[Action]:
    """No gang is closed without an answer to its token: to one that nobody waits behind, an answer does nothing."""
    if job is not None and job["status"] not in _TERMINAL:
        return [Terminate(job["jobId"], reason)]
    return [Fail(answer), Close(_ran_for(job) if job else timedelta(0))]


def _without_job(gang: Gang, now: datetime, longest_wait: timedelta) -> list[Action]:
    """It waits for a slot, or is being submitted, or whoever submitted it died over that, or its job is too old to be described."""
    if gang.submitting_at is not None and now - gang.submitting_at < SUBMITTING:
        return []
    if gang.job_id is None and now - gang.launched_at > longest_wait:
        return [Fail(fail_for_slot(gang, longest_wait)), Close()]
    if gang.job_id is None:
        return [Launch()]
    sentence = (
        "Batch no longer knows the gang's job, which was not seen to end. Redrive: training goes on from its checkpoint"
    )
    return [Fail(Failure(ErrorName.GANG_MEMBER_LOST, sentence, job_id=gang.job_id)), Close()]


def fail_for_slot(gang: Gang, waited: timedelta) -> Failure:
    """The failure of a gang that waited for a slot for so long: a run that may fall back goes on to On-Demand with it."""
    limit, market = ("SpotMaxGangs", "Spot") if gang.market is Market.SPOT else ("OnDemandMaxGangs", "On-Demand")
    return Failure(
        ErrorName.SLOT_TIMED_OUT,
        f"All {market} slots were taken for {waited.total_seconds() / 3600:.0f} hours, so the gang was not launched there. Raise {limit}"
        " or SlotMaxWaitSeconds, or wait until fewer runs are waiting, then redrive",
    )


def _ran_for(job: Job) -> timedelta:
    """How long a job ran; nothing when it never started. Batch gives times in milliseconds."""
    if "startedAt" not in job or "stoppedAt" not in job:
        return timedelta(0)
    return timedelta(milliseconds=max(0, job["stoppedAt"] - job["startedAt"]))


def _succeeded(gang: Gang, job: Job, sight: Sight) -> Action:
    if sight.published is None:
        sentence = (
            f"The gang's job succeeded without leaving a manifest that can be read ({sight.unpublished}): its image breaks the contract"
            " of an analysis. Fix the image, push it, then redrive"
        )
        return Fail(Failure(ErrorName.JOB_FAILED, sentence, job_id=job["jobId"]))
    return Succeed(
        {
            "manifest": sight.published,
            "generation": gang.generation,
            "market": gang.market.value,
            "job_id": job["jobId"],
        }
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


def to_give_way(open_gangs: Iterable[Gang], holders: Collection[str]) -> Gang | None:
    """The backfill's gang that ends to make room for the day's work: of those that hold a slot and run, the one launched last.

    It waits for a slot again and goes on from its checkpoint: it loses what a reclaim would cost, and none of its Task's attempts.
    """
    running = [
        gang
        for gang in open_gangs
        if gang.priority is Priority.BACKFILL and gang.job_id is not None and gang.name in holders
    ]
    return max(running, key=lambda gang: (gang.submitting_at or gang.launched_at, gang.name), default=None)
