"""Which runs a full reconcile reads in detail: one pure function over listings, which cost a call for a hundred or a thousand runs.

Listings are a filter and nothing more. A run that they show wrongly is read in detail, or is found by the next reconcile; what to do
about it is decided from what is read then (`spotline.gangs`, `spotline.strays`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import nsmallest
from typing import TYPE_CHECKING

from spotline.executions import CLOCKS_DIFFER
from spotline.strays import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from spotline.executions import ListedExecution
    from spotline.gangs import Gang
    from spotline.strays import ListedJob

JUST_STARTED = timedelta(minutes=5)
"""How long a run that started or was redriven counts as new: longer than from one full reconcile to the next."""

_MAY_WAIT = ("PENDING", "RUNNABLE")
_MEASURED = 16  # of each of six queues: one call of DescribeJobs holds them all

MOST_NEW = 100
"""How many new runs a reconcile reads only to note that they run. The rest is noted when something happens to them."""


@dataclass(frozen=True)
class Listings:
    """What one full reconcile lists: unfinished jobs first, then records of gangs, then executions, each newer than the one before.

    `running` holds the executions that run, by name, and `failed` the runs that are recorded as failed.
    """

    jobs: Sequence[ListedJob]
    gangs: Sequence[Gang]
    running: Mapping[str, ListedExecution]
    failed: Collection[str] = field(default_factory=frozenset)


def find_runs_to_read(listed: Listings, longest_wait: timedelta, now: datetime) -> list[str]:
    """Name the runs that something may have to be done about. Runs whose gang waits for a slot, as it should, are not among them.

    Parameters
    ----------
    listed
        What was listed.
    longest_wait
        How long a gang may wait for a slot.
    now
        The time of the listings.
    """
    found = set(_runs_of_gangs(listed, now - longest_wait)) | set(_runs_of_jobs(listed))
    found |= {name for name in listed.failed if name in listed.running}
    new = sorted(
        (one for one in listed.running.values() if now - one.began < JUST_STARTED),
        key=lambda one: (one.began, one.name),
    )
    return sorted(found | {one.name for one in new[-MOST_NEW:]})


def _runs_of_gangs(listed: Listings, earliest: datetime) -> Iterator[str]:
    """Runs with a gang that was launched, that waits for too long, or that no Task may wait for any more."""
    gangs_of = Counter(gang.run_id for gang in listed.gangs)
    for gang in listed.gangs:
        execution = listed.running.get(gang.run_id)
        if (
            gang.job_id is not None
            or gang.submitting_at is not None
            or gang.launched_at < earliest
            or gangs_of[gang.run_id] > 1
            or execution is None
            or execution.was_redriven_after(gang.launched_at)
        ):
            yield gang.run_id


def _runs_of_jobs(listed: Listings) -> Iterator[str]:
    """Runs with a gang's job, with a job that its execution may not wait for, or with two for one stage."""
    jobs_of = Counter((job.run_id, job.stage) for job in listed.jobs)
    for job in listed.jobs:
        execution = listed.running.get(job.run_id)
        if (
            job.stage is Stage.ANALYSIS
            or jobs_of[job.run_id, job.stage] > 1
            or execution is None
            or execution.was_redriven_after(job.created_at - CLOCKS_DIFFER)
        ):
            yield job.run_id


def find_longest_waiting(jobs: Sequence[ListedJob]) -> list[str]:
    """The ids of the jobs that were submitted first and may wait for room still, a few of each queue.

    An array waits in PENDING while its members are RUNNABLE. A job that was retried has waited for less long than its submission says,
    which only its description shows.
    """
    found: list[str] = []
    for queue in dict.fromkeys(job.queue for job in jobs):
        waiting = [job for job in jobs if job.queue == queue and job.status in _MAY_WAIT]
        found += [job.job_id for job in nsmallest(_MEASURED, waiting, key=lambda job: job.created_at)]
    return found
