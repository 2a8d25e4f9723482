# ruff: noqa: N803  arguments are named as the API names them
"""The protocol's world: the fake AWS, a small interpreter of the pipeline, and the real code of ingest, launch_gang and reconcile in it.

The interpreter reads Retry and Catch of the gang's states from the deployed definition; the rest of the way is preprocess and
postprocess as `.sync` Tasks. A leader claims and publishes with the lease of the analysis job itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import ingest
import launch_gang
import looking
import reconcile
from analysis.checkpoints import Lease
from analysis.errors import FencedOff
from spotline.allowances import Allowances
from spotline.launching import Launcher
from spotline.layout import MANIFEST, analysis_prefix, preprocess_prefix
from spotline.manifests import AnalysisManifest, digest
from spotline.objects import S3Objects
from spotline.run_table import RunTable
from spotline.runs import Market
from spotline.starting import start_run
from tests.unit.protocol.fake_aws import (
    Clock,
    Crashed,
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    FakeBatch,
    FakeDynamoDB,
    FakeS3,
    Fuse,
    InternalServerError,
    InvalidToken,
    TaskDoesNotExist,
    TaskTimedOut,
    call,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from spotline.clients import Clients

MACHINE = "arn:aws:states:us-east-1:1:stateMachine:pipeline"
DEFINITION = json.loads((Path(__file__).resolve().parents[3] / "statemachine/pipeline.asl.json").read_text())["States"]
SPOT, ON_DEMAND = "Analyse on Spot", "Analyse on On-Demand"
SYNC = {"Preprocess": "preprocess", "Postprocess": "postprocess"}
CLEAN = b"the clean manifest"


@dataclass
class Execution:
    """One execution: which state it is in, what that waits for, and how often each retrier has been used."""

    name: str
    input: dict[str, Any]
    status: str = "RUNNING"
    state: str = "Preprocess"
    waits_for: str = ""
    error: str = ""
    cause: str = ""
    redriven_at: datetime | None = None
    retried: dict[int, int] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"{MACHINE.replace(':stateMachine:', ':execution:')}:{self.name}"


@dataclass
class FakeSteps:
    """Step Functions' API over the executions; what follows from an answer happens at once."""

    fuse: Fuse
    world: World
    executions: dict[str, Execution] = field(default_factory=dict)
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(
            ExecutionAlreadyExists=ExecutionAlreadyExists,
            ExecutionDoesNotExist=ExecutionDoesNotExist,
            TaskTimedOut=TaskTimedOut,
            TaskDoesNotExist=TaskDoesNotExist,
            InvalidToken=InvalidToken,
        )
    )

    @call
    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002  the API's name
        known = self.executions.get(name)
        if known is None:
            self.executions[name] = Execution(name, json.loads(input))
            self.world.enter(self.executions[name], "Preprocess")
        elif known.status != "RUNNING" or known.input != json.loads(input):
            raise ExecutionAlreadyExists

    @call
    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        found = self.executions.get(executionArn.rsplit(":", 1)[1])
        if found is None:
            raise ExecutionDoesNotExist
        described = {"status": found.status, "input": json.dumps(found.input), "error": found.error}
        described["cause"] = found.cause
        return described | ({"redriveDate": found.redriven_at} if found.redriven_at else {})

    @call
    def send_task_success(self, *, taskToken: str, output: str) -> None:
        self.world.succeed(self._waiting(taskToken))

    @call
    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:
        self.world.fail(self._waiting(taskToken), error, cause)

    def _waiting(self, token: str) -> Execution:
        for execution in self.executions.values():
            if execution.status == "RUNNING" and execution.waits_for == token:
                return execution
        raise TaskTimedOut


