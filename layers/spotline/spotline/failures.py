"""Typed failures: what a described Batch job that ended badly means, decided in one place.

AWS says what happened in `statusReason` (the job, an attempt) and `reason` (the container); an exit code alone is never trusted,
because a reclaimed member leaves with 143, 137 or no code at all, and so does one that ran out of memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from spotline.documents import DocumentError, build, parse_object
from spotline.exits import ExitCode
from spotline.runs import Market

Job = Mapping[str, Any]
"""A job as DescribeJobs answers it (`JobDetail`, camelCase keys)."""

TERMINATED_BY_US = "Spotline: "
WAITED_TOO_LONG = f"{TERMINATED_BY_US}no capacity within the longest wait"
GANG_ENDED = f"{TERMINATED_BY_US}the gang cannot complete"
GIVES_WAY = f"{TERMINATED_BY_US}a backfill's gang gives its slot to the day's work"
FENCED_OFF = f"{TERMINATED_BY_US}a newer gang of the run took over"
NOT_RUNNING = f"{TERMINATED_BY_US}its execution no longer runs"
NOT_AWAITED = f"{TERMINATED_BY_US}no Task waits for it"

# How Batch's own reasons begin; any other text is what somebody gave to TerminateJob.
_REASONS_OF_BATCH = (
    "Array Child Job failed",
    "Canceled by JobStateTimeLimit",
    "Essential container",
    "Host EC2",
    "Job attempt duration",
    "Task failed",
)
_CAUSE = "the execution's cause"
_KILLED = (137, 143)  # SIGKILL and SIGTERM as a shell reports them
_MARKET_NAMES = {Market.SPOT: "Spot", Market.ON_DEMAND: "On-Demand", None: "On-Demand or Spot"}


class ErrorName(StrEnum):
    """The names that Retry and Catch, the run record and Slack know failures by."""

    SPOT_INTERRUPTED = "Spot.Interrupted"
    SPOT_NO_CAPACITY = "Spot.NoCapacity"
    ON_DEMAND_NO_CAPACITY = "OnDemand.NoCapacity"
    GANG_MEMBER_LOST = "Gang.MemberLost"
    BUDGET_EXHAUSTED = "Budget.Exhausted"
    SLOT_TIMED_OUT = "Slot.TimedOut"
    DATA_REJECTED = "Data.Rejected"
    JOB_OUT_OF_MEMORY = "Job.OutOfMemory"
    JOB_IMAGE_UNAVAILABLE = "Job.ImageUnavailable"
    JOB_TIMED_OUT = "Job.TimedOut"
    JOB_NOT_PLACED = "Job.NotPlaced"
    JOB_MISCONFIGURED = "Job.Misconfigured"
    JOB_TERMINATED = "Job.Terminated"
    JOB_FAILED = "Job.Failed"


@dataclass(frozen=True)
class Failure:
    """One typed failure, with what a person needs to look further. `member` is None for a job that is no gang."""

    error: ErrorName
    sentence: str
    job_id: str = ""
    member: int | None = None
    exit_code: int | None = None
    reason: str = ""
    log_stream: str | None = None

    def to_cause(self) -> str:
        """The Cause that goes with the error into Step Functions (at most 32,768 characters there: SendTaskFailure)."""
        return json.dumps({**asdict(self), "sentence": self.sentence[:2000], "reason": self.reason[:2000]})

    @classmethod
    def from_cause(cls, cause: str) -> Failure:
        """Read back what `to_cause` wrote; raises `DocumentError` for anything else."""
        return build(cls, parse_object(cause, _CAUSE), _CAUSE)


def _read_status_reason(job: Job) -> str:
    attempts = job.get("attempts") or [{}]
    return str(job.get("statusReason") or attempts[-1].get("statusReason") or "")


@dataclass(frozen=True)
class _Ended:
    """One container that ended: a member of a gang, or the only one of a job; or a gang's job as a whole."""

    job: Job
    member: int | None
    of_gang: bool
    noticed: bool = False

    @property
    def status_reason(self) -> str:
        return _read_status_reason(self.job)

    @property
    def container(self) -> Mapping[str, Any]:
        described = self.job.get("container") or {}
        if described.get("exitCode") is not None or described.get("reason"):
            return described
        attempts = self.job.get("attempts") or [{}]
        return {**described, **(attempts[-1].get("container") or {})}

    @property
    def container_reason(self) -> str:
        return str(self.container.get("reason") or "")

    @property
    def exit_code(self) -> int | None:
        return self.container.get("exitCode")

    @property
    def failed(self) -> bool:
        return self.job.get("status") == "FAILED"

    @property
    def ended_by_us(self) -> bool:
        return self.status_reason.startswith(TERMINATED_BY_US)


