"""Tells the world what happens to jobs: events on the default bus, and listeners inside the twin.

Source: AWS Batch User Guide, "Job state change events" and "Job queue blocked events".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twin.compute.descriptions import job_detail

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.compute.jobs import Job
    from twin.compute.services import Emit, Notices


class Announcer:
    """Announces jobs as they are at the moment of the call, in order, from the thread of `notices`."""

    def __init__(self, notices: Notices, emit: Emit) -> None:
        self._notices = notices
        self._emit = emit
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        self._silent = False

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Call `listener` with a job's detail after each change of its status."""
        self._listeners.append(listener)

    def status_changed(self, job: Job) -> None:
        """A job is in another state than before."""
        if self._silent:
            return
        detail = self._event("Batch Job State Change", job, [job.arn])
        for listener in self._listeners:
            self._notices.put(partial(listener, detail))

    def queue_blocked(self, job: Job) -> None:
        """A job at the head of its queue is stuck, for the reason that its status reason gives."""
        if not self._silent:
            self._event("Batch Job Queue Blocked", job, [job.arn, job.queue.arn])

    def _event(self, what: str, job: Job, resources: list[str]) -> dict[str, Any]:
        detail = job_detail(job, {**job.submission.tags, "resourceArn": job.arn})  # as in AWS's own example
        self._notices.put(partial(self._emit, "aws.batch", what, resources, detail))
        return detail

    def fall_silent(self) -> None:
        """Announce nothing more: what ends now ends with the twin, not on AWS."""
        self._silent = True
