"""Many files at once, on a bad day: every event comes twice and in any order, and Step Functions throttles."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.deployment import make_twin
from twin import Twin, TwinOptions, events, faults, functions
from twin.faults import Fault, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
THROTTLED_SHARE = 0.2
SHUFFLED_WITHIN_SECONDS = 2.0
_PUTS_AT_A_TIME = 8


@dataclass(frozen=True)
class Burst:
    """What came of it.

    Parameters
    ----------
    executions
        How often each object's run was started: a name each.
    seconds
        From the first file to the last execution.
    dead_letters
        Messages in each queue of the stack.
    throttled, called
        Calls of StartExecution that were throttled, and events that `ingest` was given.
    """

    landed: int
    executions: Counter[str]
    statuses: Counter[str]
    seconds: float
    dead_letters: dict[str, int]
    throttled: int


def land_at_once(count: int, *, seed: int, patience_seconds: float) -> Burst:
    """Land `count` files in a twin of its own, whose jobs do nothing, and see which executions come of them."""
    options = TwinOptions(
        jobs="noop",
        duplicate_events=1.0,
        delay_events=SHUFFLED_WITHIN_SECONDS,
        faults=(Fault("states:*", THROTTLED_SHARE),),
        seed=seed,
    )
    with make_twin(options) as twin:
        stack = twin.deploy(ROOT / "template.yaml", stack_name="spotline")
        s3, bucket = twin.client("s3"), stack.outputs["IngestBucket"]

        def land(number: int) -> None:
            key = f"data/flights/20130209/{number:05d}.csv"
            s3.put_object(Bucket=bucket, Key=key, Body=b"year,month,day\n2013,2,9\n")

        began = time.monotonic()
        with ThreadPoolExecutor(_PUTS_AT_A_TIME) as hands:
            list(hands.map(land, range(count)))
        end = began + patience_seconds
        machine = stack.outputs["StateMachineArn"]
        _until(lambda: len(_executions(twin, machine)) >= count, end)
        seconds = time.monotonic() - began
        # And then whatever still comes: the second delivery of each event must start nothing.
        assert events.wait_idle(end - time.monotonic())
        assert functions.wait_idle(stack.outputs["IngestFunction"], end - time.monotonic())
        found = _executions(twin, machine)
        return Burst(
            landed=count,
            executions=Counter(execution["name"] for execution in found),
            statuses=Counter(execution["status"] for execution in found),
            seconds=seconds,
            dead_letters=_messages(twin),
            throttled=faults.struck()["states:StartExecution", Trouble.THROTTLED],
        )


def _executions(twin: Twin, machine: str) -> list[dict[str, Any]]:
    pages = twin.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine)
    return [execution for page in pages for execution in page["executions"]]


def _messages(twin: Twin) -> dict[str, int]:
    sqs = twin.client("sqs")
    name = "ApproximateNumberOfMessages"
    return {
        url.rsplit("/", 1)[1]: int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
        for url in sqs.list_queues().get("QueueUrls", [])
    }


def _until(holds: Callable[[], bool], end: float) -> None:
    while not holds():
        assert time.monotonic() < end, "not every file has its execution"
        time.sleep(0.25)
