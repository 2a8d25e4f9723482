"""The newest version of each object in the order of their keys, or of each that arrived lately, newest days first.

Older versions are passed by: the state machine ends a version that is not the newest in its first Choice, as superseded, so that
an execution of one would say nothing that the newer one's does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spotline.layout import day_prefixes, is_ours
from spotline.runs import Source
from sweeping.days import BEGINNING, BEHIND_SLASH, OTHER, Place, Stretch, find_folders, group_days, is_in_a_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


@dataclass(frozen=True)
class Landed:
    """The newest version of an object, and when it landed (S3's LastModified). `days` is the group in which a sweep found it."""

    source: Source
    at: datetime
    days: str = ""


@dataclass(frozen=True)
class Passed:
    """So many objects of a group up to this key landed too long ago to be looked at."""

    key: str
    objects: int
    days: str


def stretches(dataset: str, first: str, last: str) -> tuple[Stretch, ...]:
    """Where the files of a dataset's days lie, from the first day to the last one, both included."""
    return tuple(
        Stretch(begin.removesuffix(f"{first}/"), begin.removesuffix("/"), end.removesuffix("/") + BEHIND_SLASH)
        for begin, end in zip(day_prefixes(dataset, first), day_prefixes(dataset, last), strict=True)
    )


def recent_versions(
    client: S3Client, bucket: str, since: datetime, place: Place = BEGINNING
) -> Iterator[Landed | Passed]:
    """The newest version of each object of ours that arrived since then, newest days first, from `place` on.

    Objects are listed, and not their versions: a call for a thousand of them, however many versions each has. The listing says when an
    object arrived, and only one that arrived lately is asked for its version. A page ends with what was passed by, if anything was, so
    that whoever goes through this can stop between two pages of which nothing is to be done.
    """
    for group in group_days(find_folders(client, bucket), place):
        done = place.after if group.name == place.days else ""
        for stretch in group.stretches:
            for page in _list_pages(client, bucket, stretch, done):
                group.objects += len(page)
                listed = [entry for entry in page if is_in_a_day(entry["Key"]) is (group.name != OTHER)]
                recent = [entry["Key"] for entry in listed if entry["LastModified"] >= since]
                for key in recent:
                    version = _find_newest(client, bucket, key)
                    if version is not None:
                        yield replace(version, days=group.name)
                if len(recent) < len(listed):
                    yield Passed(listed[-1]["Key"], len(listed) - len(recent), group.name)


def _list_pages(client: S3Client, bucket: str, stretch: Stretch, done: str) -> Iterator[list[ObjectTypeDef]]:
    """The objects of ours in a stretch whose key is greater than `done`, page by page; the page behind its end is not asked for."""
    after = max(stretch.after, done)
    if stretch.until and after >= stretch.until:
        return
    start: Any = {"StartAfter": after} if after else {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=stretch.prefix, **start):
        found = page.get("Contents", [])
        yield [
            entry for entry in found if is_ours(entry["Key"]) and (not stretch.until or entry["Key"] < stretch.until)
        ]
        if stretch.until and found and found[-1]["Key"] >= stretch.until:
            return


def _find_newest(client: S3Client, bucket: str, key: str) -> Landed | None:
    """The newest version of one object; None when it was deleted meanwhile. Versions of one key are listed newest first."""
    found = client.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1).get("Versions")
    if not found or found[0]["Key"] != key or not found[0]["IsLatest"]:
        return None
    return Landed(Source(bucket, key, found[0]["VersionId"], found[0]["Size"]), found[0]["LastModified"])


def newest_versions(client: S3Client, bucket: str, where: Sequence[Stretch], done: str) -> Iterator[Landed]:
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
