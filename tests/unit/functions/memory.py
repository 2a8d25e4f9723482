# ruff: noqa: N803  arguments are named as the API names them
"""An account for `sweep` in memory, for tests that take milliseconds: buckets, executions, the runs table, and Lambda.

Listings have few entries a page, and a page leaves out what it has none of, as S3's do.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3

import sweep
from spotline.layout import parse_data_key
from spotline.runs import Source, run_id
from tests.unit.modelled import Modelled
from tests.unit.protocol.calls import ExecutionAlreadyExists, ExecutionDoesNotExist, NoSuchKey
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PAGE = 2
MACHINE = "arn:aws:states:us-east-1:1:stateMachine:pipeline"
EXECUTIONS = MACHINE.replace(":stateMachine:", ":execution:")
SETTINGS = sweep.Settings("ingest", "results", "runs", MACHINE, "notify", "reconcile", 1000, 3)


class S3:
    """Buckets whose objects have versions, the newest last; one whose newest has no body was deleted."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.calls: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []

    def put(self, key: str, body: bytes | None = b"x" * 9, bucket: str = "ingest", days_ago: float = 0) -> str:
        """Put a version of an object; answers its id."""
        version = f"v{sum(map(len, self.versions.values()))}"
        at = datetime.now(UTC) - timedelta(days=days_ago)
        self.versions.setdefault((bucket, key), []).append(
            {"Key": key, "VersionId": version, "LastModified": at, "body": body}
        )
        return version

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self.calls["get_object"] += 1
        body = self._newest(Bucket).get(Key, {}).get("body")
        if body is None:
            raise NoSuchKey
        return {"Body": io.BytesIO(body), "ContentLength": len(body), "ETag": "1"}

    def get_paginator(self, name: str) -> Any:
        listings = {"list_objects_v2": self._page_objects, "list_object_versions": self._page_versions}
        return SimpleNamespace(paginate=listings[name])

    def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:
        self.asked.append({"Bucket": Bucket, "Prefix": Prefix, "MaxKeys": MaxKeys})
        found = [{"Key": key} for key in sorted(self._newest(Bucket)) if key.startswith(Prefix)]
        return {"Contents": found[:MaxKeys]} if found else {}

    def list_object_versions(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:
        self.asked.append({"Bucket": Bucket, "Prefix": Prefix, "MaxKeys": MaxKeys})
        found = [version for version in self._list_versions(Bucket, Prefix) if "Size" in version]
        return {"Versions": found[:MaxKeys]} if found else {}

    def _newest(self, bucket: str) -> dict[str, dict[str, Any]]:
        return {
            key: all_[-1] for (at, key), all_ in self.versions.items() if at == bucket and all_[-1]["body"] is not None
        }

    def _page_objects(
        self, *, Bucket: str, Prefix: str = "", Delimiter: str = "", StartAfter: str = ""
    ) -> Iterator[dict[str, Any]]:
        self.asked.append({"Bucket": Bucket, "Prefix": Prefix, "Delimiter": Delimiter, "StartAfter": StartAfter})
        newest = {key: one for key, one in self._newest(Bucket).items() if key.startswith(Prefix) and key > StartAfter}
        names: dict[str, bool] = {}
        for key in sorted(newest):
            folder, found, _ = key.removeprefix(Prefix).partition(Delimiter or "\0")
            names[f"{Prefix}{folder}{Delimiter}" if found else key] = bool(found)
        for page in _pages(sorted(names)):
            self.calls["folders" if Delimiter else "objects"] += 1
            contents = [{**newest[name], "Size": len(newest[name]["body"])} for name in page if not names[name]]
            folders = [{"Prefix": name} for name in page if names[name]]
            yield {name: found for name, found in (("Contents", contents), ("CommonPrefixes", folders)) if found}

    def _list_versions(self, bucket: str, prefix: str) -> list[dict[str, Any]]:
        """Versions by key, the newest first; of a deletion, no size."""
        found = []
        for (at, key), versions in sorted(self.versions.items()):
            if at == bucket and key.startswith(prefix):
                for one in reversed(versions):
                    size = {} if one["body"] is None else {"Size": len(one["body"])}
                    found.append({**one, **size, "IsLatest": one is versions[-1]})
        return found

    def _page_versions(self, *, Bucket: str, Prefix: str = "", KeyMarker: str = "") -> Iterator[dict[str, Any]]:
        self.asked.append({"Bucket": Bucket, "Prefix": Prefix, "KeyMarker": KeyMarker})
        for page in _pages([one for one in self._list_versions(Bucket, Prefix) if one["Key"] > KeyMarker]):
            self.calls["versions"] += 1
            versions = [one for one in page if "Size" in one]
            yield {"Versions": versions} if versions else {"DeleteMarkers": page}


def _pages(found: list[Any]) -> list[list[Any]]:
    return [found[start : start + PAGE] for start in range(0, len(found), PAGE)] or [[]]


def bucket(*keys: str, days_ago: float = 0) -> S3:
    """An ingest bucket with a version of each key."""
    s3 = S3()
    for key in keys:
        s3.put(key, days_ago=days_ago)
    return s3


class Steps:
    """Executions, by name. What was started runs until it is stopped."""

    exceptions = SimpleNamespace(
        ExecutionAlreadyExists=ExecutionAlreadyExists, ExecutionDoesNotExist=ExecutionDoesNotExist
    )

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}
        self.described: list[str] = []

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002  the API's name
        assert stateMachineArn == MACHINE
        there = self.executions.get(name)
        if there is None:
            there = {"status": "RUNNING", "input": input, "startDate": datetime.now(UTC)}
            self.executions[name] = there
        elif there["status"] != "RUNNING" or there["input"] != input:
            raise ExecutionAlreadyExists
        return {"startDate": there["startDate"]}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        name = executionArn.removeprefix(f"{EXECUTIONS}:")
        self.described.append(name)
        if name not in self.executions:
            raise ExecutionDoesNotExist
        return self.executions[name]

    def list_executions(self, *, stateMachineArn: str, statusFilter: str, maxResults: int) -> dict[str, Any]:
        assert (stateMachineArn, maxResults) == (MACHINE, 100)
        found = [
            {"name": name, "executionArn": f"{EXECUTIONS}:{name}", **one}
            for name, one in self.executions.items()
            if one["status"] == statusFilter
        ]
        return {"executions": found[:maxResults]}

    def stop(self, name: str, status: str = "ABORTED", hours_ago: float = 0) -> None:
        at = datetime.now(UTC) - timedelta(hours=hours_ago)
        self.executions[name] |= {"status": status, "stopDate": at}


