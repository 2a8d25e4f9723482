"""The function as Lambda calls it, against moto and a Slack on this machine."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from moto import mock_aws

import notify
from announce import executions, webhook
from announce.outcomes import MessageKey
from announce.table import TableClaims
from tests.unit.notify.histories import STARTED, batch_cause, entered, failed
from tests.unit.notify.slack_server import SlackServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

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


def invoke(request: dict[str, Any]) -> dict[str, str]:
    answer: dict[str, str] = notify.handler(request, cast("LambdaContext", Context()))
    return answer


def call(request: dict[str, Any]) -> str:
    """What came of Slack's message."""
    return invoke(request)["SLACK"]


def test_a_success_is_told_by_the_machine_and_not_again_by_its_event(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        answers = [call(SUCCESS), call(ended("SUCCEEDED"))]

    assert answers == ["post", "confirmed"]
    assert [message["text"].splitlines()[0] for message in slack.accepted] == ["✅ flights 2013-02-09 is done"]


def test_a_silent_slack_fails_no_run_and_the_event_is_the_second_chance(edge: Edge) -> None:
    with SlackServer(*[500] * 4) as slack:
        edge.set_webhook(slack.url)

        answers = [call(SUCCESS), call(ended("SUCCEEDED"))]

    assert answers == ["not-told", "post"]
    assert len(slack.accepted) == 1
    assert "may have been posted before" not in slack.accepted[0]["text"]


def test_a_message_without_an_answer_says_that_it_may_be_a_repetition(edge: Edge) -> None:
    with SlackServer("hang") as slack:
        edge.set_webhook(slack.url)

        answers = [call(SUCCESS), call(ended("SUCCEEDED")), call(ended("SUCCEEDED"))]

    assert answers == ["not-told", "repeat", "confirmed"]
    assert "may have been posted before" in slack.accepted[0]["text"]


@pytest.mark.parametrize("trouble", [[500] * 4, ["hang"], [(429, {"Retry-After": "600"})]])
def test_an_event_that_cannot_be_told_raises_so_that_lambda_tries_again(edge: Edge, trouble: list[Any]) -> None:
    with SlackServer(*trouble) as slack:
        edge.set_webhook(slack.url)

        with pytest.raises(notify.NotTold, match="SLACK"):
            call(ended("FAILED"))
        assert call(ended("FAILED")) in ("post", "repeat")

    assert len(slack.accepted) == 1


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


def test_every_redrive_s_end_is_told(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        answers = [call(ended("FAILED", count)) for count in (0, 1, 1)]

    assert answers == ["post", "post", "confirmed"]


def test_a_superseded_run_is_not_told(edge: Edge) -> None:
    edge.steps.output = json.dumps({**INPUT, "outcome": "superseded"})
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        assert call(ended("SUCCEEDED")) == "nothing-to-say"

    assert slack.received == []


def test_rejected_files_of_a_folder_are_told_once(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        answers = [call(REJECTED), call({**REJECTED, "key": "data/y.csv"}), call({**REJECTED, "key": "data/z/y.csv"})]

    assert answers == ["post", "confirmed", "post"]


@pytest.mark.parametrize("secret", ["unset", "  unset\n"])
def test_without_a_webhook_nothing_fails_and_the_log_says_so(
    edge: Edge, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    edge.set_webhook(secret)

    assert call(SUCCESS) == "webhook-unset"
    assert call(ended("FAILED")) == "webhook-unset"
    assert "no Slack webhook is set" in caplog.text


def test_a_secret_that_is_no_address_is_an_error_that_says_what_it_must_hold(edge: Edge) -> None:
    edge.set_webhook('{"url": "x"}')

    with pytest.raises(notify.NotTold, match="plain text"):
        call(ended("FAILED"))


def test_two_functions_at_once_post_one_message(edge: Edge) -> None:
    claims = TableClaims("runs", edge.dynamodb)
    key = MessageKey(f"RUN#{RUN_ID}", "MESSAGE#0#FAILED")
    claims.write(key, claims.read(key).taken(datetime.now(UTC)))
    with SlackServer() as slack:
        edge.set_webhook(slack.url)

        with pytest.raises(notify.NotTold, match="is being posted"):
            call(ended("FAILED"))

    assert slack.received == []


def test_claims_expire_after_the_time_to_redrive(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)
        call(ended("FAILED"))

    items = {item["sk"]["S"]: item for item in edge.dynamodb.scan(TableName="runs")["Items"]}
    claims = {"MESSAGE#0#FAILED", "MESSAGE#0#FAILED#TOPIC"}
    assert items.keys() == {*claims, "RUN"}
    for name in claims:
        assert items[name]["pk"]["S"] == f"RUN#{RUN_ID}"
        assert int(items[name]["expires_at"]["N"]) > executions_time().timestamp() + 14 * 86400


def test_the_topic_carries_the_same_as_slack_once(edge: Edge) -> None:
    with SlackServer() as slack:
        edge.set_webhook(slack.url)
        answers = [invoke(ended("FAILED")), invoke(ended("FAILED"))]

    (note,) = edge.topic.received()
    assert answers == [{"TOPIC": "post", "SLACK": "post"}, {"TOPIC": "confirmed", "SLACK": "confirmed"}]
    assert note["Subject"] == "flights 2013-02-09 failed: Data.Rejected"
    assert note["Message"] == html.unescape(slack.accepted[0]["text"])
    assert note["MessageAttributes"]["kind"]["Value"] == "run-failed"


@pytest.mark.parametrize("secret", ["unset", "http://127.0.0.1:9/nobody-listens", '{"url": "x"}'])
def test_the_topic_does_not_wait_for_slack(edge: Edge, secret: str) -> None:
    edge.set_webhook(secret)

    answer = invoke(SUCCESS)

    assert answer["TOPIC"] == "post"
    assert answer["SLACK"] in ("webhook-unset", "not-told")
    assert [note["Subject"] for note in edge.topic.received()] == ["flights 2013-02-09 is done"]


def test_slack_does_not_wait_for_the_topic(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = edge.topic.arn
    monkeypatch.setenv("MESSAGES_TOPIC", f"{arn}-of-somebody-else")
    with SlackServer() as slack:
        edge.set_webhook(slack.url)
        with pytest.raises(notify.NotTold, match="TOPIC: SNS answered 404"):
            invoke(ended("FAILED"))
        monkeypatch.setenv("MESSAGES_TOPIC", arn)
        answer = invoke(ended("FAILED"))

    assert answer == {"TOPIC": "post", "SLACK": "confirmed"}
    assert len(slack.accepted) == len(edge.topic.received()) == 1


def counted(output: str) -> dict[str, Any]:
    """The metrics in what was printed, by name; Powertools writes lists."""
    found: dict[str, Any] = {}
    for line in map(json.loads, output.splitlines()):
        for declared in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert declared["Namespace"] == "Spotline"
            found |= {metric["Name"]: line[metric["Name"]] for metric in declared["Metrics"]}
    return found


def test_what_is_told_and_what_is_not_is_counted(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.set_webhook("http://127.0.0.1:9/nobody-listens")

    invoke(SUCCESS)

    told = counted(capsys.readouterr().out)
    assert (told["MessageToldOrUnneeded"], told["MessageNotTold"]) == ([1.0], [1.0])


def test_a_run_s_end_is_counted_once(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]
    invoke(ended("FAILED"))
    first = counted(capsys.readouterr().out)
    invoke(ended("FAILED"))
    again = counted(capsys.readouterr().out)

    assert (first["RunsFailed"], first["EstimatedCostUSD"], first["StageSeconds"]) == (1, 0.4, 7200.0)
    assert again.keys() == {"MessageToldOrUnneeded", "MessageNotTold"}


def preprocess_job(hours: float) -> dict[str, Any]:
    start = int(executions_time().timestamp() * 1000)
    span = {"startedAt": start, "stoppedAt": start + int(hours * 3_600_000)}
    return {
        "jobId": "job-1",
        "jobQueue": "main",
        "status": "FAILED",
        "createdAt": start,
        "tags": {"spotline:run-id": RUN_ID, "spotline:stage": "preprocess"},
        "container": {"resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "15360"}]},
        "attempts": [span],
        **span,
    }


def run_record(edge: Edge) -> dict[str, Any]:
    key = {"pk": {"S": f"RUN#{RUN_ID}"}, "sk": {"S": "RUN"}}
    item = edge.dynamodb.get_item(TableName="runs", Key=key)["Item"]
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def test_a_failed_run_s_cost_is_told_and_recorded(edge: Edge) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]

    invoke(ended("FAILED"))

    (note,) = edge.topic.received()
    assert "Cost, estimated: $0.40 (2 h On-Demand)" in note["Message"]
    cost = run_record(edge)["cost"]
    assert (cost["total"], cost["jobs"][0]["job_id"]) == (Decimal("0.4"), "job-1")


def test_what_batch_has_forgotten_stays_in_the_cost(edge: Edge) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]
    invoke(ended("FAILED"))
    edge.batch.jobs = [{**preprocess_job(hours=1), "jobId": "job-2"}]

    invoke(ended("FAILED", 1))

    assert "$0.60 (3 h On-Demand)" in edge.topic.received()[-1]["Message"]


def test_a_superseded_run_has_a_cost_all_the_same(edge: Edge) -> None:
    edge.batch.jobs = [preprocess_job(hours=2)]
    edge.steps.output = json.dumps({**INPUT, "outcome": "superseded"})

    assert invoke(ended("SUCCEEDED")) == {"TOPIC": "nothing-to-say", "SLACK": "webhook-unset"}
    assert run_record(edge)["cost"]["total"] == Decimal("0.4")


def test_a_price_table_that_cannot_be_read_keeps_nothing_from_being_told(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.s3.put_object(Bucket="ingest", Key="prices.json", Body=b"{}")

    assert invoke(ended("FAILED"))["TOPIC"] == "post"
    assert "Cost" not in edge.topic.received()[0]["Message"]
    assert "no cost can be estimated" in caplog.text


def test_what_moto_describes_can_be_read() -> None:
    assert executions._is_superseded(None) is False
    assert executions._is_superseded('"text"') is False
    assert executions._is_superseded("{") is False
    assert executions._run("{}") is None


def test_importing_it_imports_neither_slack_s_client_nor_pydantic() -> None:
    program = "import sys, notify; print([name for name in ('slack_sdk', 'pydantic') if name in sys.modules])"
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True, env=environment
    )

    assert told.stdout.strip() == "[]"
