"""One file from its upload to the end of its run, with the calls that an operator would make."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from spotline import layout
from spotline.layout import DataKey, parse_data_key
from spotline.runs import Source, execution_arn, run_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.project import Upload
    from twin.cloud import Twin
    from twin.deployment import Stack

_POLL_SECONDS = 0.25
_STARTED_WITHIN_SECONDS = 30
_END_WITHIN_SECONDS = 1800
_OVER = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
_GANG_EVENTS = ("formed", "resumed", "lost", "stopping", "leaving", "published")
_to_python = TypeDeserializer().deserialize


class NoOutcome(Exception):
    """The file was uploaded, and no execution was started, or none came to an end."""


@dataclass(frozen=True)
class Update:
    """Something that an onlooker should see. `kind` is state, gang, member, round or log."""

    kind: str
    text: str
    round: int | None = None
    rounds: int | None = None


@dataclass
class Journey:
    """One uploaded file and its run.

    Parameters
    ----------
    twin, stack
        A running twin with the template deployed.
    upload
        The file and its contract.
    """

    twin: Twin
    stack: Stack
    upload: Upload
    run_id: str = ""
    execution_arn: str = ""
    _seen_events: int = 0
    _members: dict[str, str] = field(default_factory=dict)
    _gangs: dict[int, str] = field(default_factory=dict)
    _logs_from: int = 0
    _log_ids: set[str] = field(default_factory=set)

    @property
    def data_key(self) -> DataKey:
        """What the uploaded file's key says."""
        return parse_data_key(self.upload.key)

    def upload_files(self) -> None:
        """Put the contract and the file into the ingest bucket: all that a user does."""
        s3, bucket = self.twin.client("s3"), self.stack.outputs["IngestBucket"]
        s3.put_object(Bucket=bucket, Key=self.upload.contract_key, Body=self.upload.contract.read_bytes())
        body = self.upload.file.read_bytes()
        answer = s3.put_object(Bucket=bucket, Key=self.upload.key, Body=body)
        source = Source(bucket, self.upload.key, answer["VersionId"], len(body))
        self.run_id = run_id(source, self.data_key)
        self.execution_arn = execution_arn(self.stack.outputs["StateMachineArn"], self.run_id)

    def watch(self) -> Iterator[Update]:
        """Yield what happens until the execution is over; the caller shows it.

        Raises
        ------
        NoOutcome
            No execution was started within half a minute, or it did not end within half an hour.
        """
        started = time.monotonic()
        while True:
            status = self._status()
            if status is None and time.monotonic() - started > _STARTED_WITHIN_SECONDS:
                raise NoOutcome(
                    f"{self.upload.key} was uploaded and no execution was started within {_STARTED_WITHIN_SECONDS} s"
                )
            if status is not None:
                yield from self._read_states()
                yield from self._read_gangs()
                yield from self._read_logs()
            if status in _OVER:
                return
            if time.monotonic() - started > _END_WITHIN_SECONDS:
                raise NoOutcome(f"the run of {self.upload.key} did not end within {_END_WITHIN_SECONDS} s")
            time.sleep(_POLL_SECONDS)

    def description(self) -> dict[str, Any]:
        """The execution as DescribeExecution answers it."""
        answer: dict[str, Any] = self.twin.client("stepfunctions").describe_execution(executionArn=self.execution_arn)
        return answer

    def history(self) -> list[dict[str, Any]]:
        """Every event of the execution's history, in order."""
        pages = self.twin.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=self.execution_arn) for event in page["events"]]

    def gangs(self) -> list[dict[str, Any]]:
        """The run's gang records, oldest first."""
        answer = self.twin.client("dynamodb").query(
            TableName=self.stack.outputs["RunsTable"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :gang)",
            ExpressionAttributeValues={":pk": {"S": f"RUN#{self.run_id}"}, ":gang": {"S": "GANG#"}},
        )
        return [_item(item) for item in answer["Items"]]

    def day_item(self) -> dict[str, Any] | None:
        """The item with the day's metrics, as an SDK's user sees it."""
        key = self.data_key
        answer = self.twin.client("dynamodb").get_item(
            TableName=self.stack.outputs["RunsTable"],
            Key={"pk": {"S": f"DAY#{key.dataset}#{key.day}"}, "sk": {"S": f"FILE#{key.file}"}},
        )
        return _item(answer["Item"]) if "Item" in answer else None

    def result(self, name: str) -> bytes | None:
        """A file that postprocess left, through the manifest that names it."""
        prefix = layout.postprocess_prefix(self.run_id)
        manifest = self._json("ResultsBucket", prefix + layout.MANIFEST)
        return self._bytes("ResultsBucket", prefix + manifest[name]) if manifest else None

    def clean_manifest(self) -> dict[str, Any] | None:
        """What preprocess says it left."""
        return self._json("IntermediateBucket", layout.preprocess_prefix(self.run_id) + layout.MANIFEST)

    def analysis_manifest(self) -> dict[str, Any] | None:
        """What the gang that published says it left."""
        return self._json("ResultsBucket", layout.analysis_prefix(self.run_id) + layout.MANIFEST)

    def _status(self) -> str | None:
        steps = self.twin.client("stepfunctions")
        try:
            return str(steps.describe_execution(executionArn=self.execution_arn)["status"])
        except steps.exceptions.ExecutionDoesNotExist:
            return None

    def _read_states(self) -> Iterator[Update]:
        events = self.history()
        for event in events[self._seen_events :]:
            if event["type"].endswith("StateEntered"):
                yield Update("state", event["stateEnteredEventDetails"]["name"])
            elif event["type"] == "TaskFailed":
                details = event["taskFailedEventDetails"]
                yield Update("state", f"{details.get('error')}: {read_sentence(details.get('cause', ''))}")
        self._seen_events = len(events)

    def _read_gangs(self) -> Iterator[Update]:
        for gang in self.gangs():
            generation = int(gang["generation"])
            state = f"{gang['market']} job {gang.get('job_id', 'being submitted')} {gang.get('outcome', '')}".rstrip()
            if self._gangs.get(generation) != state:
                self._gangs[generation] = state
                yield Update("gang", f"gang {generation}: {state}")
            if "job_id" in gang and "outcome" not in gang:
                yield from self._read_members(generation, gang["job_id"])

    def _read_members(self, generation: int, job_id: str) -> Iterator[Update]:
        batch = self.twin.client("batch")
        members = int(self.stack.parameters["GangMembers"])
        ids = [f"{job_id}{mark}{member}" for mark in (":", "#") for member in range(members)]
        for job in batch.describe_jobs(jobs=ids)["jobs"]:
            if self._members.get(job["jobId"]) != job["status"]:
                self._members[job["jobId"]] = job["status"]
                member = job["jobId"].replace("#", ":").rpartition(":")[2]
                yield Update("member", f"gang {generation}, member {member}: {job['status']}")

    def _read_logs(self) -> Iterator[Update]:
        logs = self.twin.client("logs")
        group = self.stack.outputs["JobLogGroup"]
        for event in logs.filter_log_events(logGroupName=group, startTime=self._logs_from)["events"]:
            if event["eventId"] in self._log_ids:
                continue
            self._log_ids.add(event["eventId"])
            self._logs_from = max(self._logs_from, event["timestamp"])
            update = _parse_log(event["message"])
            if update:
                yield update

    def _json(self, bucket: str, key: str) -> dict[str, Any] | None:
        body = self._bytes(bucket, key)
        return json.loads(body) if body is not None else None

    def _bytes(self, bucket: str, key: str) -> bytes | None:
        s3 = self.twin.client("s3")
        try:
            body: bytes = s3.get_object(Bucket=self.stack.outputs[bucket], Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        return body


def read_sentence(cause: str) -> str:
    """The sentence for a person in a Cause: of a typed failure, a function's exception, or a failed `.sync` Task's job."""
    try:
        document = json.loads(cause)
    except ValueError:
        return cause
    if not isinstance(document, dict):
        return cause
    return str(document.get("sentence") or document.get("errorMessage") or document.get("StatusReason") or cause)


def _parse_log(message: str) -> Update | None:
    try:
        line = json.loads(message)
    except ValueError:
        return None
    if not isinstance(line, dict):
        return None
    if line.get("event") == "round":
        return Update("round", f"round {line['round']} of {line['rounds']}", line["round"], line["rounds"])
    if line.get("event") in _GANG_EVENTS:
        details = ", ".join(
            f"{name} {line[name]}" for name in ("reason", "round", "seconds") if line.get(name) is not None
        )
        return Update(
            "member", f"gang {line.get('generation')}, member {line.get('member')} {line['event']}: {details}"
        )
    text = line.get("message")
    return Update("log", str(text)) if text else None


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _to_python(value) for name, value in item.items()}
