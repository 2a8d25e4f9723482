"""The function in its environment, what it reaches replaced by moto and by fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

import notify
from announce import webhook
from tests.unit.notify.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    environment = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "RUNS_TABLE": "runs",
        "SLACK_WEBHOOK_SECRET": "webhook",
        "JOB_LOG_GROUP": "/jobs",
        "MESSAGES_TOPIC": "arn:aws:sns:us-east-1:123456789012:messages",
        "JOB_QUEUES": "main,spot,on-demand",
        "SPOT_QUEUES": "spot",
        "GANG_INSTANCE_TYPE": "g6.2xlarge",
        "INGEST_BUCKET": "ingest",
        "RESULTS_BUCKET": "results",
        "SLACK_MESSAGES_PER_MINUTE": "20",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("slack_sdk.http_retry.handler.time.sleep", lambda _: None)
    with mock_aws():
        edge = Edge()
        clients = {"stepfunctions": edge.steps, "dynamodb": edge.dynamodb, "logs": edge.logs, "batch": edge.batch}
        monkeypatch.setattr(notify, "_client", lambda name: clients.get(name) or boto3.client(name))
        yield edge
