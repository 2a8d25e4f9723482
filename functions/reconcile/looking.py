"""One look: what is described now, handed to the functions that decide, and their decisions carried out.

Every action may be repeated, and the look may end between any two of them: the next one sees what is left to do. The order within a
gang's end is part of that: its slot and hours are given back before its token is answered, so that the gang that follows finds them,
and its record is closed last, because a record that is open is what brings the next look here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from spotline import layout
from spotline.batch_jobs import describe_gang, job_of_gang, our_unfinished_jobs
from spotline.documents import KIB, DocumentError, parse_object
from spotline.executions import Execution, answer_failure, answer_success, describe_run
from spotline.failures import GIVES_WAY, failure_in
from spotline.gangs import Close, Fail, Gang, Launch, Sight, Succeed, Terminate, decide, parse_gang_name, to_give_way
from spotline.isolation import isolate
from spotline.launching import Launched, LaunchSettings, utc_now
from spotline.manifests import AnalysisManifest
from spotline.objects import ObjectMissing, S3Objects
from spotline.runs import Market, Priority, execution_arn
from spotline.strays import RunSight, find_strays

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from spotline.allowances import Allowances
    from spotline.clients import Clients
    from spotline.gangs import Action
    from spotline.launching import Launcher
    from spotline.objects import Objects
    from spotline.run_table import RunTable
    from spotline.strays import OurJob

logger = Logger(child=True)

NOTICE_BYTES = 64 * KIB


@dataclass(frozen=True)
class LookSettings(LaunchSettings):
    """What a look goes by. The waits are the longest that a gang may stay RUNNABLE."""

    results_bucket: str
    state_machine_arn: str
    main_queue: str
    postprocess_queue: str
    backfill_queue: str
    backfill_postprocess_queue: str
    spot_max_wait_seconds: int
    on_demand_max_wait_seconds: int

    @property
    def queues(self) -> dict[str, str]:
        """Every queue that a job of ours may be in, with the name to chart it under. One that has two uses is there once."""
        return {
            self.postprocess_queue: "postprocess",
            self.main_queue: "main",
            self.backfill_postprocess_queue: "backfill-postprocess",
            self.backfill_queue: "backfill",
            self.spot_queue: "gpu-spot",
            self.on_demand_queue: "gpu-on-demand",
        }


@dataclass
class Seen:
    """What came of a look: the jobs and runs it saw, the gangs it launched, all it did, and what it could not finish."""

    jobs: Sequence[OurJob] = ()
    runs: int = 0
    launched: list[Market] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Look:
    """What sees, and the hands that act."""

    def __init__(
        self,
        clients: Clients,
        table: RunTable,
        allowances: Allowances,
        launcher: Launcher,
        known: LookSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clients = clients
        self._table = table
        self._allowances = allowances
        self._launcher = launcher
        self._known = known
        self._now = now

    def again(self, run_id: str | None = None) -> Seen:
        """Look at one run, or at every run that has an open gang or an unfinished job; then hand out the slots that are free.

        One run that cannot be looked at keeps nobody from the others.
        """
        seen = Seen()
        # Jobs before records: what a job was submitted for is written down by then. See RunSight.
        seen.jobs = jobs = our_unfinished_jobs(self._clients.batch, self._known.queues, run_id)
        runs = {run_id} if run_id else {job.run_id for job in jobs} | {gang.run_id for gang in self._open_gangs(seen)}
        for name in sorted(runs):
            with isolate(name, seen.failed):
                self._at(name, [job for job in jobs if job.run_id == name], seen)
        seen.runs = len(runs)
        with isolate("slots", seen.failed):
            self._free_slots(seen)
            self._launch_waiting(seen)
        return seen

    def _open_gangs(self, seen: Seen) -> list[Gang]:
        """Every open gang whose record can be read; the others are noted."""
        unreadable: list[str] = []
        gangs = list(self._table.open_gangs(unreadable))
        seen.failed += [line for line in unreadable if line not in seen.failed]
        return gangs

    def _at(self, run_id: str, jobs: Sequence[OurJob], seen: Seen) -> None:
        moment = self._now()
        execution = describe_run(self._clients.steps, execution_arn(self._known.state_machine_arn, run_id))
        gangs = self._table.gangs(run_id)
        newest = self._table.newest_generation(run_id)
        for gang in gangs:
            self._settle(gang, execution, newest, seen)
        for job, reason in find_strays(jobs, RunSight(execution, newest, gangs)):
            self._clients.batch.terminate_job(jobId=job.job_id, reason=reason)
            seen.done.append(f"{run_id}: ended stray {job.stage} job {job.job_id}")
        if execution.status != "UNKNOWN":
            self._table.note_execution(run_id, execution, failure_of(execution), moment)

    def _settle(self, gang: Gang, execution: Execution, newest: int, seen: Seen) -> None:
        waits = {
            Market.SPOT: self._known.spot_max_wait_seconds,
            Market.ON_DEMAND: self._known.on_demand_max_wait_seconds,
        }
        decided = decide(gang, self._sight(gang, execution, newest), timedelta(seconds=waits[gang.market]))
        actions = [
            action for action in decided if not isinstance(action, Launch)
        ]  # its turn comes after everybody's end
        self._act(gang, actions)
        seen.done += [f"{gang.name}: {type(action).__name__}" for action in actions]

    def _sight(self, gang: Gang, execution: Execution, newest: int) -> Sight:
        # The job before its parts: a member that ends in between is seen at the next look, never half seen.
        job_id = gang.job_id or self._find_job(gang)
        job, members = describe_gang(self._clients.batch, job_id) if job_id else (None, [])
        results = S3Objects(self._known.results_bucket, layout.analysis_prefix(gang.run_id), self._clients.s3)
        published, unpublished = published_by(results, gang) if job and job["status"] == "SUCCEEDED" else (None, "")
        return Sight(
            now=self._now(),
            execution=execution,
            newest_generation=newest,
            job=job,
            members=members,
            noticed=noticed_members(results, job_id) if job_id else (),
            published=published,
            unpublished=unpublished,
        )

    def _find_job(self, gang: Gang) -> str | None:
        """The job of a gang that somebody set about submitting and did not write down: it may be there all the same."""
        if gang.submitting_at is None:
            return None
        queue = self._known.spot_queue if gang.market is Market.SPOT else self._known.on_demand_queue
        job_id = job_of_gang(self._clients.batch, gang, queue)
        if job_id is not None:
            self._table.record_job(gang, job_id)
        return job_id

    def _act(self, gang: Gang, actions: Sequence[Action]) -> None:
        outcome = "ended"
        for action in actions:
            if isinstance(action, Close):
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

    def _free_slots(self, seen: Seen) -> None:
        """Take back slots whose holder is closed: of a look that ended halfway, or a launcher that was slower than its gang's end.

        A gang is recorded before it takes a slot, so a holder without an open record is one that nothing will be launched for.
        """
        for market in Market:
            for holder in sorted(self._allowances.slot_holders(market)):
                with isolate(holder, seen.failed):
                    gang = parse_gang_name(holder)
                    if gang is None or not self._table.is_open(*gang):
                        self._allowances.free_slot(market, holder)
                        seen.done.append(f"{holder}: freed its slot")

    def _launch_waiting(self, seen: Seen) -> None:
        """Launch gangs that wait, the day's before a backfill's and the oldest first, until the market's slots are all taken."""
        waiting = sorted(
            (gang for gang in self._open_gangs(seen) if gang.job_id is None),
            key=lambda gang: (gang.priority is Priority.BACKFILL, gang.launched_at, gang.name),
        )
        full: set[Market] = set()
        for gang in waiting:
            if gang.market in full:
                continue
            with isolate(gang.run_id, seen.failed):
                if self._is_to_be_launched(gang):
                    launched = self._launcher.launch(gang)
                    seen.done.append(f"{gang.name}: {launched.value}")
                    if launched is Launched.SUBMITTED:
                        seen.launched.append(gang.market)
                    if launched is Launched.WAITING:
                        full.add(gang.market)
                        self._make_room_for(gang, seen)

    def _make_room_for(self, gang: Gang, seen: Seen) -> None:
        """Let a backfill's gang end for one of the day's; the slot is free once a later look has seen its end."""
        if gang.priority is Priority.BACKFILL:
            return
        others = [other for other in self._open_gangs(seen) if other.market is gang.market]
        found = to_give_way(others, self._allowances.slot_holders(gang.market))
        if found is not None and found.job_id is not None:
            self._clients.batch.terminate_job(jobId=found.job_id, reason=GIVES_WAY)
            seen.done.append(f"{found.name}: gives its slot to {gang.name}")

    def _is_to_be_launched(self, gang: Gang) -> bool:
        execution = describe_run(self._clients.steps, gang.execution_arn)
        sight = self._sight(gang, execution, self._table.newest_generation(gang.run_id))
        return decide(gang, sight, timedelta.max) == [Launch()]


def noticed_members(results: Objects, job_id: str) -> list[int]:
    """The members that wrote a Spot notice beside the checkpoint.

    A member also writes down a SIGTERM, which our own TerminateJob sends as well: that says nothing about Spot. Nor does a notice that
    cannot be read, which a program of somebody else's may have written: AWS's own reason counts then.
    """
    found = []
    for key in results.keys(layout.notice_prefix(job_id)):
        try:
            member = layout.parse_notice_key(job_id, key)
            notice = parse_object(results.read(key, NOTICE_BYTES).body, results.location(key), NOTICE_BYTES)
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
