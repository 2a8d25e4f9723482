"""What the twin knows of a job: its submission, its attempts, and the members that run in each."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from twin.compute.attempts import RetryStrategy
from twin.compute.resources import total
from twin.compute.scheduler import Demand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.batch.models import JobDefinition, JobQueue

    from twin.compute.instances import Place
    from twin.compute.loop import Cancellable
    from twin.compute.processes import ContainerProcess
    from twin.compute.specification import ContainerSpec

ESSENTIAL_CONTAINER_EXITED = "Essential container in task exited"
TASK_FAILED_TO_START = "Task failed to start"
ARRAY_CHILD_FAILED = "Array Child Job failed"
DEPENDENT_JOB_FAILED = "Dependent Job failed"
TIMED_OUT = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
FARGATE_SPOT_INTERRUPTED = "Your Spot Task was interrupted."


class Status(StrEnum):
    """The states of a job (AWS Batch User Guide, "Job states")."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether a job in this state stays in it."""
        return self in (Status.SUCCEEDED, Status.FAILED)

    @property
    def placed(self) -> bool:
        """Whether a job in this state has a place to run."""
        return self in (Status.STARTING, Status.RUNNING)


def now_ms() -> int:
    """The time as AWS Batch writes it: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Submission:
    """A validated SubmitJob request, without what names job, queue and definition."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    container_overrides: Mapping[str, Any] = field(default_factory=dict)
    node_overrides: Mapping[str, Any] = field(default_factory=dict)
    depends_on: tuple[Mapping[str, str], ...] = ()
    retry_strategy: Mapping[str, Any] | None = None
    timeout_seconds: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    propagate_tags: bool = False
    share_identifier: str | None = None
    scheduling_priority: int | None = None
    array_size: int | None = None


@dataclass(eq=False)
class Member:
    """A container of an attempt: the only one, or a node of a multi-node job.

    `lost` is the status reason once its host was taken away; `lost_at_once` whether that left it no time to end.
    """

    index: int
    spec: ContainerSpec
    instance_type: str
    status: Status = Status.STARTING
    place: Place | None = None
    process: ContainerProcess | None = None
    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    lost: str | None = None
    lost_at_once: bool = False
    out_of_memory: bool = False
    holds_capacity: bool = True


@dataclass(eq=False)
class Attempt:
    """One try of a job in an environment; `limit` ends it when it has run for too long."""

    number: int
    environment: str
    members: list[Member]
    started_at: int | None = None
    stopped_at: int | None = None
    status_reason: str | None = None
    limit: Cancellable | None = None

    @property
    def ended(self) -> bool:
        """Whether the attempt is over; members that are being stopped may still run."""
        return self.stopped_at is not None


@dataclass(eq=False)
class Job:
    """A job: of one container, of several nodes, an array's parent or one of its children."""

    id: str
    arn: str
    name: str
    definition: JobDefinition
    queue: JobQueue
    submission: Submission
    specs: tuple[ContainerSpec, ...]
    order: int
    main_node: int = 0
    multinode: bool = False
    parent: Job | None = None
    array_index: int | None = None
    created_at: int = field(default_factory=now_ms)
    started_at: int | None = None
    stopped_at: int | None = None
    status: Status = Status.SUBMITTED
    status_reason: str | None = None
    children: list[Job] = field(default_factory=list)
    open_children: int = 0
    summary_updated_at: int = field(default_factory=now_ms)
    attempts: list[Attempt] = field(default_factory=list)
    waits_for: set[str] = field(default_factory=set)
    stop_reason: str | None = None
    cancelled: bool = False
    terminated: bool = False

    @property
    def is_array(self) -> bool:
        """Whether this is an array's parent, which runs nothing itself."""
        return self.submission.array_size is not None and self.parent is None

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def main(self) -> Member | None:
        """The member of the latest attempt whose end is the job's."""
        return self.attempt.members[self.main_node] if self.attempt else None

    @property
    def retry(self) -> RetryStrategy:
        """The submission's retry strategy, or the definition's."""
        return RetryStrategy.parse(self.retry_strategy)

    @property
    def retry_strategy(self) -> Mapping[str, Any] | None:
        """The retry strategy as it was stated."""
        return self.submission.retry_strategy or self.definition.retry_strategy

    @property
    def timeout_seconds(self) -> int | None:
        """How long an attempt may run: the submission's word, or the definition's."""
        if self.submission.timeout_seconds:
            return self.submission.timeout_seconds
        stated = (self.definition.timeout or {}).get("attemptDurationSeconds")
        return int(stated) if stated else None

    @property
    def demand(self) -> Demand:
        """What the job needs to be placed."""
        return Demand(
            job_id=self.id,
            nodes=tuple(spec.resources for spec in self.specs),
            multinode=self.multinode,
            share=self.submission.share_identifier or "",
            priority=self.submission.scheduling_priority or 0,
            order=self.order,
        )

    @property
    def vcpus(self) -> float:
        """VCPUs of all its nodes."""
        return total(spec.resources for spec in self.specs).vcpus
