"""What Spot does: take an instance back, with a notice first or without one.

Source: Amazon EC2 User Guide, "Spot Instance interruption notices"; AWS Batch User Guide, "Job failures" for what a job
says afterwards; AWS Fargate's own words for Fargate Spot.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from twin.compute.jobs import FARGATE_SPOT_INTERRUPTED, Attempt, Member, Status

if TYPE_CHECKING:
    from twin.compute.control import Control
    from twin.compute.instances import Instance

NOTICE_SECONDS = 120.0
"""How long before it takes an instance EC2 says so."""


class CannotReclaim(LookupError):
    """There is no such Spot instance; the message says why, and what there is."""


def reclaim(control: Control, job_id: str, member: int | None, notice_seconds: float | None) -> str:
    """Take the instance away that a job's member runs on: see `twin.compute.reclaim`."""
    with control.lock:
        attempt, victim, instance = _victim(control, job_id, member)
        seconds = NOTICE_SECONDS if notice_seconds is None else notice_seconds
        reason = (
            FARGATE_SPOT_INTERRUPTED if instance.market.fargate else f"Host EC2 (instance {instance.id}) terminated."
        )
        if seconds > 0:
            control.runner.announce(instance, control.real(seconds))
            if instance.market.fargate:  # Fargate Spot sends SIGTERM with its warning, and no metadata
                control.runner.lose(victim, reason, grace_seconds=seconds)
            else:
                control.soon_in(seconds, partial(_take, control, attempt, victim, reason))
            return instance.id
    control.runner.lose_at_once(victim, reason)
    return instance.id


def _take(control: Control, attempt: Attempt, victim: Member, reason: str) -> None:
    """The notice has run out: the host shuts down, if it has not gone with its job already."""
    with control.lock:
        if not attempt.ended:
            control.runner.lose(victim, reason)


def _victim(control: Control, job_id: str, member: int | None) -> tuple[Attempt, Member, Instance]:
    job = control.jobs.get(job_id)
    if job is None:
        raise CannotReclaim(f"there is no job {job_id}")
    if job.is_array:
        children = job.children if member is None else job.children[member : member + 1]
        running = [child for child in children if child.status is Status.RUNNING]
        if not running:
            asked = "no member" if member is None else f"not member {member}"
            states = ", ".join(f"{child.array_index}: {child.status}" for child in job.children)
            raise CannotReclaim(f"of array job {job_id}, {asked} runs ({states})")
        job = running[0]
    elif member:
        raise CannotReclaim(f"job {job_id} has no member {member}: only array jobs run members on Spot")
    if job.status is not Status.RUNNING or job.attempt is None or job.main is None or job.main.place is None:
        raise CannotReclaim(f"job {job.id} does not run on an instance: it is {job.status}")
    if not job.main.place.instance.market.reclaimable:
        raise CannotReclaim(
            f"job {job.id} runs On-Demand in {job.attempt.environment}: AWS takes back only Spot capacity"
        )
    return job.attempt, job.main, job.main.place.instance
