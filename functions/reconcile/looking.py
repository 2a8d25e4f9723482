"""One look: what is described now, handed to the functions that decide, and their decisions carried out.

Every action may be repeated, and the look may end between any two of them: the next one sees what is left to do. The order within a
gang's end is part of that: its slot and hours are given back before its token is answered, so that the gang that follows finds them,
and its record is closed last, because a record that is open is what brings the next look here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from handing_out import Handout
from seen import Seen
from spotline import layout
from spotline.attention import Listings, find_longest_waiting, find_runs_to_read
from spotline.batch_jobs import (
    describe_gang,
    describe_our_jobs,
    job_of_gang,
    list_unfinished_jobs,
    unfinished_jobs_of_run,
)
from spotline.documents import KIB, DocumentError, parse_object
from spotline.executions import Execution, answer_failure, answer_success, describe_run, list_running
from spotline.failures import failure_in
from spotline.gangs import Close, Fail, Gang, Launch, Requeue, Sight, Succeed, Terminate, decide
from spotline.isolation import isolate
from spotline.launching import utc_now
from spotline.manifests import AnalysisManifest
from spotline.objects import ObjectMissing, S3Objects
from spotline.runs import Market, execution_arn
from spotline.strays import RunSight, find_strays

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from look_settings import LookSettings
    from spotline.allowances import Allowances
    from spotline.clients import Clients
    from spotline.gangs import Action
    from spotline.launching import Launcher
    from spotline.objects import Objects
    from spotline.run_table import RunTable
    from spotline.strays import OurJob

logger = Logger(child=True)

NOTICE_BYTES = 64 * KIB
REDRIVABLE = timedelta(days=14)
"""How long after its end an execution can be redriven ("Redriving executions", Step Functions developer guide)."""


class Look:
    """What sees, and the hands that act."""

    def __init__(
        self,
        clients: Clients,
        table: RunTable,
        allowances: Allowances,
        launcher: Launcher,
        settings: LookSettings,
        now: Callable[[], datetime] = utc_now,
        is_out_of_time: Callable[[], bool] = lambda: False,
        must_end: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clients = clients
        self._table = table
        self._allowances = allowances
        self._settings = settings
        self._now = now
        self._is_out_of_time = is_out_of_time
        self._handout = Handout(
            clients,
            table,
            allowances,
            launcher,
            settings,
            now,
            self._settle_waiting,
            self._act,
            must_end,
        )

    def again(self, run_id: str | None = None) -> Seen:
        """Settle one run, as an event asks for; or every run that something may have to be done about, and hand out the slots.

        What one run costs does not depend on how many others there are: an event's run is read alone, and a slot that it freed goes to
        whoever is next. One run that cannot be read keeps nobody from the others.
        """
        seen = Seen()
        if run_id is None:
            gangs = self._settle_all(seen)
            self._hand_out_all(gangs, seen)
        else:
            seen.runs = 1
            with isolate(run_id, seen.failed):
                self._at(run_id, None, seen)
            for market in sorted(seen.freed):
                with isolate("slots", seen.failed):
                    self._handout.hand_out(market, self._open_gangs(seen), seen)
        return seen

    def _open_gangs(self, seen: Seen) -> list[Gang]:
        """Every open gang whose record can be read; the others are noted."""
        unreadable: list[str] = []
        gangs = list(self._table.open_gangs(unreadable))
        seen.failed += [line for line in unreadable if line not in seen.failed]
        return gangs

    def _settle_all(self, seen: Seen) -> list[Gang]:
        """Settle the runs that listings point at; returns the open gangs as they are listed then."""
        moment = self._now()
        # Jobs before records before executions: what something was begun for is written down, and runs, by then.
        jobs = list_unfinished_jobs(self._clients.batch, self._settings.listed)
        gangs = self._open_gangs(seen)
        running = list_running(self._clients.steps, self._settings.state_machine_arn)
        listed = Listings(jobs, gangs, running, self._table.failed_runs(moment - REDRIVABLE))
        names = find_runs_to_read(listed, timedelta(seconds=self._settings.slot_max_wait_seconds), moment)
        chosen = set(names)
        wanted = [job.job_id for job in jobs if job.run_id in chosen]
        seen.jobs = describe_our_jobs(self._clients.batch, list(dict.fromkeys([*wanted, *find_longest_waiting(jobs)])))
        jobs_of: dict[str, list[OurJob]] = {}
        for job in seen.jobs:
            jobs_of.setdefault(job.run_id, []).append(job)
        for name in names:
            if self._is_out_of_time():
                seen.failed.append(
                    f"{len(names) - seen.runs} runs: no time was left for them; the next reconcile begins with them"
                )
                break
            with isolate(name, seen.failed):
                self._at(name, jobs_of.get(name, []), seen)
            seen.runs += 1
        return self._open_gangs(seen) if seen.freed else gangs

    def _hand_out_all(self, gangs: Sequence[Gang], seen: Seen) -> None:
        for market in Market:
            with isolate(f"{market} slots", seen.failed):
                self._handout.take_back(market, gangs, seen)
                self._handout.hand_out(market, gangs, seen)
                self._handout.make_room(market, gangs, seen)
        with isolate("slots", seen.failed):
            self._handout.fall_back(gangs, seen)

    def _at(self, run_id: str, jobs: Sequence[OurJob] | None, seen: Seen) -> None:
        """Settle one run. Its unfinished jobs are listed here when the caller has not, and only if its end may have left some."""
        run = self._read_run(run_id)
        for gang in run.open_gangs:
            self._settle(gang, run, seen)
        if jobs is None:
            may_leave_some = not run.execution.runs and run.execution.status not in ("SUCCEEDED", "UNKNOWN")
            jobs = unfinished_jobs_of_run(self._clients.batch, self._settings.queues, run_id) if may_leave_some else ()
        for job, reason in find_strays(jobs, run):
            self._clients.batch.terminate_job(jobId=job.job_id, reason=reason)
            seen.done.append(f"{run_id}: ended stray {job.stage} job {job.job_id}")
        if run.execution.status != "UNKNOWN":
            self._table.note_execution(run_id, run.execution, failure_of(run.execution), run.now)

    def _read_run(self, run_id: str) -> RunSight:
        """Read the records before the execution is described (docs/decisions/0015-what-one-reconcile-reads.md).

        Whoever wrote a record did so for an execution that ran, so that a later description is no older than the record. A description
        that is older all the same, because DescribeExecution lags, is recognised by its redrives.
        """
        gangs = self._table.gangs(run_id)
        newest = self._table.newest_generation(run_id)
        moment = self._now()
        execution = describe_run(self._clients.steps, execution_arn(self._settings.state_machine_arn, run_id))
        return RunSight(execution, newest, gangs, moment)

    def _settle_waiting(self, gang: Gang, seen: Seen) -> bool:
        """Settle a gang that waits for a slot, and say whether it is to be launched now that it is its turn."""
        return self._settle(gang, self._read_run(gang.run_id), seen)

    def _settle(self, gang: Gang, run: RunSight, seen: Seen) -> bool:
        sight = self._sight(gang, run.execution, run.newest_generation)
        decided = decide(gang, sight, self._settings.waits(gang.market))
        actions = [action for action in decided if not isinstance(action, Launch)]  # that waits for its turn
        self._act(gang, actions)
        seen.done += [f"{gang.name}: {type(action).__name__}" for action in actions]
        if any(isinstance(action, Close) for action in actions):
            seen.finished.add(gang.name)
        # A gang that only waited held no slot. One whose launcher died between slot and submission is left to the full reconcile.
        if gang.submitting_at is not None and any(isinstance(action, Close | Requeue) for action in actions):
            seen.freed.add(gang.market)
        return decided == [Launch()]

    def _sight(self, gang: Gang, execution: Execution, newest: int) -> Sight:
        # The job before its parts: a member that ends in between is seen at the next look, never half seen.
        job_id = gang.job_id or self._find_job(gang)
        job, members = describe_gang(self._clients.batch, job_id) if job_id else (None, [])
        results = S3Objects(self._settings.results_bucket, layout.analysis_prefix(gang.run_id), self._clients.s3)
        published, unpublished = published_by(results, gang) if job and job["status"] == "SUCCEEDED" else (None, "")
        return Sight(
            now=self._now(),
            execution=execution,
            newest_generation=newest,
            job=job,
            members=members,
            noticed=noticed_members(results, job["jobId"]) if job and job["status"] == "FAILED" else (),
            published=published,
            unpublished=unpublished,
        )

    def _find_job(self, gang: Gang) -> str | None:
        """The job of a gang that somebody set about submitting and did not write down: it may be there all the same."""
        if gang.submitting_at is None:
            return None
        queue = self._settings.spot_queue if gang.market is Market.SPOT else self._settings.on_demand_queue
        job_id = job_of_gang(self._clients.batch, gang, queue)
        if job_id is not None:
            self._table.record_job(gang, job_id)
        return job_id

    def _act(self, gang: Gang, actions: Sequence[Action]) -> None:
        outcome = "ended"
        for action in actions:
            if isinstance(action, Close | Requeue):
                self._allowances.settle_hours(gang, action.used)
                self._allowances.free_slot(gang.market, gang.name)
        for action in actions:
            match action:
                case Terminate(job_id, reason):
                    self._clients.batch.terminate_job(jobId=job_id, reason=reason)
                case Succeed(output):
                    outcome = "SUCCEEDED"
                    answer_success(self._clients.steps, gang.task_token, output)
                case Fail(failure):
                    outcome = failure.error.value
                    answer_failure(self._clients.steps, gang.task_token, failure)
                case Close():
                    self._table.close_gang(gang, outcome)
                case Requeue():
                    self._table.requeue_gang(gang, self._now())


def noticed_members(results: Objects, job_id: str) -> list[int]:
    """The members that wrote a Spot notice beside the checkpoint.

    A member also writes down a SIGTERM, which our own TerminateJob sends as well: that says nothing about Spot. Nor does a notice that
    cannot be read, which a program of somebody else's may have written: AWS's own reason counts then.
    """
    found = []
    for key in results.keys(layout.notice_prefix(job_id)):
        try:
            member = layout.parse_notice_key(job_id, key)
            notice = parse_object(results.read(key, NOTICE_BYTES).body, results.location(key))
        except DocumentError as error:
            logger.warning("a notice cannot be read and does not count", job_id=job_id, reason=str(error))
            continue
        if notice.get("kind") == "spot":
            found.append(member)
    return found


def published_by(results: S3Objects, gang: Gang) -> tuple[str | None, str]:
    """Where the manifest of this very gang lies; else None, and why it counts as not published."""
    location = results.location(layout.MANIFEST)
    try:
        manifest = AnalysisManifest.read(results)
    except ObjectMissing:
        return None, f"{location} does not exist"
    except DocumentError as error:
        return None, str(error)
    if manifest.generation != gang.generation:
        return None, f"{location} is of generation {manifest.generation}"
    return location, ""


def failure_of(execution: Execution) -> tuple[str, str] | None:
    """Error and sentence of the failure that ended an execution: typed where it can be, else as Step Functions tells it."""
    if execution.runs or execution.status == "SUCCEEDED":
        return None
    failure = failure_in(execution.cause)
    if failure is not None:
        return failure.error.value, failure.sentence
    return execution.error or execution.status, execution.cause[:2000]
