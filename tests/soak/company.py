"""The deployed system as rehearsals use it, and what can be seen of it from outside."""

from __future__ import annotations

import itertools
import json
import re
import time
from typing import TYPE_CHECKING, Any

from cli.reclaims import ReclaimAtFirstCheckpoint
from cli.slack import message_text
from tests.twin.deployed import DAY, Deployed
from twin import schedules

if TYPE_CHECKING:
    from cli.slack import SlackWebhook
    from spotline.runs import Run
    from twin import Twin
    from twin.deployment import Stack

Facts = dict[str, Any]
_NAMED_AFTER_WHAT_DIFFERS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16}(?=\.ubj)")
"""A job's id; the digest in a checkpoint's name."""
_ENDED = ("SUCCEEDED", "FAILED")
_UNDER_WAY = "RUNNING"
"""What `rehearsals.under_way` looks for, whatever an unfinished job's status is."""
_MEMBERS = 2


class Company(Deployed):
    """The system, and what can be seen of it from outside."""

    numbers = itertools.count()

    def __init__(self, twin: Twin, stack: Stack, slack: SlackWebhook) -> None:
        super().__init__(twin, stack, slack)
        self.spot = ReclaimAtFirstCheckpoint(gangs=0)
        self.spot.install()
        self._sqs = twin.client("sqs")
        self._listener = self._sqs.create_queue(QueueName="listener")["QueueUrl"]
        self._published: list[str] = []
        self._damaged: list[dict[str, Any]] = []
        arn = self._sqs.get_queue_attributes(QueueUrl=self._listener, AttributeNames=["QueueArn"])
        twin.client("sns").subscribe(
            TopicArn=stack.outputs["MessagesTopic"], Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )

    def pause_sweep(self) -> None:
        """From now on sweep runs only when it is fired: it would start what `ingest` could not, which is what it is for."""
        scheduler = self.twin.client("scheduler")
        schedule = scheduler.get_schedule(Name=self._schedule("SweepFunctionSweepOnSchedule"))
        kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(**{key: schedule[key] for key in kept}, State="DISABLED")

    def new_dataset(self) -> str:
        return f"rehearsal-{next(self.numbers)}"

    def outcome(self, run: Run) -> Facts:
        """What became of a run, as whoever asked for it sees it."""
        table = self.twin.client("dynamodb")
        name = self.stack.outputs["RunsTable"]
        day = {"pk": {"S": f"DAY#{run.dataset}#{DAY}"}}
        kept = table.query(
            TableName=name, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": day["pk"]}
        )
        described = self.execution(run) if self.has_run(run) else {"status": "none"}
        return {
            "execution": described["status"],
            "error": described.get("error", ""),
            "share": json.loads(described["input"])["share"] if "input" in described else "",
            "tries that failed": self.failed_tries(run),
            "recorded as": self.read_record(run),
            "day's metrics": len(kept["Items"]),
            "files": self.files(run),
            "result": self.result(run),
            "messages": self.read_messages_of(run.dataset),
            "published": self.published_of(run.dataset),
        }

    def read_record(self, run: Run) -> str:
        """The status of the run in the runs table."""
        key = {"pk": {"S": f"RUN#{run.run_id}"}, "sk": {"S": "RUN"}}
        found = self.twin.client("dynamodb").get_item(TableName=self.stack.outputs["RunsTable"], Key=key)
        return str(found.get("Item", {}).get("status", {}).get("S", ""))

    def damage_record(self, run_id: str) -> None:
        """Write the record of an open gang that nobody can read."""
        key = {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "GANG#0001"}}
        item = {**key, "open_gang": {"S": "yes"}, "market": {"S": "BLACK"}}
        self.twin.client("dynamodb").put_item(TableName=self.stack.outputs["RunsTable"], Item=item)
        self._damaged.append(key)

    def remove_damaged_records(self) -> None:
        for key in self._damaged:
            self.twin.client("dynamodb").delete_item(TableName=self.stack.outputs["RunsTable"], Key=key)
        self._damaged.clear()

    def find_rule(self, logical_id: str) -> str:
        """The name of an EventBridge rule."""
        return str(self.stack.resources[logical_id].physical_id.rsplit("|", 1)[-1])

    def failed_tries(self, run: Run) -> list[str]:
        """The errors that Tasks were tried again or given up for: what one function could not do, another may have mended."""
        if not self.has_run(run):
            return []
        pages = self.twin.client("stepfunctions").get_paginator("get_execution_history")
        arn = self.execution(run)["executionArn"]
        events = [event for page in pages.paginate(executionArn=arn) for event in page["events"]]
        details = [detail for event in events for detail in event.values() if isinstance(detail, dict)]
        return sorted({detail["error"] for detail in details if "error" in detail})

    def has_run(self, run: Run) -> bool:
        try:
            self.execution(run)
        except self.twin.client("stepfunctions").exceptions.ExecutionDoesNotExist:
            return False
        return True

    def files(self, run: Run) -> list[str]:
        """What lies under the run, checkpoints and what is named after a job by their kind."""
        found = []
        for bucket in ("IntermediateBucket", "ResultsBucket"):
            listed = self.twin.client("s3").list_objects_v2(
                Bucket=self.stack.outputs[bucket], Prefix=f"runs/{run.run_id}/"
            )
            for item in listed.get("Contents", []):
                name = item["Key"].removeprefix(f"runs/{run.run_id}/")
                found.append(_NAMED_AFTER_WHAT_DIFFERS.sub("*", name))
        return sorted(found)

    def result(self, run: Run) -> list[str]:
        """What the run's result has to say something about."""
        s3, bucket = self.twin.client("s3"), self.stack.outputs["ResultsBucket"]
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"runs/{run.run_id}/")
        keys = [item["Key"] for item in listed.get("Contents", []) if item["Key"].endswith("/metrics.json")]
        found = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
        return sorted({name for document in found for name, said in document.items() if said})

    def read_messages_of(self, dataset: str) -> list[str]:
        """Of each message what it has beyond the outcome."""
        marks = {"Last lines of the log": "a log", "Cost, estimated": "a cost", "wasted": "what reclaims cost"}
        texts = [text for text in map(message_text, self.slack.messages) if dataset in text]
        return sorted(" and ".join(what for mark, what in marks.items() if mark in text) or "plain" for text in texts)

    def summaries(self) -> list[str]:
        """The summaries that Slack got."""
        return [text for text in map(message_text, self.slack.messages) if "more message" in text.splitlines()[0]]

    def unsent(self) -> int:
        """How many messages wait for a summary."""
        waiting = self.twin.client("dynamodb").query(
            TableName=self.stack.outputs["RunsTable"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "SLACK#UNSENT"}},
            Select="COUNT",
        )
        return int(waiting["Count"])

    def spend_messages(self) -> None:
        """Let Slack take no message for the next minute, as after many of them."""
        until = int(time.time() * 1000) + 120_000
        item = {"pk": {"S": "SLACK"}, "sk": {"S": "RATE"}, "spent_until": {"N": str(until)}}
        self.twin.client("dynamodb").put_item(TableName=self.stack.outputs["RunsTable"], Item=item)

    def forget_messages(self) -> None:
        """Let Slack take as many messages as after a quiet minute."""
        key = {"pk": {"S": "SLACK"}, "sk": {"S": "RATE"}}
        self.twin.client("dynamodb").delete_item(TableName=self.stack.outputs["RunsTable"], Key=key)

    def published_of(self, dataset: str) -> int:
        """How many messages subscribers of the topic got."""
        while messages := self._sqs.receive_message(QueueUrl=self._listener, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for message in messages:
                self._published.append(message["Body"])
                self._sqs.delete_message(QueueUrl=self._listener, ReceiptHandle=message["ReceiptHandle"])
        return sum(dataset in text for text in self._published)

    def failed_events(self) -> dict[str, str]:
        """Messages in the queue of failed events, taken out of it: request -> function."""
        queue = self.stack.resources["FailedEvents"].physical_id
        sqs = self.twin.client("sqs")
        found = {}
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                body = json.loads(message["Body"])
                if "requestContext" in body:
                    found[json.dumps(body["requestPayload"])] = body["requestContext"]["functionArn"].split(":")[6]
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def log_lines(self) -> list[str]:
        """Every line in every log group."""
        logs = self.twin.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        paginator = logs.get_paginator("filter_log_events")
        pages = [page for group in groups for page in paginator.paginate(logGroupName=group)]
        return [event["message"] for page in pages for event in page["events"]]

    def measured_since(self, moment_ms: int) -> list[str]:
        """The metrics that functions wrote since then."""
        group = self.stack.resources["FunctionLogGroup"].physical_id
        pages = (
            self.twin.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=group, startTime=moment_ms)
        )
        events = [event["message"] for page in pages for event in page["events"] if '"_aws"' in event["message"]]
        return sorted({key for text in events for key in json.loads(text) if key not in ("_aws", "service")})

    def jobs(self, run: Run, queue: str) -> list[str]:
        """How each of a run's jobs in a queue stands, or why it ended."""
        batch = self.twin.client("batch")
        listed = batch.list_jobs(
            jobQueue=self.stack.outputs[queue], filters=[{"name": "JOB_NAME", "values": [f"{run.run_id}-*"]}]
        )["jobSummaryList"]
        described = batch.describe_jobs(jobs=[job["jobId"] for job in listed])["jobs"] if listed else []
        return sorted(job.get("statusReason", "") if job["status"] in _ENDED else _UNDER_WAY for job in described)

    def has_launched(self, run: Run) -> bool:
        """Whether launch_gang has logged its answer for a run."""
        group = self.stack.resources["FunctionLogGroup"].physical_id
        pages = self.twin.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        lines = (event["message"] for page in pages for event in page["events"])
        return any('"message":"answered"' in line and f'"{run.run_id}"' in line for line in lines)

    def members(self, run: Run, status: str) -> list[str]:
        """The members of a run's Spot gangs that stand so, by their jobs' ids."""
        batch = self.twin.client("batch")
        listed = batch.list_jobs(
            jobQueue=self.stack.outputs["SpotGangQueue"],
            filters=[{"name": "JOB_NAME", "values": [f"{run.run_id}-*"]}],
        )["jobSummaryList"]
        found = [batch.list_jobs(arrayJobId=job["jobId"], jobStatus=status)["jobSummaryList"] for job in listed]
        return [member["jobId"] for members in found for member in members]

    def why_members_ended(self, run: Run) -> list[str]:
        """Why each member of a run's Spot gang ended; that the gang is under way while one has not."""
        ended = self.members(run, "FAILED")
        if len(ended) < _MEMBERS:
            return [_UNDER_WAY]
        described = self.twin.client("batch").describe_jobs(jobs=ended)["jobs"]
        return sorted({job["statusReason"] for job in described})

    def invoke(self, function: str, event: Any, kind: str = "Event") -> Any:
        name = self.stack.resources[f"{function}Function"].physical_id
        answer = self.twin.client("lambda").invoke(
            FunctionName=name, InvocationType=kind, Payload=json.dumps(event).encode()
        )
        return json.loads(answer["Payload"].read() or b"null")

    def fire(self, schedule: str) -> None:
        schedules.fire(self._schedule(schedule))

    def _schedule(self, logical_id: str) -> str:
        return self.stack.resources[logical_id].physical_id.rsplit("|", 1)[-1].rsplit("/", 1)[-1]