class Memory:
    """The account. `configs` is with which configuration each service's clients were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3, self.steps, self.dynamodb = S3(), Steps(), FakeDynamoDB()
        self.invoked: list[tuple[str, dict[str, Any]]] = []
        self.configs: dict[str, list[Any]] = {}
        monkeypatch.setattr(boto3, "client", self._connect)

    def _connect(self, service: str, config: Any = None) -> Any:
        self.configs.setdefault(service, []).append(config)
        fake = {
            "s3": self.s3,
            "stepfunctions": self.steps,
            "dynamodb": self.dynamodb,
            "lambda": SimpleNamespace(invoke=self._invoke),
        }[service]
        return Modelled(service, fake, **({"TableName": "runs"} if service == "dynamodb" else {}))

    def _invoke(self, *, FunctionName: str, InvocationType: str, Payload: bytes) -> None:
        assert InvocationType == "Event"
        self.invoked.append((FunctionName, json.loads(Payload)))

    def messages(self, function: str) -> list[dict[str, Any]]:
        """What a function was invoked with."""
        return [payload for name, payload in self.invoked if name == function]

    def land(self, key: str, size: int = 9, days_ago: float = 0) -> str:
        """Put a file; answers the id of its run."""
        version = self.s3.put(key, b"x" * size, days_ago=days_ago)
        return run_id(Source("ingest", key, version, size), parse_data_key(key))