class World:
    """Everything at once. Its methods are what can happen."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        self.fuse = Fuse()
        self.dynamodb = FakeDynamoDB(self.fuse)
        self.s3 = FakeS3(self.fuse)
        self.batch = FakeBatch(self.fuse, self.clock)
        self.steps = FakeSteps(self.fuse, self)
        self.clients = cast("Clients", SimpleNamespace(**vars(self)))
        told: dict[str, Any] = {
            "spot_max_gangs": 1,
            "on_demand_max_gangs": 1,
            "on_demand_gang_hours_per_day": 12,
            "gang_attempt_seconds": 21600,
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
            main_queue="main",
            spot_max_wait_seconds=900,
            on_demand_max_wait_seconds=3600,
        )
        self.table = RunTable("runs", self.clients.dynamodb)
        self.allowances = Allowances("runs", self.clients.dynamodb, self.launch_settings.limits)
        self.launcher = Launcher(self.clients, self.table, self.allowances, self.launch_settings, self.clock)
        self.look = looking.Look(
            self.clients, self.table, self.allowances, self.launcher, self.look_settings, self.clock
        )
        self.launches: list[launch_gang.Task] = []
        self.leases: dict[str, Lease] = {}
        self.leaders: list[
            tuple[str, str, int]
        ] = []  # what was done, by which run's gang of which generation, in order
        self._tokens = 0

    # ---- what Step Functions does

    def enter(self, execution: Execution, state: str, *, again: bool = False) -> None:
        if not again:
            execution.retried = {}
        execution.state = state
        if state == "Done":
            self._finish(execution, "SUCCEEDED")
        elif state in SYNC:
            execution.waits_for = self._submit_sync(execution, SYNC[state])
        else:
            self._tokens += 1
            execution.waits_for = f"token-{self._tokens}"
            market = Market.SPOT if state == SPOT else Market.ON_DEMAND
            self.launches.append(launch_gang.Task(execution.name, execution.arn, execution.waits_for, market))

    def succeed(self, execution: Execution) -> None:
        following = {"Preprocess": SPOT, SPOT: "Postprocess", ON_DEMAND: "Postprocess", "Postprocess": "Done"}
        self.enter(execution, following[execution.state])

    def fail(self, execution: Execution, error: str, cause: str = "") -> None:
        state = DEFINITION[execution.state]
        for index, retrier in enumerate(state.get("Retry", ())):
            if error in retrier["ErrorEquals"]:
                used = execution.retried.get(index, 0)
                if used < retrier["MaxAttempts"]:
                    execution.retried[index] = used + 1
                    self.enter(execution, execution.state, again=True)
                    return
                break
        for catcher in state.get("Catch", ()):
            if error in catcher["ErrorEquals"]:
                self.enter(execution, catcher["Next"])
                return
        execution.error, execution.cause = error, cause
        self._finish(execution, "FAILED")

    def stop(self, execution: Execution) -> None:
        """An operator stops it: a `.sync` job is cancelled at best, one behind a token is not."""
        self._finish(execution, "ABORTED")

    def time_out(self, execution: Execution) -> None:
        self.fail(execution, "States.Timeout")

    def redrive(self, execution: Execution) -> None:
        execution.status, execution.redriven_at = "RUNNING", self.clock.now
        execution.error = execution.cause = ""
        self.enter(execution, execution.state)

    def _finish(self, execution: Execution, status: str) -> None:
        execution.status, execution.waits_for = status, ""

    def _submit_sync(self, execution: Execution, stage: str) -> str:
        job_id = f"job-{len(self.batch.jobs)}"
        fuse, self.fuse.calls = self.fuse.calls, None  # Step Functions' own call: no crash of ours
        tags = {"run-id": execution.name, "stage": stage, "execution-arn": execution.arn}
        self.batch.submit_job(
            jobName=f"{execution.name}-{stage}",
            jobQueue="main",
            jobDefinition=stage,
            tags={f"spotline:{name}": value for name, value in tags.items()},
        )
        self.fuse.calls = fuse
        return job_id

    # ---- what our functions do, to the end or until the fuse burns

    def land(self, version: str) -> None:
        landed = {"key": "data/flights/20130209/flights.csv", "size": 9, "version-id": version}
        event = {"detail": {"bucket": {"name": "in"}, "object": landed}}
        run = ingest.run_of(ingest.source_of(event), 1000)
        self.attempt(lambda: start_run(self.clients.steps, MACHINE, run))

    def launch(self, task: launch_gang.Task) -> None:
        """Lambda runs launch_gang; a function that failed fails its Task, under the names that the definition retries."""

        def answer() -> None:
            launch_gang.answer_task(task, self.launch_settings, self.clients, self.table, self.launcher, self.clock)

        self.launches.remove(task)
        ended = self.attempt(answer)
        execution = self.steps.executions[task.run_id]
        if ended is not None and execution.status == "RUNNING" and execution.waits_for == task.task_token:
            self.fail(execution, "Sandbox.Timedout" if isinstance(ended, Crashed) else "LaunchUnfinished")

    def look_again(self, run_id: str | None = None) -> None:
        self.attempt(lambda: self.look.again(run_id))

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
        self.batch.start(job_id)
        if "members" not in job:
            return
        run_id, generation = job["tags"]["spotline:run-id"], int(job["tags"]["spotline:generation"])
        try:
            self.leases[job_id] = self.claim(run_id, generation, job_id)
        except FencedOff:
            self.batch.end(job_id, "FAILED", reason="Essential container in task exited", code=75)
            return
        self.leaders.append(("claimed", run_id, generation))

    def claim(self, run_id: str, generation: int, job_id: str) -> Lease:
        return Lease.claim(self._results(run_id), generation, job_id, "fingerprint")

    def publish(self, job_id: str) -> bool:
        """The leader is done. It may be alive long after its job was terminated: frozen, or on a host that nobody reaches."""
        tags = self.batch.jobs[job_id]["tags"]
        run_id, generation = tags["spotline:run-id"], int(tags["spotline:generation"])
        manifest = AnalysisManifest(
            clean="clean",
            clean_digest=digest(CLEAN),
            members=2,
            rounds=1,
            resumed_from=None,
            parts=(),
            model="model",
            job_id=job_id,
            generation=generation,
        )
        try:
            self.leases.pop(job_id).publish(manifest.to_json())
        except FencedOff:
            return False
        self.leaders.append(("published", run_id, generation))
        return True

    def finish_job(self, job_id: str) -> None:
        """It ends well, if it may."""
        job = self.batch.jobs[job_id]
        if "members" in job and job_id not in self.leases:  # its leader published, and hung
            self.batch.end(job_id, "FAILED", reason="Job attempt duration exceeded timeout")
        elif "members" in job:
            done = self.publish(job_id)
            self.batch.end(job_id, "SUCCEEDED" if done else "FAILED", code=0 if done else 75)
        else:
            if job["jobName"].endswith("-preprocess"):
                run_id = job["tags"]["spotline:run-id"]
                self.s3.objects["intermediate", preprocess_prefix(run_id) + MANIFEST] = CLEAN
            self.batch.end(job_id, "SUCCEEDED", code=0)

    def tell_steps(self) -> None:
        """A `.sync` Task learns how its job ended."""
        for execution in self.steps.executions.values():
            job = self.batch.jobs.get(execution.waits_for)
            if execution.status == "RUNNING" and job and job["status"] == "SUCCEEDED":
                self.succeed(execution)
            elif execution.status == "RUNNING" and job and job["status"] == "FAILED":
                cause = {"JobId": job["jobId"], "StatusReason": job["statusReason"], "Container": {}}
                self.fail(execution, "States.TaskFailed", json.dumps(cause))

    def _results(self, run_id: str) -> S3Objects:
        quiet = cast(
            "Any", FakeS3(Fuse(), self.s3.objects)
        )  # the leader is another process: its calls burn no fuse of ours
        return S3Objects("results", analysis_prefix(run_id), quiet)

    # ---- what must hold

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

    def heal(self, rounds: int = 40) -> None:
        """Nothing fails any more: capacity comes, functions finish, time passes, and an operator redrives what failed."""
        for _ in range(rounds):
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
                return

    def settled(self) -> bool:
        executions = self.steps.executions.values()
        return all(one.status == "SUCCEEDED" for one in executions) and not self.batch.unfinished()
