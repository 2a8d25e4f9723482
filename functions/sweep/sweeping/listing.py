"""The newest version of each object, or of each that landed lately, in the order of their keys.

Older versions are passed by: the state machine ends a version that is not the newest in its first Choice, as superseded, so that
an execution of one would say nothing that the newer one's does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spotline.layout import DATA_PREFIX, day_prefixes, is_ours
from spotline.runs import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

_BEHIND_SLASH = "0"
"""The character after `/`: `d0` is behind every key that begins with `d/`, and before every other one."""


@dataclass(frozen=True)
class Stretch:
    """The keys of a prefix that are greater than `after` and, when `until` is not empty, smaller than that."""

    prefix: str
    after: str = ""
    until: str = ""


@dataclass(frozen=True)
class Landed:
    """The newest version of an object, and when it landed (S3's LastModified)."""

    source: Source
    at: datetime


@dataclass(frozen=True)
class Passed:
    """So many objects up to this key landed too long ago to be looked at."""

    key: str
    objects: int


def stretches(dataset: str, first: str, last: str) -> tuple[Stretch, ...]:
    """Where the files of a dataset's days lie, from the first day to the last one, both included."""
    return tuple(
        Stretch(begin.removesuffix(f"{first}/"), begin.removesuffix("/"), end.removesuffix("/") + _BEHIND_SLASH)
        for begin, end in zip(day_prefixes(dataset, first), day_prefixes(dataset, last), strict=True)
    )


def recent_versions(client: S3Client, bucket: str, since: datetime, done: str = "") -> Iterator[Landed | Passed]:
    """The newest version of each object of ours whose key is greater than `done` and which landed since then.

    Objects are listed, and not their versions: a call for a thousand of them, however many versions each has. The listing says when an
    object landed, and only one that landed lately is asked for its version. A page ends with what was passed by, if anything was, so that
    whoever goes through this can stop between two pages of which nothing is to be done.
    """
    start: Any = {"StartAfter": done} if done else {}
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=DATA_PREFIX, **start)
    for page in pages:
        listed = [entry for entry in page.get("Contents", []) if is_ours(entry["Key"])]
        recent = [entry["Key"] for entry in listed if entry["LastModified"] >= since]
        for key in recent:
            version = _find_newest(client, bucket, key)
            if version is not None:
                yield version
        if len(recent) < len(listed):
            yield Passed(listed[-1]["Key"], len(listed) - len(recent))


def _find_newest(client: S3Client, bucket: str, key: str) -> Landed | None:
    """The newest version of one object; None when it was deleted meanwhile. Versions of one key are listed newest first."""
    found = client.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1).get("Versions", [])
    if not found or found[0]["Key"] != key or not found[0]["IsLatest"]:
        return None
    return Landed(Source(bucket, key, found[0]["VersionId"], found[0]["Size"]), found[0]["LastModified"])


def newest_versions(client: S3Client, bucket: str, where: Sequence[Stretch], done: str = "") -> Iterator[Landed]:
    """The newest version of each object of ours in `where` whose key is greater than `done`; deleted objects have none.

    S3 lists keys in the order of their UTF-8 bytes (ListObjectVersions, S3 API reference), which is Python's order of texts.
    """
    for stretch in where:
        after = max(stretch.after, done)
        if stretch.until and after >= stretch.until:
            continue
        start: Any = {"KeyMarker": after} if after else {}
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=stretch.prefix, **start)
        for page in pages:
            for version in page.get("Versions", []):
                key = version["Key"]
                if stretch.until and key >= stretch.until:
                    break
                if key > after and version["IsLatest"] and is_ours(key):
                    source = Source(bucket, key, version["VersionId"], version["Size"])
                    yield Landed(source, version["LastModified"])
            else:
                continue
            break
