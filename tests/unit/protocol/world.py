"""The protocol's world: AWS in memory, and in it the real code of ingest, sweep, launch_gang, reconcile and notify's delivery.

A leader claims and publishes with the lease of the analysis job itself, and postprocess writes the day's metrics with its own table.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import ingest
import launch_gang
import looking
import reconcile
from analysis.checkpoints import Lease
from analysis.outcomes import FencedOff
from announce.delivery import InFlight, Refused, Silent, deliver
from announce.messages import Announcement
from announce.outcomes import ExecutionEnded, MessageKey, message_key
from announce.rate import ROUTINE, Rate, RateLimit
from announce.summaries import SummaryTable, send_summaries
from announce.table import TableClaims, unsent_name
from postprocess.source_order import find_source_order, list_versions
from postprocess.table import DayKey, ResultTable
from spotline.allowances import Allowances
from spotline.launching import Launcher
from spotline.layout import MANIFEST, POINTER, analysis_prefix, preprocess_prefix
from spotline.manifests import AnalysisManifest, digest
from spotline.objects import S3Objects
from spotline.run_table import RunTable
from spotline.runs import Priority
from spotline.starting import run_of, start_run
from sweeping import work
from sweeping.listing import recent_versions
from tests.unit.protocol.calls import Clock, Crashed, InternalServerError, Line
from tests.unit.protocol.fake_aws import FakeBatch, FakeS3
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB
from tests.unit.protocol.slack import FakeSlack, FakeWebhook, Mood
from tests.unit.protocol.steps import MACHINE, Ending, Execution, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from spotline.clients import Clients
    from spotline.runs import MarketChoice, Run

CLEAN = b"the clean manifest"
INGEST = "in"
LOOKED_BACK = timedelta(days=30)


def file_of(version: str) -> str:
    """The file that a version is one of: `a` of `a.1` and `a.2`, and `v1` of itself."""
    return version.partition(".")[0]


class World(Pipeline):
    """Everything at once. Its methods are what can happen."""

    def __init__(self, *, slack_messages_per_minute: int = 2, **limits: int) -> None:
        self.line = Line()
        self.fuse, self.turns = self.line.fuse, self.line.turns
        clock = Clock()
        super().__init__(self.line, clock, FakeS3(self.line), FakeBatch(self.line, clock))
        self.dynamodb = FakeDynamoDB(self.line)
        self.slack = FakeSlack(self.turns, self._is_confirmed)
        self.clients = cast("Clients", SimpleNamespace(**vars(self)))
        told: dict[str, Any] = {
            "spot_max_gangs": 1,
            "on_demand_max_gangs": 1,
            "on_demand_gang_hours_per_day": 12,
            "gang_attempt_seconds": 21600,
            "spot_forming_seconds": 600,
            "on_demand_forming_seconds": 900,
            "gang_members": 2,
            **limits,
        }
        places: dict[str, Any] = {
            "spot_queue": "spot",
            "spot_job_definition": "gang-spot",
            "on_demand_queue": "on-demand",
            "on_demand_job_definition": "gang-on-demand",
            "results_bucket": "results",
            "runs_table": "runs",
        }
        self.launch_settings = launch_gang.Settings(**told, **places, intermediate_bucket="intermediate")
        self.look_settings = reconcile.Settings(
            **told,
            **places,
            state_machine_arn=MACHINE,
            notify_function="notify",
            main_queue="main",
            postprocess_queue="main",
            backfill_queue="backfill",
            backfill_postprocess_queue="backfill",
            spot_max_wait_seconds=900,
            on_demand_max_wait_seconds=3600,
            slot_max_wait_seconds=7 * 86400,
            spot_slot_max_wait_seconds=7200,
        )
        self.table = RunTable("runs", self.clients.dynamodb)
        self.results = ResultTable("runs", self.clients.dynamodb)
        self.claims = TableClaims("runs", self.clients.dynamodb)
        self.summaries = SummaryTable("runs", self.clients.dynamodb)
        rate = Rate("runs", self.clients.dynamodb, slack_messages_per_minute)
        self.slack_limit = RateLimit(rate, self.clock, lambda _: self.turns.pause())
        self.allowances = Allowances("runs", self.clients.dynamodb, self.launch_settings.limits)
        self.launcher = Launcher(self.clients, self.table, self.allowances, self.launch_settings, self.clock)
        self.look = looking.Look(
            self.clients, self.table, self.allowances, self.launcher, self.look_settings, self.clock
        )
        self.leases: dict[str, Lease] = {}

    # ---- what our functions do, to the end or until the fuse burns

    def put(self, version: str) -> None:
        """A version of a file is put into the ingest bucket; the event of it is another matter."""
        if all(landed["VersionId"] != version for landed in self.s3.versions):
            self.s3.land(f"data/flights/20130209/{file_of(version)}.csv", version, self.clock.now)

    def land(self, version: str) -> None:
        """`ingest` hears of a version, for the first time or again."""
        self.put(version)
        run = self.run_of(version)
        self.attempt(lambda: start_run(self.clients.steps, MACHINE, run))

    def ask_for(
        self, version: str, market: MarketChoice, priority: Priority = Priority.DAILY, *, keep: bool = False
    ) -> None:
        """A person starts the run of a version with a market and a priority, before its event does."""
        self.put(version)
        run = replace(self.run_of(version), market=market, priority=priority, keep=keep)
        self.attempt(lambda: start_run(self.clients.steps, MACHINE, run))

    @staticmethod
    def run_of(version: str) -> Run:
        landed = {"key": f"data/flights/20130209/{file_of(version)}.csv", "size": 9, "version-id": version}
        event = {"detail": {"bucket": {"name": INGEST}, "object": landed}}
        return run_of(ingest.source_of(event), 1000)

    def sweep(self) -> None:
        """`sweep` looks for what has landed and does not run."""
        starter = work.Starter(self.clients.steps, MACHINE, 1000)
        tally = work.Tally()
        act = work.find_missed(starter, tally)
        found = recent_versions(self.clients.s3, INGEST, self.clock.now - LOOKED_BACK)
        self.attempt(lambda: work.each(found, tally, lambda: False, act))

    def launch(self, task: launch_gang.Task) -> None:
        """Lambda runs launch_gang; a function that failed fails its Task, under the names that the definition retries."""

        def answer() -> None:
            launch_gang.answer_task(task, self.launch_settings, self.clients, self.table, self.launcher, self.clock)

        if task in self.launches:
            self.launches.remove(task)
        ended = self.attempt(answer)
        execution = self.steps.executions[task.run_id]
        if ended is not None and execution.status == "RUNNING" and execution.waits_for == task.task_token:
            self.fail(execution, "Sandbox.Timedout" if isinstance(ended, Crashed) else "LaunchUnfinished")

    def look_again(self, run_id: str | None = None) -> None:
        def look() -> None:
            failed = self.look.again(run_id).failed
            assert all("InternalServerError" in line for line in failed), failed  # nothing else fails in this world

        self.attempt(look)

    def notify(self, ending: Ending, mood: Mood = Mood.WELL) -> None:
        """`notify` is called with an end of an execution, for the first time or again, by the machine or by an event."""
        key = self.message_of(ending)
        kind = ROUTINE if ending.status == "SUCCEEDED" else "run-failed"

        def send() -> None:
            deliver(
                key,
                lambda: Announcement(kind, "", ending.run_id, ending.status),
                claims=self.claims,
                channel=self.slack.webhook(key, mood),
                clock=self.clock,
                limit=self.slack_limit,
            )

        self._attempt_to_post(send)

    def message_of(self, ending: Ending) -> MessageKey:
        arn = f"arn:aws:states:us-east-1:1:execution:pipeline:{ending.run_id}"
        return message_key(ExecutionEnded(arn, ending.status, ending.redrives), self.clock.now)

    def summarise(self, mood: Mood = Mood.WELL) -> None:
        """`notify` is asked for a summary, as a scheduled reconcile does when messages wait for one."""

        def send() -> None:
            if self.table.has_unsent_messages():
                channel = FakeWebhook(self.slack, self._summary_under_way, mood)
                send_summaries(
                    self.summaries, claims=self.claims, channel=channel, limit=self.slack_limit, clock=self.clock
                )

        self._attempt_to_post(send)

    def _summary_under_way(self) -> tuple[MessageKey, list[MessageKey]]:
        """The summary's own message, and those that it stands for."""
        item = self.dynamodb.items["SLACK", "SUMMARY"]
        names = {unsent_name(key): key for key in map(self.message_of, self.endings)}
        return MessageKey(f"SUMMARY#{item['summary']}", "MESSAGE"), [names[name] for name in item["members"]]

    def _attempt_to_post(self, send: Callable[[], None]) -> None:
        try:
            self.attempt(send)
        except (InFlight, Refused, Silent):
            return  # Lambda delivers the event again, or the machine's last state catches it

    def _is_confirmed(self, key: MessageKey) -> bool:
        """Whether it is written down that Slack has the message."""
        return "confirmed_at" in self.dynamodb.items.get((key.pk, key.sk), {})

    def attempt(self, function: Callable[[], object]) -> BaseException | None:
        """Run one of our functions in a process of its own, and say what it died of; of nothing but the fuse, that is."""
        try:
            function()
        except (Crashed, InternalServerError) as ended:
            return ended
        finally:
            self.fuse.calls = None
        return None

    # ---- what jobs do

    def start_job(self, job_id: str) -> None:
        """It gets capacity; a gang's leader claims the checkpoint, and leaves when it is fenced off."""
        job = self.batch.jobs[job_id]
        if job["status"] != "RUNNABLE":
            return
        self.batch.start(job_id)
        if "members" not in job:
            return
        run_id, generation = job["tags"]["spotline:run-id"], int(job["tags"]["spotline:generation"])
        try:
            self.leases[job_id] = self.claim(run_id, generation, job_id)
        except FencedOff:
            self.batch.end(job_id, "FAILED", reason="Essential container in task exited", code=75)

    def claim(self, run_id: str, generation: int, job_id: str) -> Lease:
        results = S3Objects("results", analysis_prefix(run_id), self.clients.s3)
        return Lease.claim(results, generation, job_id, "fingerprint", digest(CLEAN))

    def publish(self, job_id: str) -> bool:
        """The leader is done. It may be alive long after its job was terminated: frozen, or on a host that nobody reaches."""
        manifest = AnalysisManifest(
            clean="clean",
            clean_digest=digest(CLEAN),
            members=2,
            rounds=1,
            resumed_from=None,
            parts=(),
            model="model",
            job_id=job_id,
            generation=int(self.batch.jobs[job_id]["tags"]["spotline:generation"]),
        )
        try:
            lease = self.leases.pop(job_id, None)
            if lease is None:
                return False  # it has published at this very moment
            lease.publish(manifest.to_json())
        except FencedOff:
            return False
        return True

    def finish_job(self, job_id: str) -> None:
        """It ends well, if it may."""
        job = self.batch.jobs[job_id]
        run_id = job["tags"]["spotline:run-id"]
        if "members" in job and job_id not in self.leases:  # its leader published, and hung
            self.batch.end(job_id, "FAILED", reason="Job attempt duration exceeded timeout")
        elif "members" in job:
            done = self.publish(job_id)
            self.batch.end(job_id, "SUCCEEDED" if done else "FAILED", code=0 if done else 75)
        else:
            if job["jobName"].endswith("-preprocess"):
                self.s3.objects["intermediate", preprocess_prefix(run_id) + MANIFEST] = CLEAN
            else:
                self.write_metrics(run_id)
            self.batch.end(job_id, "SUCCEEDED", code=0)

    def write_metrics(self, run_id: str) -> None:
        """Postprocess writes the run's result and the day's metrics; also long after its job was terminated."""
        execution = self.steps.executions[run_id]
        key, version = execution.input["source"]["key"], execution.version_id
        order = find_source_order(list_versions(self.clients.s3, INGEST, key), version)
        day = DayKey("flights", "20130209", key.rpartition("/")[2])
        self.results.record(run_id, {"result": {"report": "r"}}, day, order, {"version_id": version})

    # ---- what must hold

    @property
    def leaders(self) -> list[tuple[str, str, int]]:
        """What leaders did: ("claimed" or "published", run, generation), in order. A leader writes its pointer more than once."""
        found: list[tuple[str, str, int]] = []
        for key, body in self.s3.puts:
            run_id, _, name = key.removeprefix("runs/").partition("/analysis/")
            if name in (POINTER, MANIFEST):
                act = "claimed" if name == POINTER else "published"
                found.append((act, run_id, int(json.loads(body)["generation"])))
        return found

    @property
    def publications(self) -> list[int]:
        """Generations of the gangs that published, in order."""
        return [generation for act, _, generation in self.leaders if act == "published"]

    def orphans(self) -> list[str]:
        """Unfinished jobs whose execution does not run, or which a newer gang of their run has fenced off."""
        found = []
        for job in self.batch.unfinished():
            run = job["tags"]["spotline:run-id"]
            newest = self.dynamodb.items.get((f"RUN#{run}", "RUN"), {}).get("generation", 0)
            generation = int(job["tags"].get("spotline:generation", newest))
            if self.steps.executions[run].status != "RUNNING" or generation < newest:
                found.append(job["jobId"])
        return found

    def metrics(self) -> dict[str, str]:
        """Of which version the day's metrics of each file are."""
        return {
            sk.removeprefix("FILE#").removesuffix(".csv"): str(item["version_id"])
            for (pk, sk), item in self.dynamodb.items.items()
            if pk.startswith("DAY#")
        }

    def heal(self, rounds: int = 150) -> None:
        """Nothing fails any more: capacity comes, functions finish, time passes, and an operator redrives what failed.

        A round is an hour, and so many are six days: on the most crowded day there are hours for one attempt, and each of three runs may
        need one, after a day whose hours are spent.
        """
        for _ in range(rounds):
            self.sweep()
            for task in list(self.launches):
                self.launch(task)
            for job in self.batch.unfinished():
                if job["status"] == "RUNNABLE":
                    self.start_job(job["jobId"])
                if job["status"] == "RUNNING":
                    self.clock.advance(timedelta(minutes=1))
                    self.finish_job(job["jobId"])
            self.tell_steps()
            self.clock.advance(timedelta(hours=1))
            self.look_again()
            for execution in self.steps.executions.values():
                if execution.status not in ("RUNNING", "SUCCEEDED"):
                    self.redrive(execution)
            if self.settled():
                break
        for ending in self.endings:
            self.notify(ending)
        self.summarise()

    def settled(self) -> bool:
        executions: list[Execution] = list(self.steps.executions.values())
        return all(one.status == "SUCCEEDED" for one in executions) and not self.batch.unfinished()
