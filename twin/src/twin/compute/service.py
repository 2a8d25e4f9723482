"""The API of AWS Batch for jobs: SubmitJob, DescribeJobs, ListJobs, CancelJob, TerminateJob.

Queues, environments and job definitions stay moto's; jobs are the twin's own. Every request is a dict as in the
``batch`` service model of botocore.
"""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

from twin.compute.descriptions import job_detail, job_summary, node_detail, node_summary
from twin.compute.jobs import Job, Status, Submission
from twin.compute.specification import container_spec, node_specs
from twin.compute.validation import submission_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from moto.batch.models import BatchBackend, JobDefinition, JobQueue

    from twin.compute.control import Control

_MAX_DESCRIBED = 100
_MAX_LISTED = 100


class Refused(Exception):
    """AWS Batch refuses the request: a ClientException with this message."""


class JobService:
    """Answers requests about jobs."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def submit(self, backend: BatchBackend, request: Mapping[str, Any]) -> dict[str, str]:
        """SubmitJob. Raises `Refused`."""
        queue, definition = self._named(backend, request)
        fargate = any("FARGATE" in environment.compute_resources["type"] for environment in queue.environments)
        fair_share = bool(queue.schedule_policy)
        problems = submission_problems(request, definition.describe(), fair_share=fair_share, without_instances=fargate)
        if problems:
            raise Refused("; ".join(problems))
        submission = _submission(request, definition)
        with self._control.lock:
            jobs = self._jobs(backend, request["jobName"], queue, definition, submission)
            for job in jobs:
                if submission.tags:
                    backend.tag_resource(job.arn, dict(submission.tags))
            self._control.submit(jobs)
        return {"jobArn": jobs[0].arn, "jobName": jobs[0].name, "jobId": jobs[0].id}

    @staticmethod
    def _named(backend: BatchBackend, request: Mapping[str, Any]) -> tuple[JobQueue, JobDefinition]:
        definition = backend.get_job_definition(request["jobDefinition"])
        if definition is None:
            raise Refused(f"Job definition {request['jobDefinition']} does not exist")
        if definition.status != "ACTIVE":
            raise Refused(f"Job definition {definition.arn} is {definition.status}")
        queue = backend.get_job_queue(request["jobQueue"])
        if queue is None:
            raise Refused(f"Job queue {request['jobQueue']} does not exist")
        if queue.state != "ENABLED":
            raise Refused(f"Job queue {queue.arn} is {queue.state}")
        return queue, definition

    def _jobs(
        self,
        backend: BatchBackend,
        name: str,
        queue: JobQueue,
        definition: JobDefinition,
        submission: Submission,
    ) -> list[Job]:
        """The job, or an array's parent and then its children, each waiting for what it depends on."""
        parameters = {**definition.parameters, **submission.parameters}
        multinode = definition.type == "multinode"
        if multinode:
            specs = node_specs(definition.node_properties or {}, submission.node_overrides, parameters)
        else:
            properties = definition.container_properties or {}
            specs = (container_spec(properties, submission.container_overrides, parameters),)

        def make(job_id: str, parent: Job | None = None, index: int | None = None) -> Job:
            return Job(
                id=job_id,
                arn=f"arn:aws:batch:{backend.region_name}:{backend.account_id}:job/{job_id}",
                name=name,
                definition=definition,
                queue=queue,
                submission=submission,
                specs=specs,
                order=self._control.next_order(),
                multinode=multinode,
                main_node=int(definition.node_properties["mainNode"])
                if multinode and definition.node_properties
                else 0,
                parent=parent,
                array_index=index,
            )

        job = make(str(uuid.uuid4()))
        if submission.array_size:
            job.children = [make(f"{job.id}:{index}", job, index) for index in range(submission.array_size)]
            job.open_children = len(job.children)
        for waiting in job.children or [job]:
            waiting.waits_for = set(self._dependencies(waiting))
        return [job, *job.children]

    def _dependencies(self, job: Job) -> Iterator[str]:
        for dependency in job.submission.depends_on:
            kind, other = dependency.get("type"), dependency.get("jobId")
            if kind == "SEQUENTIAL" and job.parent:
                if job.array_index:
                    yield f"{job.parent.id}:{job.array_index - 1}"
                continue
            if other not in self._control.jobs:
                raise Refused(f"Job dependency {other} does not exist")
            if kind == "N_TO_N":
                if self._control.jobs[other].submission.array_size != job.submission.array_size:
                    raise Refused(f"N_TO_N dependency {other} is not an array job of the same size")
                other = f"{other}:{job.array_index}"
            yield other

    def describe(self, backend: BatchBackend, ids: Sequence[str] | None) -> list[dict[str, Any]]:
        """DescribeJobs: the details of `ids` (or ARNs); those of no job are left out. Raises `Refused`."""
        if not ids:
            raise Refused("jobs must contain at least one job ID")
        if len(ids) > _MAX_DESCRIBED:
            raise Refused(f"DescribeJobs takes at most {_MAX_DESCRIBED} job IDs, not {len(ids)}")
        with self._control.lock:
            return [found for wanted in ids if (found := self._described(backend, wanted)) is not None]

    def _described(self, backend: BatchBackend, wanted: str) -> dict[str, Any] | None:
        job_id, node, index = wanted.rpartition("job/")[2].partition("#")
        job = self._control.jobs.get(job_id)
        if job is None:
            return None
        tags = backend.list_tags_for_resource(job.arn)
        if not node:
            return job_detail(job, tags)
        exists = job.multinode and index.isdecimal() and int(index) < len(job.specs)
        return node_detail(job, int(index), tags) if exists else None

    def list_jobs(self, backend: BatchBackend, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListJobs: of a queue, an array, or a multi-node job, the newest first. Raises `Refused`.

        Without a status and without filters these are the RUNNING ones; a filter makes the status count for nothing,
        but for the filter on shares (API Reference, ListJobs).
        """
        sources = [name for name in ("jobQueue", "arrayJobId", "multiNodeJobId") if request.get(name)]
        if len(sources) != 1:
            raise Refused("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be set")
        filters = request.get("filters") or []
        any_status = bool(filters) and (filters[0].get("name") != "SHARE_IDENTIFIER" or not request.get("jobStatus"))
        status = None if any_status else request.get("jobStatus") or "RUNNING"
        if status is not None and status not in set(Status):
            raise Refused(f"jobStatus must be one of {', '.join(Status)}, not {status}")
        with self._control.lock:
            summaries = self._listed(backend, sources[0], request, filters)
        return _page([item for item in summaries if status in (None, item["status"])], request)

    def _listed(
        self, backend: BatchBackend, source: str, request: Mapping[str, Any], filters: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        if source == "jobQueue":
            queue = backend.get_job_queue(request["jobQueue"])
            if queue is None:
                raise Refused(f"Job queue {request['jobQueue']} does not exist")
            matches = _filter(filters)
            jobs = [job for job in self._control.jobs.values() if job.queue is queue and job.parent is None]
            return [job_summary(job) for job in reversed(jobs) if matches(job)]
        if filters:
            raise Refused(f"filters cannot be used with {source}")
        job = self._control.jobs.get(request[source])
        if job is None:
            raise Refused(f"Job {request[source]} does not exist")
        if source == "arrayJobId":
            return [job_summary(child) for child in job.children]
        nodes = range(len(job.specs)) if job.multinode else ()
        return [node_summary(job, node) for node in nodes]

    def cancel(self, request: Mapping[str, Any]) -> None:
        """CancelJob; a job that does not exist counts as cancelled. Raises `Refused`."""
        job = self._to_end(request)
        if job is not None:
            self._control.cancel(job, request["reason"])

    def terminate(self, request: Mapping[str, Any]) -> None:
        """TerminateJob; a job that does not exist counts as terminated. Raises `Refused`."""
        job = self._to_end(request)
        if job is not None:
            self._control.terminate(job, request["reason"])

    def _to_end(self, request: Mapping[str, Any]) -> Job | None:
        for name in ("jobId", "reason"):
            if not request.get(name):
                raise Refused(f"'{name}' is a required field (cannot be an empty string)")
        if "#" in request["jobId"]:
            raise Refused("A node of a multi-node parallel job cannot be ended by itself")
        return self._control.jobs.get(request["jobId"])


def _submission(request: Mapping[str, Any], definition: JobDefinition) -> Submission:
    propagate = request.get("propagateTags")
    priority = request.get("schedulingPriorityOverride")
    if priority is None:
        priority = getattr(definition, "scheduling_priority", None)
    return Submission(
        parameters=request.get("parameters") or {},
        container_overrides=request.get("containerOverrides") or {},
        node_overrides=request.get("nodeOverrides") or {},
        depends_on=tuple(request.get("dependsOn") or ()),
        retry_strategy=_lower_case_actions(request.get("retryStrategy")),
        timeout_seconds=(request.get("timeout") or {}).get("attemptDurationSeconds"),
        tags=request.get("tags") or {},
        propagate_tags=bool(definition.propagate_tags if propagate is None else propagate),
        share_identifier=request.get("shareIdentifier"),
        scheduling_priority=priority,
        array_size=(request.get("arrayProperties") or {}).get("size"),
    )


def _lower_case_actions(strategy: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """AWS Batch writes the actions of rules in lower case, whatever it was given."""
    if not strategy or not strategy.get("evaluateOnExit"):
        return strategy
    rules = [{**rule, "action": rule["action"].lower()} for rule in strategy["evaluateOnExit"]]
    return {**strategy, "evaluateOnExit": rules}


def _filter(filters: Sequence[Mapping[str, Any]]) -> Callable[[Job], bool]:
    """The one filter that ListJobs takes: on a name, which may end in ``*``, or on the time of creation."""
    if not filters:
        return _any_job
    if len(filters) > 1:
        raise Refused("Only one filter can be used at a time")
    name, values = filters[0]["name"], filters[0]["values"]
    texts: dict[str, Callable[[Job, str], bool]] = {
        "JOB_NAME": lambda job, value: _same(job.name.lower(), value.lower()),
        "JOB_DEFINITION": lambda job, value: value == job.definition.arn or _same(job.definition.name, value),
        "SHARE_IDENTIFIER": lambda job, value: _same(job.submission.share_identifier or "", value),
    }
    if name in texts:
        return lambda job: any(texts[name](job, value) for value in values)
    if name == "BEFORE_CREATED_AT":
        return lambda job: job.created_at < int(values[0])
    if name == "AFTER_CREATED_AT":
        return lambda job: job.created_at > int(values[0])
    raise Refused(f"Filter {name} is not one of {', '.join(texts)}, BEFORE_CREATED_AT, AFTER_CREATED_AT")


def _any_job(job: Job) -> bool:
    return bool(job)


def _same(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _page(summaries: list[dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    start = int(base64.b64decode(request["nextToken"])) if request.get("nextToken") else 0
    end = start + min(int(request.get("maxResults") or _MAX_LISTED), _MAX_LISTED)
    page: dict[str, Any] = {"jobSummaryList": summaries[start:end]}
    if end < len(summaries):
        page["nextToken"] = base64.b64encode(str(end).encode()).decode()
    return page
