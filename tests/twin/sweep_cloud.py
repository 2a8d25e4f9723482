"""The deployed system with jobs that do nothing, for tests of what starts runs: files land, events get lost, sweeps are invoked."""

from __future__ import annotations

import contextlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.deployment import make_twin
from cli.slack import SlackWebhook, message_text
from spotline.runs import execution_arn
from twin import Twin, TwinOptions, compute, schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twin.deployment import Stack

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class SweepCloud:
    """The deployed stack and what tests do with it."""

    twin: Twin
    stack: Stack
    slack: SlackWebhook
    patience_seconds: float = PATIENCE_SECONDS

    def land(self, key: str, body: bytes = b"a,b\n1,2\n") -> str:
        """Put an object into the ingest bucket; answers its version."""
        bucket = self.stack.outputs["IngestBucket"]
        version: str = self.twin.client("s3").put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        return version

    def executions(self) -> dict[str, str]:
        """The status of each execution, by its name."""
        pages = self.twin.client("stepfunctions").get_paginator("list_executions")
        found = pages.paginate(stateMachineArn=self.stack.outputs["StateMachineArn"])
        return {entry["name"]: entry["status"] for page in found for entry in page["executions"]}

    def input_of(self, run_id: str) -> dict[str, Any]:
        """What an execution was started with."""
        described = self.twin.client("stepfunctions").describe_execution(executionArn=self.arn_of(run_id))
        started: dict[str, Any] = json.loads(described["input"])
        return started

    def arn_of(self, run_id: str) -> str:
        """The execution of a run."""
        return execution_arn(self.stack.outputs["StateMachineArn"], run_id)

    def recorded(self, run_id: str) -> str | None:
        """The status in the run's record."""
        key = {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "RUN"}}
        found = self.twin.client("dynamodb").get_item(TableName=self.stack.outputs["RunsTable"], Key=key)
        return str(found["Item"]["status"]["S"]) if "status" in found.get("Item", {}) else None

    @contextlib.contextmanager
    def deaf_to_endings(self) -> Iterator[None]:
        """Let no event of an execution's end arrive meanwhile."""
        events = self.twin.client("events")
        rules = [
            self.stack.resources[f"{function}FunctionExecutionEnded"].physical_id.rsplit("|", 1)[-1]
            for function in ("Notify", "Reconcile")
        ]
        for rule in rules:
            events.disable_rule(Name=rule)
        try:
            yield
        finally:
            for rule in rules:
                events.enable_rule(Name=rule)

    @contextlib.contextmanager
    def without_capacity(self) -> Iterator[None]:
        """Let no market lend anything meanwhile."""
        for market in ("SPOT", "ON_DEMAND"):
            compute.set_capacity(market, 0)
        try:
            yield
        finally:
            for market in ("SPOT", "ON_DEMAND"):
                compute.set_capacity(market, math.inf)

    def invoke(self, **event: Any) -> dict[str, Any]:
        """Invoke the function as an operator does, and wait for its answer."""
        reply = self.twin.client("lambda").invoke(
            FunctionName=self.stack.outputs["SweepFunction"], Payload=json.dumps(event).encode()
        )
        answer: dict[str, Any] = json.loads(reply["Payload"].read())
        return answer

    def fire(self) -> None:
        """Let the schedule's hour come."""
        schedules.fire(self.stack.outputs["SweepSchedule"])

    def settled(self) -> dict[str, str]:
        """The executions, once none has come or gone on for three seconds."""
        before, since = self.executions(), time.monotonic()
        deadline = time.monotonic() + self.patience_seconds
        while time.monotonic() - since < 3 or "RUNNING" in before.values():
            assert time.monotonic() < deadline, before
            time.sleep(0.2)
            now = self.executions()
            if now != before:
                before, since = now, time.monotonic()
        return before

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + self.patience_seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.1)

    def told(self, words: str) -> list[str]:
        """The messages in Slack that hold these words."""
        return [text for text in map(message_text, self.slack.messages) if words in text]


@contextlib.contextmanager
def sweep_cloud(patience_seconds: float = PATIENCE_SECONDS, **options: Any) -> Iterator[SweepCloud]:
    """Deploy the system; its own sweep comes but once a year, so that a test's is the only one."""
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=60, jobs="noop", **options)) as twin:
        stack = twin.deploy(TEMPLATE, stack_name="spotline", parameters={"SweepSchedule": "cron(7 0 1 1 ? *)"})
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        yield SweepCloud(twin, stack, slack, patience_seconds)
