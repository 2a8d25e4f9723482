"""The deployed system on a twin, with its user's and its operator's hands: land a file, watch its run, redrive it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.slack import SlackWebhook, message_text
from spotline.layout import contract_key, parse_data_key
from spotline.runs import MarketChoice, Run, Source, execution_arn, run_id
from spotline.starting import start_run
from tests.statemachine import pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin import Twin
    from twin.deployment import Stack

Json = Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "data" / "flights" / "20130209" / "flights.csv"
CONTRACT: dict[str, Json] = json.loads((ROOT / "contracts" / "flights.json").read_text())
DAY = "20130209"
ROWS = 300
OVER = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def sample(*, bad_rows: int = 0) -> bytes:
    """The head of a real day of flights, with so many rows at its end that break the contract."""
    header, *rows = SAMPLE.read_bytes().splitlines(keepends=True)[: ROWS + 1]
    return b"".join([header, *rows, *[rows[0].replace(b"EWR", b"QQQ")] * bad_rows])


class Deployed:
    """A stack of the template on a running twin, and the Slack that it tells."""

    def __init__(self, twin: Twin, stack: Stack, slack: SlackWebhook) -> None:
        self.twin, self.stack, self.slack = twin, stack, slack
        self._steps = twin.client("stepfunctions")

    # What a user does

    def land(self, dataset: str, body: bytes, market: MarketChoice = MarketChoice.SPOT_FIRST) -> Run:
        """Put a file of a dataset into the ingest bucket; returns the run of this version."""
        key = f"data/{dataset}/{DAY}/flights.csv"
        bucket = self.stack.outputs["IngestBucket"]
        version = self.twin.client("s3").put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        source = Source(bucket, key, version, len(body))
        return Run(run_id(source, parse_data_key(key)), dataset, DAY, source, market)

    def agree(self, dataset: str, *, rounds: int | None, tolerance: float = 0.5) -> None:
        """Put the contract of a dataset; without rounds there is nothing to analyse."""
        spotline: dict[str, Json] = {
            "trim": True,
            "tolerance": {"maxRejectedShare": tolerance, "minRows": 1},
            "share": "rehearsals",
        }
        if rounds is not None:
            spotline["analysis"] = {**CONTRACT["spotline"]["analysis"], "rounds": rounds}
        body = json.dumps({**CONTRACT, "spotline": spotline}).encode()
        bucket = self.stack.outputs["IngestBucket"]
        self.twin.client("s3").put_object(Bucket=bucket, Key=contract_key(dataset), Body=body)

    def start(self, run: Run) -> bool:
        """Start the run's execution as `ingest` would, with this run's market; whether this was the first start."""
        return start_run(self._steps, self.stack.outputs["StateMachineArn"], run)

    # What an operator sees and does

    def arn(self, run: Run) -> str:
        return execution_arn(self.stack.outputs["StateMachineArn"], run.run_id)

    def execution(self, run: Run) -> dict[str, Json]:
        described: dict[str, Json] = self._steps.describe_execution(executionArn=self.arn(run))
        return described

    def status(self, run: Run) -> str:
        return str(self.execution(run)["status"])

    def ended(self, run: Run, seconds: float = 150.0) -> str:
        """The execution's status once it is over."""
        self.until(lambda: self.status(run) in OVER, f"the end of {run.run_id}", seconds)
        return self.status(run)

    def stop(self, run: Run) -> None:
        self._steps.stop_execution(executionArn=self.arn(run))

    def redrive(self, run: Run) -> None:
        self._steps.redrive_execution(executionArn=self.arn(run))

    def history(self, run: Run) -> list[dict[str, Json]]:
        pages = self._steps.get_paginator("get_execution_history").paginate(executionArn=self.arn(run))
        return [event for page in pages for event in page["events"]]

    def course(self, run: Run) -> pipeline.Course:
        return pipeline.course(self.history(run))

    def terminate(self, job_id: str) -> None:
        self.twin.client("batch").terminate_job(jobId=job_id, reason="stopped by the operator on duty")

    def newest_definition(self, name: str) -> dict[str, Json]:
        """The newest revision of a job definition, as RegisterJobDefinition takes it."""
        found = self.twin.client("batch").describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
        newest = max(found["jobDefinitions"], key=lambda definition: definition["revision"])
        answered_only = {"jobDefinitionArn", "revision", "status", "containerOrchestrationType"}
        return {key: value for key, value in newest.items() if key not in answered_only}

    def told(self, run: Run, words: str) -> None:
        """Wait until Slack was told something of the run in these words."""
        self.until(
            lambda: any(words in text and run.dataset in text for text in map(message_text, self.slack.messages)),
            f"{words} in Slack: {[message_text(message) for message in self.slack.messages[-2:]]}",
            seconds=60,
        )

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
        """Wait until `holds`."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
            time.sleep(0.05)
