# ruff: noqa: N803  arguments are named as the API names them
"""S3 and Batch in memory: what our functions call, with the conditions, refusals and exceptions that they count on."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.unit.protocol.calls import ClientException, Clock, Line, NoSuchKey, PreconditionFailed, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

UNFINISHED = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


@dataclass
class FakeS3:
    """Objects by bucket and key; the versions of what landed, the oldest first; and what was put, in order."""

    line: Line
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)
    puts: list[tuple[str, bytes]] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(NoSuchKey=NoSuchKey, ClientError=ClientError))

    @call
    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if (Bucket, Key) not in self.objects:
            raise NoSuchKey
        body = self.objects[Bucket, Key]
        return {"Body": io.BytesIO(body), "ETag": _etag(body), "ContentLength": len(body)}

    @call
    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **more: Any) -> dict[str, Any]:
        present = self.objects.get((Bucket, Key))
        if "IfNoneMatch" in more and present is not None:
            raise PreconditionFailed
        if "IfMatch" in more and (present is None or _etag(present) != more["IfMatch"]):
            raise PreconditionFailed
        self.objects[Bucket, Key] = Body
        self.puts.append((Key, Body))
        return {"ETag": _etag(Body)}

    @call
    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.objects.pop((Bucket, Key), None)

    def get_paginator(self, name: str) -> Any:
        listings = {"list_objects_v2": self._list, "list_object_versions": self._list_versions}
        return SimpleNamespace(paginate=listings[name])

    def land(self, key: str, version_id: str, at: datetime) -> None:
        """A version of an object is put; S3 keeps when to the second ("LastModified")."""
        self.versions.append(
            {"Key": key, "VersionId": version_id, "Size": 9, "LastModified": at.replace(microsecond=0)}
        )

    def newest(self, key: str) -> str:
        """The id of the newest version of an object."""
        return str([version["VersionId"] for version in self.versions if version["Key"] == key][-1])

    @call
    def _list_versions(self, *, Bucket: str, Prefix: str, **more: Any) -> list[dict[str, Any]]:
        """All versions by key, the newest first."""
        landed = sorted(enumerate(self.versions), key=lambda one: (str(one[1]["Key"]), -one[0]))
        return [
            {
                "Versions": [
                    version | {"IsLatest": version["VersionId"] == self.newest(version["Key"])}
                    for _, version in landed
                    if version["Key"].startswith(Prefix)
                ]
            }
        ]

    @call
    def _list(self, *, Bucket: str, Prefix: str, Delimiter: str = "", **more: Any) -> list[dict[str, Any]]:
        keys = sorted(key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix))
        newest = {version["Key"]: version for version in self.versions if version["Key"].startswith(Prefix)}
        if Delimiter:
            rest = [key.removeprefix(Prefix) for key in {*keys, *newest}]
            folders = sorted({name.partition(Delimiter)[0] for name in rest if Delimiter in name})
            return [{"CommonPrefixes": [{"Prefix": f"{Prefix}{folder}{Delimiter}"} for folder in folders]}]
        assert "StartAfter" not in more, "the world has one day, which is listed by its prefix"
        return [{"Contents": [{"Key": key} for key in keys] + [newest[key] for key in sorted(newest)]}]

    @call
    def list_object_versions(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:
        newest = [version for version in self.versions if version["Key"].startswith(Prefix)][-MaxKeys:]
        return {"Versions": [version | {"IsLatest": True} for version in newest]}


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


@dataclass
class FakeBatch:
    """Jobs as DescribeJobs shows them. Capacity is somebody else's: jobs stay RUNNABLE until `start` is called."""

    line: Line
    clock: Clock
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ClientException=ClientException))
    refusing: bool = False

    @call
    def submit_job(self, **submission: Any) -> dict[str, Any]:
        if self.refusing:
            raise ClientException
        return {"jobId": self.submitted(**submission)}

    def submitted(self, *, jobName: str, jobQueue: str, jobDefinition: str, tags: dict[str, str], **more: Any) -> str:
        """Take a job in; returns its id."""
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
        return job_id

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
        return SimpleNamespace(paginate=self.list_jobs)

    @call
    def list_jobs(self, *, jobQueue: str, filters: Any = None, jobStatus: str | None = None) -> list[dict[str, Any]]:
        pattern = re.escape(filters[0]["values"][0]).replace(r"\*", ".*") if filters else ".*"
        found = [
            job
            for job in self.jobs.values()
            if job["jobQueue"] == jobQueue
            and re.fullmatch(pattern, job["jobName"])
            and (bool(filters) or job["status"] == (jobStatus or "RUNNING"))
        ]
        self.line.count_pages("list_jobs", len(found), 100)
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
