"""Three hundred runs that wait for a gang are stopped at once: each end costs what its own run costs.

`ENDS_SOAK_RUNS=30` stops fewer for a look; docs/soak.md is written after the full count only.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from cli.deployment import make_twin
from cli.project import TEMPLATE
from cli.slack import SlackWebhook, message_text
from spotline.layout import parse_data_key
from spotline.run_table import RunTable
from spotline.runs import Run, Source, execution_arn, run_id
from spotline.starting import start_run
from tests.soak.document import table, write_section
from twin import TwinOptions, compute, events
from twin.iam import gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin import Twin
    from twin.deployment import Stack
    from twin.iam.policies import Ask, Decision
    from twin.iam.principals import Principal

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

FULL_COUNT = 300
COUNT = int(os.environ.get("ENDS_SOAK_RUNS", FULL_COUNT))
MOST_CALLS = 40
"""AWS calls of all functions for one end: its reconcile, its messages, and a share of the scheduled reconciles meanwhile."""
SCHEDULED = 40
"""Calls of one scheduled reconcile, which comes every two minutes."""
MOST_MESSAGES_A_MINUTE = 20
PATIENCE_SECONDS = 3000.0
AT_A_TIME = 8
SHOWN = (
    "states:DescribeExecution",
    "states:GetExecutionHistory",
    "batch:ListJobs",
    "batch:DescribeJobs",
    "sns:Publish",
)


@dataclass
class Calls:
    """How often each role used each permission: one for each AWS call, or one for each item of a transaction."""

    used: Counter[tuple[str, str]]

    def note(self, principal: Principal, ask: Ask) -> Decision:
        self.used[principal.owner, ask.action] += 1
        return _decide(principal, ask)

    def of(self, function: str) -> Counter[str]:
        """The calls of one function, by permission."""
        found: Counter[str] = Counter()
        for (owner, action), count in self.used.items():
            if function in owner:
                found[action] += count
        return found


_decide = gate.decide


@dataclass
class System:
    """The deployed system, in which every run waits for a gang."""

    twin: Twin
    stack: Stack

    def start(self, number: int) -> str:
        """Start a run; its execution's ARN."""
        bucket, key = self.stack.outputs["IngestBucket"], f"data/flights/20130209/{number:05d}.csv"
        version = self.twin.client("s3").put_object(Bucket=bucket, Key=key, Body=b"a\n1\n")["VersionId"]
        source = Source(bucket, key, version, 4)
        run = Run(run_id(source, parse_data_key(key)), "flights", "20130209", source)
        machine = self.stack.outputs["StateMachineArn"]
        start_run(self.twin.client("stepfunctions"), machine, run)
        return execution_arn(machine, run.run_id)

    @property
    def runs(self) -> RunTable:
        return RunTable(self.stack.outputs["RunsTable"], self.twin.client("dynamodb"))

    def open_gangs(self) -> int:
        return sum(1 for _ in self.runs.open_gangs())


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def test_ends_at_once_cost_what_each_costs() -> None:
    calls = Calls(Counter())
    with (
        mock.patch.object(gate, "decide", calls.note),
        SlackWebhook() as slack,
        make_twin(TwinOptions(jobs="noop")) as twin,
    ):
        # Given many runs that wait for a gang
        system = System(twin, twin.deploy(TEMPLATE, stack_name="spotline"))
        secret = system.stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        compute.set_capacity("spot", 0)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            arns = list(pool.map(system.start, range(COUNT)))
            until(lambda: system.open_gangs() == COUNT, "every run waits for a gang")
            calls.used.clear()
            # When all of them are stopped
            began = time.monotonic()
            list(pool.map(lambda arn: twin.client("stepfunctions").stop_execution(executionArn=arn), arns))
        until(lambda: system.open_gangs() == 0, "every gang is closed")
        seconds = time.monotonic() - began
        until(lambda: count_sent(slack) >= COUNT, "every run is in a message")
        assert events.wait_idle(PATIENCE_SECONDS)
        minutes = (time.monotonic() - began) / 60
    # Then that cost so many calls for each, and Slack got few messages, in which all of them are
    reconcile, notify = calls.of("Reconcile"), calls.of("Notify")
    assert reconcile["states:DescribeExecution"] <= 2 * COUNT + 2 * minutes
    assert reconcile.total() + notify.total() <= MOST_CALLS * COUNT + SCHEDULED * (minutes / 2 + 1)
    assert count_sent(slack) == COUNT
    assert len(slack.messages) <= MOST_MESSAGES_A_MINUTE * (minutes + 2)
    if COUNT == FULL_COUNT:
        _write(reconcile, notify, seconds, len(slack.messages))


def count_sent(slack: SlackWebhook) -> int:
    """How many ends are in messages: one in its own, and so many in a summary as it says."""
    first_lines = [message_text(message).splitlines()[0] for message in list(slack.messages)]
    alone = sum("was stopped: " in line for line in first_lines)
    return alone + sum(int(line.split()[1].replace(",", "")) for line in first_lines if "more message" in line)


def _write(reconcile: Counter[str], notify: Counter[str], seconds: float, messages: int) -> None:
    rows: list[tuple[object, ...]] = [(f"`{action}`", reconcile[action], notify[action]) for action in SHOWN]
    rows.append(("DynamoDB", *(sum(n for name, n in of.items() if "dynamodb" in name) for of in (reconcile, notify))))
    rows.append(("all", reconcile.total(), notify.total()))
    write_section(
        "Ends at once",
        f"{COUNT} runs that waited for a gang were stopped at once (`tests/soak/test_ends.py`), on {os.cpu_count()} cores: after "
        f"{seconds:.0f} s every gang was closed. Slack got {messages} messages, in which each run is once.\n\n"
        + table(("calls", "`reconcile`", "`notify`"), rows),
    )
