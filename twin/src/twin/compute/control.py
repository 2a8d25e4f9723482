"""AWS Batch's control plane: jobs wait for what they depend on and for room, run, are tried again, and end.

One lock guards the state of all jobs. What must not happen inside a caller's request (placing, starting, timers)
happens in the thread of the loop.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from twin.compute import queues
from twin.compute.announcements import Announcer
from twin.compute.attempts import Outcome
from twin.compute.jobs import (
    ARRAY_CHILD_FAILED,
    DEPENDENT_JOB_FAILED,
    ESSENTIAL_CONTAINER_EXITED,
    TASK_FAILED_TO_START,
    TIMED_OUT,
    Attempt,
    Job,
    Member,
    Status,
    now_ms,
)
from twin.compute.loop import Loop
from twin.compute.runner import Runner, StartFailed
from twin.compute.services import Notices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twin.compute.scheduler import Placement
    from twin.compute.services import Services

REMEMBERED_JOBS = 5_000
"""How many ended jobs are still described, arrays counted once; AWS keeps them for at least seven days."""
_logger = logging.getLogger(__name__)


class Control:
    """All jobs of the twin, from submission to end. Methods may be called from any thread.

    Parameters
    ----------
    stand_in
        Takes the place of every job's program, which then ends at once and well; None runs the programs.
    """

    def __init__(self, services: Services, *, stand_in: Callable[[Job], None] | None = None) -> None:
        self.lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        self._services = services
        self._stand_in = stand_in
        self._loop = Loop("compute")
        self._notices = Notices("compute-notices")
        self.announcer = Announcer(self._notices, services.emit)
        self._order = itertools.count()
        self._dependants: dict[str, list[Job]] = {}
        self._past: deque[Job] = deque()
        self._stopping = False
        self.runner = Runner(self._loop, self._notices, services, self._member_ended)
        self.waiting = queues.Waiting(self._loop, services, self._cancelled_by_queue, self.announcer.queue_blocked)

    def next_order(self) -> int:
        """A new job's place in the order of submissions."""
        return next(self._order)

    def submit(self, jobs: Iterable[Job]) -> None:
        """Take in a job, or an array's parent and its children."""
        with self.lock:
            for job in jobs:
                self.jobs[job.id] = job
                self._loop.soon(self._admit, job)

    def _admit(self, job: Job) -> None:
        """Decide what a new job waits for: its dependencies, its children, or room to run."""
        with self.lock:
            if job.status is not Status.SUBMITTED:
                return
            if job.is_array:  # it waits for its first child that may run: see `_set`
                return
            for dependency in list(job.waits_for):
                other = self.jobs[dependency]
                if other.status is Status.SUCCEEDED:
                    job.waits_for.discard(dependency)
                elif other.status is Status.FAILED:
                    self._end(job, Status.FAILED, DEPENDENT_JOB_FAILED)
                    return
                else:
                    self._dependants.setdefault(dependency, []).append(job)
            if job.waits_for:
                self._set(job, Status.PENDING)
            else:
                self._make_runnable(job)

    def _make_runnable(self, job: Job) -> None:
        self._set(job, Status.RUNNABLE)
        self.waiting.add(job)
        self.look_for_room()

    def look_for_room(self) -> None:
        """Place what can be placed, soon: capacity or queues have changed."""
        if self.waiting.ask():
            self._loop.soon(self._place)

    def _place(self) -> None:
        with self.lock:
            if self._stopping:
                return
            for placement in self.waiting.place(self.jobs):
                job = self.jobs[placement.job_id]
                attempt = self._new_attempt(job, placement)
                self._set(job, Status.STARTING)
                self._loop.soon(self._launch, job, attempt)

    def _new_attempt(self, job: Job, placement: Placement) -> Attempt:
        members = [
            Member(index=index, spec=spec, instance_type=kind.name if kind else "")
            for index, (spec, kind) in enumerate(zip(job.specs, placement.types, strict=True))
        ]
        attempt = Attempt(number=len(job.attempts) + 1, environment=placement.environment, members=members)
        job.attempts.append(attempt)
        job.status_reason = None
        return attempt

    def _launch(self, job: Job, attempt: Attempt) -> None:
        """Start an attempt: the main node first, and the others when it runs."""
        with self.lock:
            if attempt.ended or self._stopping:
                return
            if job.stop_reason:
                self._finish(job, attempt, Outcome(job.stop_reason))
            else:
                self._start_safely(job, attempt)

    def _start_safely(self, job: Job, attempt: Attempt) -> None:
        """Start an attempt; a fault of the twin itself fails it, for a job must not hang."""
        try:
            if self._stand_in is None:
                self._start_members(job, attempt)
            else:
                self._pretend(job, attempt, self._stand_in)
        except Exception as fault:
            _logger.exception("job %s could not be started", job.id)
            if not attempt.ended:
                self._finish(job, attempt, Outcome(TASK_FAILED_TO_START, f"CannotStartContainerError: {fault!r}"))

    def _start_members(self, job: Job, attempt: Attempt) -> None:
        main = attempt.members[job.main_node]
        try:
            self.runner.launch(job, attempt, self.waiting.host(job, attempt.environment))
            self.runner.start(job, attempt, main)
        except StartFailed as error:
            main.reason = str(error)
            self._finish(job, attempt, Outcome(error.status_reason, main.reason))
            return
        self._running(job, attempt)
        for member in attempt.members:
            if member is not main:
                try:
                    self.runner.start(job, attempt, member)
                except StartFailed as error:
                    # A node that dies leaves the others alone, whether or not it ever ran.
                    member.reason, member.status, member.stopped_at = str(error), Status.FAILED, now_ms()

    def _running(self, job: Job, attempt: Attempt) -> None:
        attempt.started_at = job.started_at = now_ms()
        self._set(job, Status.RUNNING)
        if job.timeout_seconds:
            # Not scaled: the limit is about the job's own work, which takes the time it takes.
            attempt.limit = self._loop.later(job.timeout_seconds, self._time_out, job, attempt)

    def _pretend(self, job: Job, attempt: Attempt, stand_in: Callable[[Job], None]) -> None:
        """Run nothing: the job succeeds at once."""
        stand_in(job)
        for member in attempt.members:
            member.started_at = member.stopped_at = now_ms()
            member.status, member.exit_code = Status.SUCCEEDED, 0
        self._running(job, attempt)
        self._finish(job, attempt, Outcome(ESSENTIAL_CONTAINER_EXITED, exit_code=0))

    def _time_out(self, job: Job, attempt: Attempt) -> None:
        with self.lock:
            if not attempt.ended and job.stop_reason is None:
                self._stop_running(job, TIMED_OUT)

    def _member_ended(self, job: Job, attempt: Attempt, member: Member) -> None:
        with self.lock:
            if member is attempt.members[job.main_node] and not attempt.ended:
                self._finish(job, attempt, _outcome(job, member))
            elif attempt.ended:
                self._release(job, member)

    def _finish(self, job: Job, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt is over because its main node is: stop its other nodes, and try again or end the job."""
        attempt.stopped_at = now_ms()
        attempt.status_reason = outcome.status_reason
        if attempt.limit is not None:
            attempt.limit.cancel()
        for member in attempt.members:
            if member.process is not None and member.process.running:
                self.runner.stop(member)
            else:
                self._release(job, member)
        if job.stop_reason:
            self._end(job, Status.FAILED, job.stop_reason)
        elif outcome.exit_code == 0 and outcome.status_reason == ESSENTIAL_CONTAINER_EXITED:
            self._end(job, Status.SUCCEEDED, outcome.status_reason)
        elif job.retry.again(attempt.number, outcome):
            job.status_reason = outcome.status_reason
            self._make_runnable(job)
        else:
            self._end(job, Status.FAILED, outcome.status_reason)

    def _release(self, job: Job, member: Member) -> None:
        if member.holds_capacity:
            member.holds_capacity = False
            self.runner.release(member)
            self.waiting.release(job, member)
            self.look_for_room()

    def _end(self, job: Job, status: Status, reason: str) -> None:
        if job.status.ended:
            return
        if job.status is Status.RUNNABLE:  # who is behind it in the queue may go now
            self.waiting.remove(job)
            self.look_for_room()
        job.stopped_at = now_ms()
        job.status_reason = reason
        self._set(job, status)
        self._settle(job)
        if job.parent is not None:
            self._child_ended(job.parent)

    def _child_ended(self, parent: Job) -> None:
        """An array ends when all its children have, and not before."""
        parent.open_children -= 1
        if parent.open_children:
            return
        failed = any(child.status is Status.FAILED for child in parent.children)
        reason = parent.stop_reason or (ARRAY_CHILD_FAILED if failed else None)
        parent.status_reason = reason if failed else None
        parent.stopped_at = now_ms()
        self._set(parent, Status.FAILED if failed else Status.SUCCEEDED)
        self._settle(parent)

    def _settle(self, job: Job) -> None:
        """Let those go on that wait for an ended job, and forget the oldest of all that have ended."""
        for dependant in self._dependants.pop(job.id, []):
            self._dependency_ended(dependant, job)
        if job.parent is not None:
            return
        self._past.append(job)
        if len(self._past) > REMEMBERED_JOBS:
            oldest = self._past.popleft()
            for forgotten in (oldest, *oldest.children):
                del self.jobs[forgotten.id]

    def _dependency_ended(self, job: Job, dependency: Job) -> None:
        if job.status is not Status.PENDING:
            return
        job.waits_for.discard(dependency.id)
        if dependency.status is Status.FAILED:
            self._end(job, Status.FAILED, job.stop_reason or DEPENDENT_JOB_FAILED)
        elif not job.waits_for:
            if job.stop_reason:
                self._end(job, Status.FAILED, job.stop_reason)
            else:
                self._make_runnable(job)

    def cancel(self, job: Job, reason: str) -> None:
        """CancelJob: end a job that has no place yet; one that has keeps running."""
        with self.lock:
            for child in job.children:
                self.cancel(child, reason)
            if job.is_array:
                job.stop_reason, job.cancelled = reason, True
            elif not job.status.placed and not job.status.ended:
                job.cancelled = True
                self._withdraw(job, reason)

    def terminate(self, job: Job, reason: str) -> None:
        """TerminateJob: end a job wherever it is, with SIGTERM first where it runs."""
        with self.lock:
            for child in job.children:
                self.terminate(child, reason)
            if job.status.ended:
                return
            job.terminated = True
            if job.is_array:
                job.stop_reason = reason
            elif job.status.placed:
                self._stop_running(job, reason)
            else:
                self._withdraw(job, reason)

    def _withdraw(self, job: Job, reason: str) -> None:
        """End a job without a place. One that depends on others ends after them (API Reference, CancelJob)."""
        job.stop_reason = reason
        if not job.waits_for:
            self._end(job, Status.FAILED, reason)

    def _stop_running(self, job: Job, reason: str) -> None:
        if job.stop_reason is None:
            job.stop_reason = reason
            for member in job.attempt.members if job.attempt else ():
                self.runner.stop(member)

    def _cancelled_by_queue(self, job: Job, reason: str) -> None:
        with self.lock:
            if job.status is Status.RUNNABLE:
                self._end(job, Status.FAILED, reason)

    def _set(self, job: Job, status: Status) -> None:
        job.status = status
        if job.parent is not None:
            job.parent.summary_updated_at = now_ms()
        self.announcer.status_changed(job)
        if job.parent is not None and status is Status.RUNNABLE and job.parent.status is Status.SUBMITTED:
            # An array's parent follows its first child that may run (API Reference, ListJobs, on `jobStatus`).
            self._set(job.parent, Status.PENDING)

    def real(self, aws_seconds: float) -> float:
        """Seconds here of a wait that AWS makes."""
        return self._services.clock.real(aws_seconds)

    def soon_in(self, aws_seconds: float, action: Callable[[], None]) -> None:
        """Do `action` after a wait that AWS makes."""
        self._loop.later(self.real(aws_seconds), action)

    def stop(self) -> None:
        """Kill everything and end the threads. No event is sent about the jobs that this ends."""
        with self.lock:
            self._stopping = True
            self.announcer.fall_silent()
        self.runner.kill_all()
        self._loop.stop()
        self._notices.stop()


def _outcome(job: Job, member: Member) -> Outcome:
    """How an attempt ended, by how its main member did."""
    if member.lost:
        return Outcome(member.lost, member.reason, member.exit_code)
    return Outcome(job.stop_reason or ESSENTIAL_CONTAINER_EXITED, member.reason, member.exit_code)
