# ruff: noqa: N803  arguments are named as the API names them
"""A small AWS in memory: what ingest, launch_gang and reconcile call, with the conditions, refusals and exceptions that they count on.

Every call goes through one `Fuse`, which can end the caller, or lose the answer, at any of them.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


class Crashed(BaseException):
    """The caller's process is gone. Not an `Exception`: no code of the caller's sees it."""


class Refusal(ClientError):
    """An AWS error; subclasses are what `client.exceptions` names."""

    def __init__(self, **more: Any) -> None:
        response: Any = {"Error": {"Code": type(self).__name__, "Message": "refused"}, **more}
        super().__init__(response, "Call")


class ConditionalCheckFailedException(Refusal):
    pass


class ExecutionAlreadyExists(Refusal):
    pass


class ExecutionDoesNotExist(Refusal):
    pass


class TaskTimedOut(Refusal):
    pass


class TaskDoesNotExist(Refusal):
    pass


class InvalidToken(Refusal):
    pass


class NoSuchKey(Refusal):
    pass


class PreconditionFailed(Refusal):
    pass


class ClientException(Refusal):
    pass


class InternalServerError(Refusal):
    """What is left of a throttled or failing call after the SDK's own retries."""


@dataclass
class Fuse:
    """Ends the caller, or loses an answer, once `calls` more calls were carried out."""

    calls: int | None = None
    ending: Callable[[], BaseException] = Crashed

    def burn(self) -> None:
        if self.calls is None:
            return
        if self.calls == 0:
            self.calls = None
            raise self.ending()
        self.calls -= 1


def call(method: Any) -> Any:
    @wraps(method)
    def through_fuse(self: Any, *args: Any, **arguments: Any) -> Any:
        self.fuse.burn()
        answer = method(self, *args, **arguments)
        if self.fuse.calls == 0 and self.fuse.ending is not Crashed:
            self.fuse.burn()  # carried out, and its answer lost
        return answer

    return through_fuse


@dataclass
class Clock:
    now: datetime = datetime(2013, 2, 9, 6, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by

    def milliseconds(self) -> int:
        return int(self.now.timestamp() * 1000)


def _plain(value: Any) -> Any:
    [(kind, content)] = value.items()
    return {"S": str, "N": int, "SS": set}[kind](content)


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, set):
        return {"SS": sorted(value)}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


@dataclass
class FakeDynamoDB:
    """One table; of DynamoDB's expressions, what `RunTable` and `Allowances` say."""

    fuse: Fuse
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(ConditionalCheckFailedException=ConditionalCheckFailedException)
    )

    @call
    def put_item(self, *, TableName: str, Item: dict[str, Any]) -> None:
        self.items[Item["pk"]["S"], Item["sk"]["S"]] = {name: _plain(value) for name, value in Item.items()}

    @call
    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead
        item = self.items.get((Key["pk"]["S"], Key["sk"]["S"]))
        return {} if item is None else {"Item": _item(item)}

    @call
    def update_item(self, *, Key: dict[str, Any], UpdateExpression: str, **more: Any) -> dict[str, Any]:
        at = (Key["pk"]["S"], Key["sk"]["S"])
        item = dict(self.items.get(at, {}))
        values = {name: _plain(value) for name, value in more.get("ExpressionAttributeValues", {}).items()}
        names = more.get("ExpressionAttributeNames", {})
        condition = more.get("ConditionExpression")
        if condition and not holds(condition, item, names, values):
            raise ConditionalCheckFailedException(Item=_item(item))
        updated = _apply(UpdateExpression, item, names, values)
        self.items[at] = item | {"pk": at[0], "sk": at[1]}
        return {"Attributes": {name: _typed(item[name]) for name in updated if name in item}}

    def get_paginator(self, name: str) -> Any:
        assert name == "query"
        return SimpleNamespace(paginate=self._query)

    @call
    def _query(self, *, ExpressionAttributeValues: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        found = [item for _, item in sorted(self.items.items()) if "open_gang" in item]
        if "IndexName" not in more:
            found = [item for item in found if item["pk"] == ExpressionAttributeValues[":pk"]["S"]]
        return [{"Items": [_item(item) for item in found]}]


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _typed(value) for name, value in item.items()}


