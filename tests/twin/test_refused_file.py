"""A file that breaks the layout, dropped into the deployed system: no run, one explained message."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cli.deployment import make_twin
from cli.slack import SlackWebhook, message_text
from twin import TwinOptions

pytestmark = [pytest.mark.timeout(180), pytest.mark.ours]

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"


def test_a_dropped_file_that_is_no_csv_of_ours_is_told_and_starts_nothing() -> None:
    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=60, jobs="noop")) as twin:
        # Given the deployed system
        stack = twin.deploy(TEMPLATE, stack_name="spotline")
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        # When a file lands that is under data/ and no CSV
        bucket = stack.outputs["IngestBucket"]
        twin.client("s3").put_object(Bucket=bucket, Key="data/flights/20130209/readme.txt", Body=b"hello")
        end = time.monotonic() + 60
        while not slack.messages and time.monotonic() < end:
            time.sleep(0.05)
        # Then Slack says which and why, and there is no run
        [message] = slack.messages
        assert "readme.txt" in message_text(message)
        assert "is not a .csv" in message_text(message)
        machine = stack.outputs["StateMachineArn"]
        assert twin.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"] == []
