"""Jobs as AWS Batch describes them: DescribeJobs' JobDetail, ListJobs' JobSummary, and the detail of its events.

Shapes: the ``batch`` service model of botocore. Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin.compute.jobs import Attempt, Job, Member, Status
from twin.compute.specification import ContainerSpec, node_count, target_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTS = ("volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets")


def job_detail(job: Job, tags: Mapping[str, str]) -> dict[str, Any]:
    """A job as DescribeJobs shows it, and as events carry it."""
    detail = _common(job, tags)
    if job.multinode:
        detail["nodeProperties"] = _node_properties(job)
        detail["container"] = _runtime(job.main)
        detail["attempts"] = [_attempt(attempt, attempt.members[job.main_node]) for attempt in _ended(job)]
    else:
        detail["container"] = _container(job.specs[0]) | _runtime(job.main)
        detail["attempts"] = [_attempt(attempt, attempt.members[0]) for attempt in _ended(job)]
    if job.is_array:
        detail["arrayProperties"] = {"size": job.submission.array_size, **_summary_of_children(job)}
    elif job.array_index is not None:
        detail["arrayProperties"] = {"statusSummary": {}, "index": job.array_index}
    return detail


def node_detail(job: Job, index: int, tags: Mapping[str, str]) -> dict[str, Any]:
    """A node of a multi-node job, as DescribeJobs shows ``<job id>#<index>``."""
    detail = _common(job, tags) | _node_state(job, index)
    detail["container"] = _container(job.specs[index]) | _runtime(_node(job, index))
    detail["attempts"] = [_attempt(attempt, attempt.members[index]) for attempt in _ended(job)]
    detail["nodeDetails"] = {"nodeIndex": index, "isMainNode": index == job.main_node}
    return detail


def job_summary(job: Job) -> dict[str, Any]:
    """A job as ListJobs shows it."""
    summary = _identity(job)
    if main := job.main:
        summary["container"] = _exit(main)
    if job.multinode:
        summary["nodeProperties"] = {"numNodes": len(job.specs)}
    if job.is_array:
        summary["arrayProperties"] = {"size": job.submission.array_size, **_summary_of_children(job)}
    elif job.array_index is not None:
        summary["arrayProperties"] = {"index": job.array_index}
    return summary


def node_summary(job: Job, index: int) -> dict[str, Any]:
    """A node as ListJobs shows it for its job's ``multiNodeJobId``."""
    summary = _identity(job) | _node_state(job, index)
    if member := _node(job, index):
        summary["container"] = _exit(member)
    is_main = index == job.main_node
    summary["nodeProperties"] = {"isMainNode": is_main, "numNodes": len(job.specs), "nodeIndex": index}
    return summary


def node_status(job: Job, index: int) -> Status:
    """The state of a node: its own once it is placed, its job's before."""
    member = _node(job, index)
    return member.status if member and (job.status.placed or job.status.ended) else job.status


def children_by_status(job: Job) -> dict[str, int]:
    """How many of an array's children are in each state."""
    counts = {status.value: 0 for status in Status}
    for child in job.children:
        counts[child.status.value] += 1
    return counts


def _summary_of_children(job: Job) -> dict[str, Any]:
    return {"statusSummary": children_by_status(job), "statusSummaryLastUpdatedAt": job.summary_updated_at}


def _identity(job: Job) -> dict[str, Any]:
    described: dict[str, Any] = {
        "jobArn": job.arn,
        "jobId": job.id,
        "jobName": job.name,
        "createdAt": job.created_at,
        "status": job.status.value,
        "jobDefinition": job.definition.arn,
        "statusReason": job.status_reason,
        "startedAt": job.started_at,
        "stoppedAt": job.stopped_at,
        "shareIdentifier": job.submission.share_identifier,
    }
    return {name: value for name, value in described.items() if value is not None}


def _common(job: Job, tags: Mapping[str, str]) -> dict[str, Any]:
    submission = job.submission
    detail = _identity(job) | {
        "jobQueue": job.queue.arn,
        "dependsOn": [dict(dependency) for dependency in submission.depends_on],
        "parameters": {**job.definition.parameters, **submission.parameters},
        "tags": dict(tags),
        "propagateTags": submission.propagate_tags,
        "platformCapabilities": list(job.definition.platform_capabilities or []),
        "isCancelled": job.cancelled,
        "isTerminated": job.terminated,
    }
    if job.retry_strategy:
        detail["retryStrategy"] = {
            "attempts": job.retry.attempts,
            "evaluateOnExit": [dict(rule) for rule in job.retry_strategy.get("evaluateOnExit") or []],
        }
    if job.timeout_seconds:
        detail["timeout"] = {"attemptDurationSeconds": job.timeout_seconds}
    if submission.scheduling_priority is not None:
        detail["schedulingPriority"] = submission.scheduling_priority
    return detail


def _container(spec: ContainerSpec) -> dict[str, Any]:
    return {name: [] for name in _LISTS} | dict(spec.properties)


def _runtime(member: Member | None) -> dict[str, Any]:
    """What running added to a container: where it ran, its log stream, how it ended."""
    described: dict[str, Any] = {"networkInterfaces": []}
    if member is not None:
        described |= _exit(member)
    if member is None or member.place is None:
        return described
    instance, task = member.place.instance, member.place.task
    described["taskArn"] = task.arn
    described["logStreamName"] = task.log_stream
    if task.awsvpc:
        interface = {"attachmentId": task.attachment, "privateIpv4Address": task.address}
        described["networkInterfaces"] = [interface]
    if not instance.market.fargate:
        described["containerInstanceArn"] = instance.container_instance
    return described


def _exit(member: Member) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if member.exit_code is not None:
        described["exitCode"] = member.exit_code
    if member.reason is not None:
        described["reason"] = member.reason
    return described


def _attempt(attempt: Attempt, member: Member) -> dict[str, Any]:
    described: dict[str, Any] = {
        "container": _runtime(member),
        "startedAt": member.started_at or attempt.started_at,
        "stoppedAt": member.stopped_at or attempt.stopped_at,
        "statusReason": attempt.status_reason,
    }
    return {name: value for name, value in described.items() if value is not None}


def _ended(job: Job) -> list[Attempt]:
    """An attempt is listed when it is over; what runs now is described by the job's own container."""
    return [attempt for attempt in job.attempts if attempt.ended]


def _node(job: Job, index: int) -> Member | None:
    return job.attempt.members[index] if job.attempt else None


def _node_state(job: Job, index: int) -> dict[str, Any]:
    state: dict[str, Any] = {
        "jobId": f"{job.id}#{index}",
        "jobArn": f"{job.arn}#{index}",
        "status": node_status(job, index).value,
    }
    member = _node(job, index)
    if member and member.started_at:
        state["startedAt"] = member.started_at
    if member and member.stopped_at:
        state["stoppedAt"] = member.stopped_at
    return state


def _node_properties(job: Job) -> dict[str, Any]:
    stated = job.definition.node_properties or {}
    count = node_count(stated, job.submission.node_overrides)
    ranges = [
        {**entry, "container": _container(job.specs[target_nodes(entry["targetNodes"], count)[0]])}
        for entry in stated["nodeRangeProperties"]
    ]
    return {"numNodes": count, "mainNode": job.main_node, "nodeRangeProperties": ranges}
