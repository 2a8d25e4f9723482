"""The function as Lambda calls it, against moto and a Slack on this machine: which ends are told, and with what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.unit.notify.edge import INPUT, Edge, call, ended
from tests.unit.notify.slack_server import SlackServer

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef


def test_a_failure_tells_its_cause_and_its_log(edge: Edge) -> None:
    edge.logs.create_log_stream(logGroupName="/jobs", logStreamName="preprocess/default/abc")
    events: list[InputLogEventTypeDef] = [
        {"timestamp": int(time.time() * 1000), "message": "tolerance exceeded: 7 of 10 rows"}
    ]
    edge.logs.put_log_events(logGroupName="/jobs", logStreamName="preprocess/default/abc", logEvents=events)
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        call(ended("FAILED"))

    (message,) = slack.accepted
    for told in (
        "❌ flights 2013-02-09 failed: Data.Rejected",
        "State: Preprocess",
        "tolerance exceeded: 7 of 10 rows",
    ):
        assert told in message["text"]


def test_a_log_that_is_gone_does_not_keep_the_failure_from_being_told(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        assert call(ended("FAILED")) == "post"

    assert "Last lines" not in slack.accepted[0]["text"]


def test_a_superseded_run_is_not_told(edge: Edge) -> None:
    edge.steps.output = json.dumps({**INPUT, "outcome": "superseded"})
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        assert call(ended("SUCCEEDED")) == "nothing-to-say"

    assert slack.received == []


def test_importing_it_imports_neither_slack_s_client_nor_pydantic() -> None:
    program = "import sys, notify; print([name for name in ('slack_sdk', 'pydantic') if name in sys.modules])"
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, env=environment
    )

    assert told.stdout.strip() == "[]"
