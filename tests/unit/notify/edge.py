"""What the function reaches, as a test finds it, and the function as Lambda calls it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import boto3

import notify
from tests.unit.notify.histories import STARTED, batch_cause, entered, failed

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RUN_ID = "flights-20130209-0123456789abcdef"
ARN = f"arn:aws:states:us-east-1:123456789012:execution:pipeline:{RUN_ID}"
INPUT = {
    "run_id": RUN_ID,
    "dataset": "flights",
    "day": "20130209",
    "market": "spot-first",
    "keep": False,
    "source": {"bucket": "ingest", "key": "data/flights/20130209/flights.csv", "version_id": "v1", "size": 10},
}
SUCCESS = {"kind": "success", "execution_arn": ARN, "redrive_count": 0, "run_id": RUN_ID}
REJECTED = {"kind": "rejected-file", "bucket": "ingest", "key": "data/x.csv", "reason": "no day"}


def ended(status: str, redrive_count: int = 0) -> dict[str, Any]:
    detail = {"executionArn": ARN, "status": status, "redriveCount": redrive_count}
    return {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}


@dataclass
class Context:
    function_name: str = "notify"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:notify"
    aws_request_id: str = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class StepFunctions:
    """Executions as they would be described: moto's interpreter is not needed to read one."""

    def __init__(self) -> None:
        self.output: str | None = None
        self.history = [STARTED, entered("Preprocess"), failed("States.TaskFailed", batch_cause(65))]

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        when = executions_time()
        answer = {"input": json.dumps(INPUT), "startDate": when, "stopDate": when, "redriveStatus": "REDRIVABLE"}
        return answer | ({"output": self.output} if self.output else {})

    def get_paginator(self, _: str) -> Any:
        events = self.history

        class Pages:
            def paginate(self, **_: Any) -> list[dict[str, Any]]:
                return [{"events": events}]

        return Pages()


def executions_time() -> datetime:
    return datetime(2013, 2, 9, tzinfo=UTC)


class Inbox:
    """A topic, and the queue that is subscribed to it."""

    def __init__(self) -> None:
        self._sqs = boto3.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="inbox")["QueueUrl"]
        sns = boto3.client("sns")
        self.arn = sns.create_topic(Name="messages")["TopicArn"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=arn)

    def received(self) -> list[dict[str, Any]]:
        """What has come since the last look."""
        found = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]


class Batch:
    """One queue and what is in it."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []

    def get_paginator(self, _: str) -> Any:
        jobs = self.jobs

        class Pages:
            def paginate(self, *, jobQueue: str, **_: Any) -> list[dict[str, Any]]:  # noqa: N803
                return [{"jobSummaryList": [job for job in jobs if job["jobQueue"] == jobQueue]}]

        return Pages()

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        return {"jobs": [job for job in self.jobs if job["jobId"] in jobs]}


class Edge:
    """What the function reaches: a secret, the runs table, logs, Step Functions, a topic, Batch."""

    def __init__(self) -> None:
        self.steps = StepFunctions()
        self.batch = Batch()
        self.s3 = boto3.client("s3")
        for bucket in ("ingest", "results"):
            self.s3.create_bucket(Bucket=bucket)
        self._secrets = boto3.client("secretsmanager")
        self._secrets.create_secret(Name="webhook", SecretString="unset")
        self.dynamodb = boto3.client("dynamodb")
        self.dynamodb.create_table(
            TableName="runs",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.topic = Inbox()
        self.logs = boto3.client("logs")
        self.logs.create_log_group(logGroupName="/jobs")

    def set_webhook(self, url: str) -> None:
        self._secrets.put_secret_value(SecretId="webhook", SecretString=url)


def invoke(request: dict[str, Any]) -> dict[str, str]:
    answer: dict[str, str] = notify.handler(request, cast("LambdaContext", Context()))
    return answer


def call(request: dict[str, Any]) -> str:
    """What came of Slack's message."""
    return invoke(request)["SLACK"]
