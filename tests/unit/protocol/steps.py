# ruff: noqa: N803  arguments are named as the API names them
"""Step Functions in memory: its API, and a small interpreter of the pipeline.

The interpreter reads Retry and Catch from the deployed definition, and takes its Choices: a version that was replaced ends as
superseded, and the input's market says which gang. What lies between has no part in the protocol.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import launch_gang
from spotline.runs import Market, Priority
from tests.unit.protocol.calls import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidToken,
    Line,
    TaskDoesNotExist,
    TaskTimedOut,
    call,
)

if TYPE_CHECKING:
    from tests.unit.protocol.calls import Clock
    from tests.unit.protocol.fake_aws import FakeBatch, FakeS3

MACHINE = "arn:aws:states:us-east-1:1:stateMachine:pipeline"
DEFINITION = json.loads((Path(__file__).resolve().parents[3] / "statemachine/pipeline.asl.json").read_text())["States"]
PREPROCESS, POSTPROCESS, DONE, SUPERSEDED = "Preprocess", "Postprocess", "Done", "Superseded"
SPOT, SPOT_ONLY, ON_DEMAND = "Analyse on Spot", "Analyse on Spot only", "Analyse on On-Demand"
GANG_OF = {"spot-first": SPOT, "spot-only": SPOT_ONLY, "on-demand": ON_DEMAND}
MARKETS = {SPOT: Market.SPOT, SPOT_ONLY: Market.SPOT, ON_DEMAND: Market.ON_DEMAND}
CAUGHT_UP = timedelta(minutes=1)
"""What DescribeExecution lags behind by at most: a choice of this model, AWS states none."""
STAGES = {PREPROCESS: "preprocess", POSTPROCESS: "postprocess"}


@dataclass
class Execution:
    """One execution: which state it is in, what that waits for, and how often each retrier has been used."""

    name: str
    input: dict[str, Any]
    started_at: datetime
    status: str = "RUNNING"
    state: str = PREPROCESS
    waits_for: str = ""
    error: str = ""
    cause: str = ""
    redrives: int = 0
    redriven_at: datetime | None = None
    stopped_at: datetime | None = None
    retried: dict[int, int] = field(default_factory=dict)
    descriptions: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"{MACHINE.replace(':stateMachine:', ':execution:')}:{self.name}"

    @property
    def version_id(self) -> str:
        return str(self.input["source"]["version_id"])

    def describe(self) -> dict[str, Any]:
        """What DescribeExecution answers once it has caught up with the execution."""
        described: dict[str, Any] = {"status": self.status, "error": self.error, "cause": self.cause}
        described |= {"input": json.dumps(self.input), "redriveCount": self.redrives, "startDate": self.started_at}
        times = {"redriveDate": self.redriven_at, "stopDate": self.stopped_at}
        return described | {name: time for name, time in times.items() if time is not None}

    def keep_description(self, now: datetime) -> None:
        """Remember how the execution is described from now on, for descriptions that lag behind."""
        self.descriptions.append((now, self.describe()))

    def describe_late(self, lag: int, now: datetime) -> dict[str, Any] | None:
        """The description that is `lag` changes old, though no older than `CAUGHT_UP`; None when there was none yet."""
        settled = sum(changed < now - CAUGHT_UP for changed, _ in self.descriptions)
        at = max(len(self.descriptions) - lag, settled) - 1
        return self.descriptions[at][1] if at >= 0 else None


@dataclass(frozen=True)
class Ending:
    """One end of an execution, as an event tells it."""

    run_id: str
    status: str
    redrives: int


@dataclass
class FakeSteps:
    """Step Functions' API over the executions; what follows from an answer happens at once.

    Descriptions are eventually consistent: they are `lag` changes old.
    """

    line: Line
    pipeline: Pipeline
    executions: dict[str, Execution] = field(default_factory=dict)
    lag: int = 0
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
    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002  the API's name
        known = self.executions.get(name)
        if known is None:
            self.executions[name] = Execution(name, json.loads(input), self.pipeline.clock.now)
            self.executions[name].keep_description(self.pipeline.clock.now)
            self.pipeline.begin(self.executions[name])
        elif known.status != "RUNNING" or known.input != json.loads(input):
            raise ExecutionAlreadyExists
        return {"startDate": datetime.now(UTC)}

    @call
    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        found = self.executions.get(executionArn.rsplit(":", 1)[1])
        described = found and found.describe_late(self.lag, self.pipeline.clock.now)
        if not described:
            raise ExecutionDoesNotExist
        return described

    def get_paginator(self, name: str) -> Any:
        assert name == "list_executions"
        return SimpleNamespace(paginate=self.list_executions)

    @call
    def list_executions(self, *, stateMachineArn: str, statusFilter: str, **more: Any) -> list[dict[str, Any]]:
        """It lags as DescribeExecution does."""
        assert stateMachineArn == MACHINE
        found = ((one.name, one.describe_late(self.lag, self.pipeline.clock.now)) for one in self.executions.values())
        listed = [{"name": name, **one} for name, one in found if one and one["status"] == statusFilter]
        self.line.count_pages("list_executions", len(listed), 1000)
        return [{"executions": listed}]

    @call
    def send_task_success(self, *, taskToken: str, output: str) -> None:
        self.pipeline.succeed(self._waiting(taskToken))

    @call
    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:
        self.pipeline.fail(self._waiting(taskToken), error, cause)

    def _waiting(self, token: str) -> Execution:
        for execution in self.executions.values():
            if execution.status == "RUNNING" and execution.waits_for == token:
                return execution
        raise TaskTimedOut


class Pipeline:
    """What Step Functions does with the executions, and what a person can do to them."""

    def __init__(self, line: Line, clock: Clock, s3: FakeS3, batch: FakeBatch) -> None:
        self.clock, self.s3, self.batch = clock, s3, batch
        self.steps = FakeSteps(line, self)
        self.launches: list[launch_gang.Task] = []  # calls of launch_gang that were not carried out yet
        self.endings: list[Ending] = []
        self.says_redrives = (
            True  # a definition from before it did so is still run by the executions that were started with it
        )
        self._tokens = 0

    def begin(self, execution: Execution) -> None:
        self._enter(execution, PREPROCESS if self._worth_it(execution) else SUPERSEDED)

    def succeed(self, execution: Execution) -> None:
        if execution.state == PREPROCESS:
            gang = GANG_OF[execution.input.get("market", "spot-first")]
            self._enter(execution, gang if self._worth_it(execution) else SUPERSEDED)
        else:
            self._enter(execution, DONE if execution.state == POSTPROCESS else POSTPROCESS)

    def fail(self, execution: Execution, error: str, cause: str = "") -> None:
        state = DEFINITION[execution.state]
        for index, retrier in enumerate(state.get("Retry", ())):
            if error in retrier["ErrorEquals"]:
                used = execution.retried.get(index, 0)
                if used < retrier["MaxAttempts"]:
                    execution.retried[index] = used + 1
                    self._enter(execution, execution.state, again=True)
                    return
                break
        for catcher in state.get("Catch", ()):
            if error in catcher["ErrorEquals"]:
                self._enter(execution, catcher["Next"])
                return
        execution.error, execution.cause = error, cause
        self._finish(execution, "FAILED")

    def stop(self, execution: Execution) -> None:
        """An operator stops it: a `.sync` job is cancelled at best, one behind a token is not."""
        self._finish(execution, "ABORTED")

    def time_out(self, execution: Execution) -> None:
        self.fail(execution, "States.Timeout")

    def redrive(self, execution: Execution) -> None:
        execution.status, execution.redriven_at, execution.stopped_at = "RUNNING", self.clock.now, None
        execution.redrives += 1
        execution.error = execution.cause = ""
        execution.keep_description(self.clock.now)
        self._enter(execution, execution.state)

    def tell_steps(self) -> None:
        """A `.sync` Task learns how its job ended."""
        for execution in self.steps.executions.values():
            job = self.batch.jobs.get(execution.waits_for)
            if execution.status == "RUNNING" and job and job["status"] == "SUCCEEDED":
                self.succeed(execution)
            elif execution.status == "RUNNING" and job and job["status"] == "FAILED":
                cause = {"JobId": job["jobId"], "StatusReason": job["statusReason"], "Container": {}}
                self.fail(execution, "States.TaskFailed", json.dumps(cause))

    def _worth_it(self, execution: Execution) -> bool:
        newest = self.s3.newest(execution.input["source"]["key"])
        return bool(execution.input.get("keep")) or newest == execution.version_id

    def _enter(self, execution: Execution, state: str, *, again: bool = False) -> None:
        if not again:
            execution.retried = {}
        execution.state = state
        if state in (DONE, SUPERSEDED):
            self._finish(execution, "SUCCEEDED")
        elif state in STAGES:
            execution.waits_for = self._submit_sync(execution, STAGES[state])
        else:
            self._tokens += 1
            execution.waits_for = f"token-{self._tokens}"
            priority = Priority(execution.input.get("priority", Priority.DAILY))
            redrives = execution.redrives if self.says_redrives else None
            task = launch_gang.Task(
                execution.name,
                execution.arn,
                execution.waits_for,
                MARKETS[state],
                priority,
                redrives,
                falls_back=state == SPOT,
            )
            self.launches.append(task)

    def _finish(self, execution: Execution, status: str) -> None:
        execution.status, execution.waits_for, execution.stopped_at = status, "", self.clock.now
        execution.keep_description(self.clock.now)
        if execution.state != SUPERSEDED:
            self.endings.append(Ending(execution.name, status, execution.redrives))

    def _submit_sync(self, execution: Execution, stage: str) -> str:
        """Step Functions' own call: it burns no fuse of ours, and nobody else has a turn meanwhile."""
        tags = {"run-id": execution.name, "stage": stage, "execution-arn": execution.arn}
        tags |= {"redrives": str(execution.redrives)} if self.says_redrives else {}
        return self.batch.submitted(
            jobName=f"{execution.name}-{stage}",
            jobQueue="main",
            jobDefinition=stage,
            tags={f"spotline:{name}": value for name, value in tags.items()},
        )
