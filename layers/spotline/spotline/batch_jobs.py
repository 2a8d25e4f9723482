"""A gang's jobs in AWS Batch: submitted, found, described, terminated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spotline.runs import Market, gang_job_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_batch import BatchClient

    from spotline.failures import Job
    from spotline.gangs import Gang

_DESCRIBED_AT_ONCE = 100  # DescribeJobs takes at most 100 ids
_UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


@dataclass(frozen=True)
class GangPlaces:
    """Where gangs run: a queue and a job definition for each market, and how many members each gang has."""

    spot_queue: str
    spot_job_definition: str
    on_demand_queue: str
    on_demand_job_definition: str
    members: int


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
    ]
    common: Any = {
        "jobName": gang_job_name(gang.run_id, gang.generation),
        "tags": {
            "spotline:run-id": gang.run_id,
            "spotline:stage": "analysis",
            "spotline:generation": str(gang.generation),
            "spotline:execution-arn": gang.execution_arn,
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
    if "arrayProperties" in job and job["arrayProperties"].get("size"):
        ids = [f"{job_id}:{index}" for index in range(job["arrayProperties"]["size"])]
    elif "nodeProperties" in job and job["nodeProperties"].get("numNodes"):
        ids = [f"{job_id}#{index}" for index in range(job["nodeProperties"]["numNodes"])]
    else:
        return job, []
    found: dict[str, Job] = {}
    for start in range(0, len(ids), _DESCRIBED_AT_ONCE):
        answer = client.describe_jobs(jobs=ids[start : start + _DESCRIBED_AT_ONCE])
        found |= {member["jobId"]: member for member in answer["jobs"]}
    members = [found.get(member_id, {}) for member_id in ids]
    while members and not members[-1]:
        members.pop()
    return job, members


def gang_jobs(client: BatchClient, queue: str, job_name: str) -> Iterator[tuple[str, str]]:
    """Id and status of the jobs in a queue by name, which may end in `*`. With a filter, jobs of every status are listed."""
    pages = client.get_paginator("list_jobs").paginate(
        jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [job_name]}]
    )
    for page in pages:
        for summary in page["jobSummaryList"]:
            yield summary["jobId"], summary.get("status", "")


def terminate_unfinished(
    client: BatchClient, queue: str, job_name: str, reason: str, *, but: str | None = None
) -> list[str]:
    """Terminate every unfinished job of that name, except one, and return their ids."""
    ended = []
    for job_id, status in gang_jobs(client, queue, job_name):
        if status in _UNFINISHED and job_id != but:
            client.terminate_job(jobId=job_id, reason=reason)
            ended.append(job_id)
    return ended
