"""Which jobs of ours should not run: one pure function, for all four stages.

A gang is looked after by its record (`spotline.gangs`). Behind a record that is closed, or was never written, there may still be a job:
of a launcher that was slow, of a Task that timed out, of a submission that was repeated because its answer was lost. They are found by
their tags in the queues, whatever else is known or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from spotline.executions import Execution, Standing
from spotline.failures import FENCED_OFF, NOT_AWAITED, NOT_RUNNING
from spotline.gangs import Gang


class Stage(StrEnum):
    """What a job does in its run: the value of its tag `spotline:stage`."""

    PREPROCESS = "preprocess"
    ANALYSIS = "analysis"
    POSTPROCESS = "postprocess"


@dataclass(frozen=True)
class ListedJob:
    """An unfinished job as ListJobs shows it: its name says which run and stage it is of, whoever submitted it."""

    job_id: str
    run_id: str
    stage: Stage
    created_at: datetime
    queue: str
    status: str


@dataclass(frozen=True)
class OurJob:
    """An unfinished job with our tags.

    `generation` is 0 for a job that is no gang. `redrives` is how often its execution had been redriven when it was submitted; None
    when its tags do not say.
    `waiting_since` is when it, or a member of it, began to wait for room in its queue; None for one that does not wait.
    """

    job_id: str
    run_id: str
    stage: Stage
    execution_arn: str
    created_at: datetime
    generation: int = 0
    queue: str = ""
    waiting_since: datetime | None = None
    redrives: int | None = None


@dataclass(frozen=True)
class RunSight:
    """How a run stands, read after its jobs were listed: what a job was submitted for is then written down already.

    The execution is described last, so that whoever wrote a record had an execution that ran before that.
    """

    execution: Execution
    newest_generation: int
    open_gangs: Sequence[Gang]
    now: datetime


def find_strays(jobs: Sequence[OurJob], run: RunSight) -> list[tuple[OurJob, str]]:
    """The jobs of one run that should not run, each with the reason to terminate it for.

    Parameters
    ----------
    jobs
        The run's unfinished jobs. One that names another execution than the run's belongs to somebody else and is left alone.
    run
        The run.
    """
    ours = [job for job in jobs if job.execution_arn == run.execution.arn]
    found = ((job, _why_stray(job, ours, run)) for job in ours)
    return [(job, reason) for job, reason in found if reason is not None]


def _why_stray(job: OurJob, ours: Sequence[OurJob], run: RunSight) -> str | None:
    standing = run.execution.find_standing(job.created_at, job.redrives, run.now)
    if standing is Standing.UNCLEAR:
        return None
    if standing is Standing.ENDED:
        return NOT_RUNNING
    if job.stage is Stage.ANALYSIS:
        return _why_no_gang(job, run)
    if standing is Standing.REDRIVEN:
        return NOT_AWAITED
    # A Task waits for the job that it submitted last; an earlier one is left from a submission that was repeated.
    newest = max(other.created_at for other in ours if other.stage is job.stage)
    return NOT_AWAITED if job.created_at < newest else None


def _why_no_gang(job: OurJob, run: RunSight) -> str | None:
    if job.generation < run.newest_generation:
        return FENCED_OFF
    gang = next((gang for gang in run.open_gangs if gang.generation == job.generation), None)
    if gang is None or gang.job_id not in (None, job.job_id):
        return NOT_AWAITED
    return None