@dataclass(frozen=True)
class _Rule:
    """An error and what it means. The last two are for a gang on On-Demand, where the same end may have another name and sentence."""

    error: ErrorName
    holds: Callable[[_Ended], bool]
    sentence: str
    on_demand: ErrorName | None = None
    on_demand_sentence: str = ""

    def read_on(self, market: Market | None) -> tuple[ErrorName, str]:
        """The error and its sentence on `market`; a container job's queue tries both, and lacks capacity only when On-Demand does."""
        if market is Market.ON_DEMAND or (market is None and self.error is ErrorName.SPOT_NO_CAPACITY):
            return self.on_demand or self.error, self.on_demand_sentence or self.sentence
        return self.error, self.sentence


def _reclaimed(end: _Ended) -> bool:
    return end.status_reason.startswith("Host EC2") or "Spot Task was interrupted" in end.status_reason


def _stopped(end: _Ended) -> bool:
    """Whether somebody's TerminateJob or a timeout ended it: another gang is no answer to that, Spot notice or not."""
    return _terminated(end) or _timed_out(end)


def _timed_out(end: _Ended) -> bool:
    return "attempt duration exceeded timeout" in end.status_reason


def _program_failed(end: _Ended) -> bool:
    code = end.exit_code
    if code is None or _gang_not_formed(end):
        return False
    return code not in (ExitCode.DONE, ExitCode.TRY_AGAIN, *_KILLED)


def _gang_not_formed(end: _Ended) -> bool:
    """Whether a member waited for the others in vain: where there is no gang, 76 is a program's own exit code like any other."""
    return end.of_gang and end.exit_code == ExitCode.GANG_NOT_FORMED


def _no_capacity(end: _Ended) -> bool:
    return "CAPACITY:" in end.status_reason or end.status_reason == WAITED_TOO_LONG


def _terminated(end: _Ended) -> bool:
    return bool(end.status_reason) and not end.status_reason.startswith(_REASONS_OF_BATCH) and not end.ended_by_us


# In order of precedence. A reclaim comes first: whatever the others left with, they left because of it. What no second try
# mends comes before what one may mend: members leave with 75 or 76 because another one died of it.
_RULES = (
    _Rule(
        ErrorName.SPOT_INTERRUPTED,
        lambda end: _reclaimed(end) or (end.noticed and not _stopped(end)),
        "The Spot instance of {who} was reclaimed",
        on_demand=ErrorName.GANG_MEMBER_LOST,  # a host that went away there was not reclaimed
        on_demand_sentence="The instance of {who} went away",
    ),
    _Rule(
        ErrorName.JOB_IMAGE_UNAVAILABLE,
        lambda end: end.container_reason.startswith("CannotPull"),
        "The image of {who} could not be pulled: {detail}. Push it or mend the definition, then redrive",
    ),
    _Rule(
        # Batch sets this reason for a job that fits, too, while its environment starts instances from zero, and clears it when they are
        # there (seen live: nextflow-io/nextflow issue 7479). So it has a name of its own, and the state machine tries a gang once more
        # before it believes it.
        ErrorName.JOB_NOT_PLACED,
        lambda end: "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT" in end.status_reason,
        "Batch found no instance that {who} fits on: {detail}. Batch also says so for a while when it starts instances from zero: redrive"
        " once. If it fails again, the definition asks for more than any instance type of the queue's environments has",
    ),
    _Rule(
        ErrorName.JOB_MISCONFIGURED,
        lambda end: "MISCONFIGURATION:" in end.status_reason or end.exit_code == ExitCode.BAD_CONFIGURATION,
        "Batch cannot run {who} as it is configured: {detail}. Fix the configuration, then redrive",
    ),
    _Rule(
        ErrorName.JOB_OUT_OF_MEMORY,
        lambda end: end.container_reason.startswith("OutOfMemory"),
        "The container of {who} ran out of memory. Give the job definition more, then redrive",
    ),
    _Rule(
        ErrorName.JOB_TIMED_OUT,
        _timed_out,
        "The attempt of {who} ran past its time. Raise the job's timeout or look why it is slow, then redrive",
    ),
    _Rule(
        ErrorName.DATA_REJECTED,
        lambda end: end.exit_code == ExitCode.DATA_REFUSED,
        "The data was refused by its contract (exit code 65 of {who}); the log and quality.json say why",
    ),
    _Rule(
        ErrorName.JOB_FAILED,
        _program_failed,
        "The program of {who} failed with exit code {exit_code}; its log says why",
    ),
    _Rule(
        ErrorName.SPOT_NO_CAPACITY,
        _no_capacity,
        "There was no {market} capacity for {who}: {detail}",
        on_demand=ErrorName.ON_DEMAND_NO_CAPACITY,
    ),
    _Rule(
        # An array's children start as instances come, so on Spot the others most likely got none. The main node of a multi-node job starts
        # when the instances of all nodes are there ("Job lifecycle for MNP jobs", Batch user guide): on On-Demand the others were slow.
        ErrorName.SPOT_NO_CAPACITY,
        _gang_not_formed,
        "The gang did not form in time on Spot: {who} gave up waiting{absent}",
        on_demand=ErrorName.GANG_MEMBER_LOST,
        on_demand_sentence="The gang did not form in time: {who} gave up waiting{absent}. If the others were still pulling the image,"
        " raise OnDemandFormingSeconds; else read their logs",
    ),
    _Rule(
        ErrorName.JOB_TERMINATED,
        _terminated,
        "Somebody terminated {who}: {detail}",
    ),
)


