"""Our jobs in AWS Batch: submitted, found, described, terminated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spotline.runs import Market, gang_job_name
from spotline.strays import ListedJob, OurJob, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.literals import JobStatusType

    from spotline.failures import Job
    from spotline.gangs import Gang

_DESCRIBED_AT_ONCE = 100  # DescribeJobs takes at most 100 ids
_UNFINISHED: tuple[JobStatusType, ...] = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
LISTED_OF_GANGS = _UNFINISHED
LISTED_OF_CONTAINERS: tuple[JobStatusType, ...] = ("RUNNABLE", "STARTING", "RUNNING")
"""What is listed of queues without arrays: a job is SUBMITTED for moments, and PENDING only while it depends on another one."""
_OUR_NAMES = re.compile(r"(?P<run>.+)-(?:(?P<stage>preprocess|postprocess)|g[0-9]+)")


@dataclass(frozen=True)
class GangPlaces:
    """Where gangs run: a queue and a job definition for each market, and how many members each gang has.

    `spot_forming_seconds` and `on_demand_forming_seconds` are how long a member waits for the others before it gives up. The markets
    differ because Batch starts members differently: the children of an array whenever there is an instance for one of them, the nodes
    of a multi-node job once the main node runs ("Job lifecycle for MNP jobs", Batch user guide).
    """

    spot_queue: str
    spot_job_definition: str
    spot_forming_seconds: int
    on_demand_queue: str
    on_demand_job_definition: str
    on_demand_forming_seconds: int
    members: int

    def forming_seconds(self, market: Market) -> int:
        """How long a member of a gang on `market` waits for the others."""
        return self.spot_forming_seconds if market is Market.SPOT else self.on_demand_forming_seconds


def submit_gang(client: BatchClient, gang: Gang, places: GangPlaces) -> str:
    """Submit the gang's job and return its id.

    On Spot a gang is an array job, because multi-node parallel jobs are not supported on Spot compute environments ("Create a
    compute environment for multi-node parallel jobs", Batch user guide); on On-Demand it is a multi-node parallel job. Neither
    retries by itself: Step Functions owns the gang's retries.
    """
    environment: Any = [
        {"name": "RUN_ID", "value": gang.run_id},
        {"name": "GENERATION", "value": str(gang.generation)},
        {"name": "EXECUTION_ARN", "value": gang.execution_arn},
        {"name": "GANG_FORMING_SECONDS", "value": str(places.forming_seconds(gang.market))},
    ]
    common: Any = {
        "jobName": gang_job_name(gang.run_id, gang.generation),
        "tags": {
            "spotline:run-id": gang.run_id,
            "spotline:stage": "analysis",
            "spotline:generation": str(gang.generation),
            "spotline:execution-arn": gang.execution_arn,
            **({} if gang.redrives is None else {"spotline:redrives": str(gang.redrives)}),
        },
        "propagateTags": True,
    }
    if gang.market is Market.SPOT:
        answer = client.submit_job(
            **common,
            jobQueue=places.spot_queue,
            jobDefinition=places.spot_job_definition,
            arrayProperties={"size": places.members},
            containerOverrides={"environment": environment},
        )
    else:
        answer = client.submit_job(
            **common,
            jobQueue=places.on_demand_queue,
            jobDefinition=places.on_demand_job_definition,
            nodeOverrides={
                "numNodes": places.members,
                "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": {"environment": environment}}],
            },
        )
    return answer["jobId"]


def describe_gang(client: BatchClient, job_id: str) -> tuple[Job | None, list[Job]]:
    """Describe a gang's job and its members in order; (None, []) when Batch no longer knows the job.

    An array names its members `id:n`, a multi-node job `id#n`. A member that Batch does not describe (a node that never was
    started) is left out of the tail, or an empty dict in between.
    """
    described = client.describe_jobs(jobs=[job_id])["jobs"]
    if not described:
        return None, []
    job: Job = described[0]
    return job, _members(client, job)


def jobs_of_run(client: BatchClient, queues: Iterable[str], run_id: str) -> list[tuple[Job, list[Job]]]:
    """Every job of a run that Batch still knows, of every stage and attempt, each with its members if it is a gang.

    Batch keeps ended jobs for at least seven days ("Job states", Batch user guide).
    """
    ids = [job["jobId"] for queue in queues for job in _listed(client, queue, f"{run_id}-*")]
    ours = [job for job in _described(client, ids) if (job.get("tags") or {}).get("spotline:run-id") == run_id]
    return [(job, _members(client, job)) for job in sorted(ours, key=lambda job: (job["createdAt"], job["jobId"]))]


def _members(client: BatchClient, job: Job) -> list[Job]:
    """The members of a gang's job, in order; none of a job that is no gang. See `describe_gang`."""
    if "arrayProperties" in job and job["arrayProperties"].get("size"):
        ids = [f"{job['jobId']}:{index}" for index in range(job["arrayProperties"]["size"])]
    elif "nodeProperties" in job and job["nodeProperties"].get("numNodes"):
        ids = [f"{job['jobId']}#{index}" for index in range(job["nodeProperties"]["numNodes"])]
    else:
        return []
    found = {member["jobId"]: member for member in _described(client, ids)}
    members = [found.get(member_id, {}) for member_id in ids]
    while members and not members[-1]:
        members.pop()
    return members


def job_of_gang(client: BatchClient, gang: Gang, queue: str) -> str | None:
    """The gang's job by its name, for a gang whose launcher died before it wrote the id down; the oldest, should there be more."""
    found = _listed(client, queue, gang_job_name(gang.run_id, gang.generation))
    return min(found, key=lambda job: (job["createdAt"], job["jobId"]))["jobId"] if found else None


def terminate_older_gangs(client: BatchClient, queues: Iterable[str], gang: Gang, reason: str) -> list[str]:
    """Terminate every unfinished older gang of the same run, and return the ids of their jobs. Newer ones are let be."""
    prefix = f"{gang.run_id}-g"
    ended = []
    for queue in queues:
        for job in _listed(client, queue, f"{prefix}*"):
            generation = job["jobName"].removeprefix(prefix)
            if job["status"] in _UNFINISHED and generation.isdecimal() and int(generation) < gang.generation:
                client.terminate_job(jobId=job["jobId"], reason=reason)
                ended.append(job["jobId"])
    return ended


def unfinished_jobs_of_run(client: BatchClient, queues: Iterable[str], run_id: str) -> list[OurJob]:
    """The jobs of a run that have not ended, of every stage. A job without our tags is none of ours."""
    ids = [
        job["jobId"]
        for queue in queues
        for job in _listed(client, queue, f"{run_id}-*")
        if job["status"] in _UNFINISHED
    ]
    return [job for job in describe_our_jobs(client, ids) if job.run_id == run_id]


def describe_our_jobs(client: BatchClient, ids: Sequence[str]) -> list[OurJob]:
    """Those of these jobs that have not ended and have our tags."""
    jobs = (_our_job(job) for job in _described(client, ids) if job["status"] in _UNFINISHED)
    return [job for job in jobs if job is not None]


def list_unfinished_jobs(client: BatchClient, queues: Mapping[str, Sequence[JobStatusType]]) -> list[ListedJob]:
    """The unfinished jobs of these queues whose names are ours: a call for a queue, a status and a hundred jobs.

    Parameters
    ----------
    queues
        The statuses to list of each queue, in the order in which a job passes through them, so that one that moves on meanwhile is
        seen, twice rather than not at all. Without a filter, ListJobs lists one status at a time.
    """
    found: dict[str, ListedJob] = {}
    for queue, statuses in queues.items():
        for status in statuses:
            for page in client.get_paginator("list_jobs").paginate(jobQueue=queue, jobStatus=status):
                jobs = (_listed_job(queue, job) for job in page["jobSummaryList"])
                found |= {job.job_id: job for job in jobs if job is not None}
    return list(found.values())


def _listed_job(queue: str, job: Any) -> ListedJob | None:
    named = _OUR_NAMES.fullmatch(job["jobName"])
    if named is None:
        return None
    return ListedJob(
        job_id=job["jobId"],
        run_id=named["run"],
        stage=Stage(named["stage"] or Stage.ANALYSIS),
        created_at=datetime.fromtimestamp(job["createdAt"] / 1000, UTC),
        queue=queue,
        status=job["status"],
    )


def _our_job(job: Job) -> OurJob | None:
    tags = job.get("tags") or {}
    try:
        return OurJob(
            job_id=job["jobId"],
            run_id=tags["spotline:run-id"],
            stage=Stage(tags["spotline:stage"]),
            execution_arn=tags["spotline:execution-arn"],
            created_at=datetime.fromtimestamp(job["createdAt"] / 1000, UTC),
            generation=int(tags.get("spotline:generation", 0)),
            queue=job["jobQueue"],
            waiting_since=_waiting_since(job),
            redrives=int(tags["spotline:redrives"]) if "spotline:redrives" in tags else None,
        )
    except (KeyError, ValueError):
        return None


def _waiting_since(job: Job) -> datetime | None:
    """When a job began to wait in RUNNABLE: at its submission, or when its last attempt ended. An array is PENDING meanwhile."""
    members = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    if job["status"] != "RUNNABLE" and not members.get("RUNNABLE"):
        return None
    ends = [attempt["stoppedAt"] for attempt in job.get("attempts", ()) if "stoppedAt" in attempt]
    return datetime.fromtimestamp(max([job["createdAt"], *ends]) / 1000, UTC)


def _listed(client: BatchClient, queue: str, job_name: str) -> list[Any]:
    """Summaries of a queue's jobs by name, which may end in `*`: with a filter, jobs of every status are listed (ListJobs)."""
    pages = client.get_paginator("list_jobs").paginate(
        jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [job_name]}]
    )
    return [job for page in pages for job in page["jobSummaryList"]]


def _described(client: BatchClient, ids: Sequence[str]) -> Iterator[Job]:
    for start in range(0, len(ids), _DESCRIBED_AT_ONCE):
        yield from client.describe_jobs(jobs=list(ids[start : start + _DESCRIBED_AT_ONCE]))["jobs"]
