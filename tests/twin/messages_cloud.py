"""The deployed system with jobs that do nothing, for what is told and recorded of a run's end."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from cli.deployment import make_twin
from cli.noop import leave_manifest
from cli.slack import SlackWebhook, message_text
from spotline.layout import MANIFEST, parse_data_key, preprocess_prefix
from spotline.run_table import RunTable
from spotline.runs import Run, Source, execution_arn, run_id
from spotline.starting import start_run
from twin import Twin, TwinOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twin.compute.jobs import Job
    from twin.deployment import Stack

ROOT = Path(__file__).resolve().parents[2]
_OVER = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class MessagesCloud:
    """What lands, what is told, and what stands in the table."""

    def __init__(self, twin: Twin, stack: Stack, slack: SlackWebhook, landing: str) -> None:
        self.twin, self.stack, self.slack = twin, stack, slack
        self._landing = landing
        self.barren: set[str] = set()
        self._numbers = itertools.count()
        self._inbox = self._subscribed_queue()
        self._notes: list[dict[str, Any]] = []

    def _subscribed_queue(self) -> str:
        sqs = self.twin.client("sqs")
        url = str(sqs.create_queue(QueueName="inbox")["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = self.stack.outputs["MessagesTopic"]
        self.twin.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return url

    def land(self, dataset: str | None = None, day: str = "20130209", *, fails: bool = False) -> Run:
        """A file of a dataset of its own, and its run, which is not started yet, and whose preprocess may leave nothing behind."""
        dataset = dataset or f"told-{next(self._numbers)}"
        bucket, key = self.stack.outputs["IngestBucket"], f"data/{dataset}/{day}/flights-{next(self._numbers)}.csv"
        version = self.twin.client("s3").put_object(Bucket=bucket, Key=key, Body=b"a\n1\n")["VersionId"]
        source = Source(bucket, key, version, 4)
        run = Run(run_id(source, parse_data_key(key)), dataset, day, source)
        if fails:
            self.barren.add(run.run_id)
        return run

    @contextlib.contextmanager
    def starting_runs(self) -> Iterator[None]:
        """Within the block, what lands starts its run by its event, as it does when no test interferes."""
        events = self.twin.client("events")
        events.enable_rule(Name=self._landing)
        try:
            yield
        finally:
            events.disable_rule(Name=self._landing)

    def clean(self, run: Run) -> None:
        """Leave what the run's preprocess did not leave."""
        self.twin.client("s3").put_object(
            Bucket=self.stack.outputs["IntermediateBucket"],
            Key=f"{preprocess_prefix(run.run_id)}{MANIFEST}",
            Body=b"{}",
            Metadata={"analyse": "no"},
        )

    def start(self, run: Run) -> str:
        """Start the run, and return its execution's status when it is over."""
        assert start_run(self.twin.client("stepfunctions"), self.stack.outputs["StateMachineArn"], run)
        return self.over(run)

    def redrive(self, run: Run) -> str:
        self.twin.client("stepfunctions").redrive_execution(executionArn=self.arn(run))
        return self.over(run)

    def over(self, run: Run) -> str:
        self.until(lambda: self._status(run) in _OVER, f"the end of {run.run_id}")
        return self._status(run)

    def _status(self, run: Run) -> str:
        return str(self.twin.client("stepfunctions").describe_execution(executionArn=self.arn(run))["status"])

    def arn(self, run: Run) -> str:
        return execution_arn(self.stack.outputs["StateMachineArn"], run.run_id)

    def told(self, run: Run) -> list[str]:
        """What Slack was told of the run."""
        return [text for text in map(message_text, list(self.slack.messages)) if run.run_id in text]

    def summaries(self) -> list[str]:
        """The summaries that Slack got."""
        texts = map(message_text, list(self.slack.messages))
        return [text for text in texts if "more message" in text.splitlines()[0]]

    def notify(self, request: dict[str, Any]) -> None:
        """Ask for a message, as `ingest` and `sweep` do."""
        self.twin.client("lambda").invoke(
            FunctionName=self.stack.outputs["NotifyFunction"],
            InvocationType="Event",
            Payload=json.dumps(request).encode(),
        )

    def unsent(self) -> bool:
        """Whether messages wait for a summary."""
        table = RunTable(self.stack.outputs["RunsTable"], self.twin.client("dynamodb"))
        return table.has_unsent_messages()

    @contextlib.contextmanager
    def slack_messages_per_minute(self, count: int) -> Iterator[None]:
        """Within the block Slack gets so many, as after a deployment with another parameter; its minute begins with the block."""
        functions, name = self.twin.client("lambda"), self.stack.outputs["NotifyFunction"]
        usual = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        rate = {"pk": {"S": "SLACK"}, "sk": {"S": "RATE"}}
        self.twin.client("dynamodb").delete_item(TableName=self.stack.outputs["RunsTable"], Key=rate)
        limited = {**usual, "SLACK_MESSAGES_PER_MINUTE": str(count)}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": limited})
        try:
            yield
        finally:
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": usual})
            self.twin.client("dynamodb").delete_item(TableName=self.stack.outputs["RunsTable"], Key=rate)

    def published(self, run: Run) -> list[dict[str, Any]]:
        """What the topic carried of the run."""
        found = self.twin.client("sqs").receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10)
        self._notes += [json.loads(message["Body"]) for message in found.get("Messages", [])]
        return [note for note in self._notes if run.run_id in note["Message"]]

    def record(self, run: Run) -> dict[str, Any]:
        """The run's record."""
        key = {"pk": {"S": f"RUN#{run.run_id}"}, "sk": {"S": "RUN"}}
        answer = self.twin.client("dynamodb").get_item(TableName=self.stack.outputs["RunsTable"], Key=key)
        return _plain(answer.get("Item", {}))

    def query(self, index: str, condition: str, **values: str) -> list[dict[str, Any]]:
        """Query an index, as an operator does with `aws dynamodb query`."""
        answer = self.twin.client("dynamodb").query(
            TableName=self.stack.outputs["RunsTable"],
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
        )
        return [_plain(item) for item in answer["Items"]]

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 90.0) -> None:
        """Wait until `holds`."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"waited {seconds} s in vain for {what}"
            time.sleep(0.05)


def _pattern(rule: Any) -> str:
    return str(rule.get("EventPattern", ""))


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


@contextlib.contextmanager
def messages_cloud() -> Iterator[MessagesCloud]:
    """The system, in which nothing starts by itself: the tests say when, and which runs fail."""
    barren: set[str] = set()

    def leave(job: Job) -> None:
        if job.submission.tags.get("spotline:run-id") not in barren:
            leave_manifest(job)

    with SlackWebhook() as slack, make_twin(TwinOptions(time_scale=60, jobs="noop"), stand_in=leave) as twin:
        stack = twin.deploy(ROOT / "template.yaml", stack_name="spotline")
        secret = stack.outputs["SlackWebhookSecret"]
        twin.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=slack.url)
        [landing] = [rule["Name"] for rule in twin.client("events").list_rules()["Rules"] if "aws.s3" in _pattern(rule)]
        twin.client("events").disable_rule(Name=landing)
        cloud = MessagesCloud(twin, stack, slack, landing)
        cloud.barren = barren
        yield cloud