def classify(
    job: Job, members: Sequence[Job] = (), *, market: Market | None = None, noticed: Collection[int] = ()
) -> Failure:
    """Say what a job that ended badly died of.

    Parameters
    ----------
    job
        The described job: a container job, the parent of an array, or a multi-node job.
    members
        The described members in order: an array's children (`id:n`) or a multi-node job's nodes (`id#n`). Empty for a
        container job.
    market
        Where the gang ran; None for a container job, whose queue tries both markets: it lacks capacity only when On-Demand has
        none, and is named after that.
    noticed
        Members that wrote a Spot notice beside the checkpoint: that counts whatever AWS's own reason is, unless the reason of
        the member or of the whole job is a stop that somebody asked for, or a timeout.
    """
    whole = _Ended(job, None, of_gang=market is not None)
    believed = () if _stopped(whole) else noticed
    ends = [
        _Ended(member, index, of_gang=True, noticed=index in believed) for index, member in enumerate(members) if member
    ]
    ends = [end for end in ends if end.failed or end.noticed]
    ends.append(whole)
    failed = partial(_failure, job_id=str(job.get("jobId", "")), market=market, absent=_absent(members))
    by_others = [end for end in ends if not end.ended_by_us or end.noticed]
    for rule in _RULES:
        for end in ends if rule.error is ErrorName.SPOT_NO_CAPACITY else by_others:
            if rule.holds(end):
                return failed(*rule.read_on(market), end)
    lost = _most_telling(by_others or ends)
    if market is None:
        return failed(ErrorName.JOB_FAILED, "The job ended without success: {detail}", lost)
    return failed(ErrorName.GANG_MEMBER_LOST, "The gang lost {who} and no host was reclaimed: {detail}", lost)


def gave_way(job: Job, members: Sequence[Job] = ()) -> bool:
    """Whether a gang's job was ended so that its slot goes to the day's work: no failure, whatever its members left with."""
    return any(_read_status_reason(part) == GIVES_WAY for part in (job, *members))


def _most_telling(ends: Sequence[_Ended]) -> _Ended:
    """The member that did not leave of its own will, rather than those that left because of it."""
    members = [end for end in ends if end.member is not None] or list(ends)
    return next((end for end in members if end.exit_code != ExitCode.TRY_AGAIN), members[0])


def _absent(members: Sequence[Job]) -> str:
    """The members that never ran, in words. Batch describes no node that it did not start, and an ended one has `startedAt`."""
    never = [str(index) for index, member in enumerate(members) if not member or "startedAt" not in member]
    return f"; members that had not started: {', '.join(never)}" if 0 < len(never) < len(members) else ""


def _failure(
    error: ErrorName, sentence: str, end: _Ended, *, job_id: str, market: Market | None, absent: str
) -> Failure:
    reason = end.container_reason or end.status_reason
    text = sentence.format(
        who="the job" if end.member is None else f"member {end.member}",
        detail=reason or f"exit code {end.exit_code}",
        exit_code=end.exit_code,
        market=_MARKET_NAMES[market],
        absent=absent,
    )
    return Failure(
        error=error,
        sentence=text,
        job_id=job_id,
        member=end.member,
        exit_code=end.exit_code,
        reason=reason,
        log_stream=end.container.get("logStreamName"),
    )


def job_from_cause(cause: str) -> dict[str, Any] | None:
    """The job that a failed `.sync` Task names in its Cause (PascalCase keys there), as DescribeJobs would answer it."""
    try:
        document = parse_object(cause, _CAUSE)
    except DocumentError:
        return None
    job: dict[str, Any] = _lower_first(document)
    return job if _is_described_job(job) else None


def _is_described_job(job: Mapping[str, Any]) -> bool:
    """Whether what `classify` reads of a job has the types that DescribeJobs gives it: anybody can write a Cause."""
    attempts = job.get("attempts") or []
    if not isinstance(attempts, list) or not all(isinstance(attempt, dict) for attempt in attempts):
        return False
    containers = [part.get("container") or {} for part in (job, *attempts)]
    if not all(isinstance(container, dict) for container in containers):
        return False
    texts = [part.get("statusReason") for part in (job, *attempts)]
    texts += [container.get(name) for container in containers for name in ("reason", "logStreamName")]
    codes = [container.get("exitCode") for container in containers]
    return (
        isinstance(job.get("jobId"), str)
        and all(text is None or isinstance(text, str) for text in texts)
        and all(code is None or type(code) is int for code in codes)
    )


def failure_in(cause: str) -> Failure | None:
    """The typed failure behind a Cause: a gang's own, or that of the job a `.sync` Task waited for; None when there is neither."""
    job = job_from_cause(cause)
    if job is not None:
        return classify(job)
    try:
        return Failure.from_cause(cause)
    except DocumentError:
        return None


def _lower_first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_first(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lower_first(item) for item in value]
    return value