def holds(condition: str, item: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> bool:
    """Whether a ConditionExpression holds for an item."""
    text = re.sub(r"[#:]?\b[a-z_]\w*(?!\w*\()|#\w+", lambda word: f"of({word[0]!r})", condition)
    text = re.sub(r" = ", " == ", text).replace(" AND ", " and ").replace(" OR ", " or ")

    def of(word: str) -> Any:
        return values[word] if word.startswith(":") else item.get(names.get(word, word))

    functions = {
        "of": of,
        "attribute_exists": lambda value: value is not None,
        "attribute_not_exists": lambda value: value is None,
        "contains": lambda held, one: held is not None and one in held,
        "size": len,
    }
    return bool(eval(text, {"__builtins__": {}}, functions))


def _apply(expression: str, item: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> list[str]:
    updated = []
    for verb, rest in re.findall(r"(SET|ADD|REMOVE|DELETE) (.*?)(?= (?:SET|ADD|REMOVE|DELETE) |$)", expression):
        for clause in rest.split(", "):
            word, *operand = clause.replace(" = ", " ").split()
            name = names.get(word, word)
            updated.append(name)
            value = values[operand[0]] if operand else None
            if verb == "SET":
                item[name] = value
            elif verb == "REMOVE":
                item.pop(name, None)
            elif verb == "ADD":
                item[name] = item.get(name, set()) | value if isinstance(value, set) else item.get(name, 0) + value
            elif name in item:
                assert isinstance(value, set)
                item[name] = item[name] - value
                if not item[name]:
                    del item[name]  # DynamoDB keeps no empty set
    return updated


@dataclass
class FakeS3:
    fuse: Fuse
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(NoSuchKey=NoSuchKey, ClientError=ClientError))

    @call
    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise NoSuchKey
        body = self.objects[Bucket, Key]
        return {"Body": io.BytesIO(body), "ETag": _etag(body)}

    @call
    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **more: Any) -> dict[str, Any]:
        present = self.objects.get((Bucket, Key))
        if "IfNoneMatch" in more and present is not None:
            raise PreconditionFailed
        if "IfMatch" in more and (present is None or _etag(present) != more["IfMatch"]):
            raise PreconditionFailed
        self.objects[Bucket, Key] = Body
        return {"ETag": _etag(Body)}

    @call
    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.objects.pop((Bucket, Key), None)

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        return SimpleNamespace(paginate=self._list)

    @call
    def _list(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        keys = sorted(key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix))
        return [{"Contents": [{"Key": key} for key in keys]}]


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


@dataclass
class FakeBatch:
    """Jobs as DescribeJobs shows them. Capacity is somebody else's: jobs stay RUNNABLE until `start` is called."""

    fuse: Fuse
    clock: Clock
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ClientException=ClientException))
    refusing: bool = False

    @call
    def submit_job(
        self, *, jobName: str, jobQueue: str, jobDefinition: str, tags: dict[str, str], **more: Any
    ) -> dict[str, Any]:
        if self.refusing:
            raise ClientException
        job_id = f"job-{len(self.jobs)}"
        job: dict[str, Any] = {
            "jobId": job_id,
            "jobName": jobName,
            "jobQueue": jobQueue,
            "tags": tags,
            "status": "RUNNABLE",
            "createdAt": self.clock.milliseconds(),
            "container": {},
        }
        if "arrayProperties" in more:
            job |= {"arrayProperties": more["arrayProperties"]}
            job["members"] = [_member(f"{job_id}:{index}") for index in range(more["arrayProperties"]["size"])]
        elif "nodeOverrides" in more:
            job |= {"nodeProperties": {"numNodes": more["nodeOverrides"]["numNodes"]}}
            job["members"] = [_member(f"{job_id}#{index}") for index in range(more["nodeOverrides"]["numNodes"])]
        self.jobs[job_id] = job
        return {"jobId": job_id}

    @call
    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        return {"jobs": [dict(found) for job_id in jobs for found in self._find(job_id)]}

    @call
    def terminate_job(self, *, jobId: str, reason: str) -> None:
        for job in self._find(jobId):
            if job["status"] in UNFINISHED:
                self.end(jobId, "FAILED", reason=reason)

    def get_paginator(self, name: str) -> Any:
        assert name == "list_jobs"
        return SimpleNamespace(paginate=self._list)

    @call
    def _list(self, *, jobQueue: str, filters: Any = None, jobStatus: str | None = None) -> list[dict[str, Any]]:
        pattern = re.escape(filters[0]["values"][0]).replace(r"\*", ".*") if filters else ".*"
        found = [
            job
            for job in self.jobs.values()
            if job["jobQueue"] == jobQueue
            and re.fullmatch(pattern, job["jobName"])
            and (bool(filters) or job["status"] == (jobStatus or "RUNNING"))
        ]
        return [{"jobSummaryList": found}]

    def _find(self, job_id: str) -> Iterator[dict[str, Any]]:
        parent = self.jobs.get(re.split("[:#]", job_id)[0])
        if parent is not None:
            yield from [one for one in (parent, *parent.get("members", ())) if one["jobId"] == job_id]

    def unfinished(self) -> list[dict[str, Any]]:
        return [job for job in self.jobs.values() if job["status"] in UNFINISHED]

    def start(self, job_id: str) -> None:
        for one in (self.jobs[job_id], *self.jobs[job_id].get("members", ())):
            if one["status"] == "RUNNABLE":
                one.update(status="RUNNING", startedAt=self.clock.milliseconds())

    def end(self, job_id: str, status: str, *, reason: str = "", code: int | None = None) -> None:
        """End a job with all its members, or one member; an array fails once all of its members have ended."""
        parent = self.jobs[re.split("[:#]", job_id)[0]]
        over = {"status": status, "statusReason": reason, "stoppedAt": self.clock.milliseconds()}
        for one in parent.get("members", ()):
            if one["status"] in UNFINISHED and job_id in (parent["jobId"], one["jobId"]):
                one.update(over, container={} if code is None else {"exitCode": code})
        if job_id == parent["jobId"]:
            parent.update(over, container={} if code is None else {"exitCode": code})
        elif all(one["status"] not in UNFINISHED for one in parent["members"]):
            parent.update(over, statusReason="Array Child Job failed")


def _member(job_id: str) -> dict[str, Any]:
    return {"jobId": job_id, "status": "RUNNABLE", "container": {}}
