"""The newest version of each object, in the order of their keys.

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


EVERYTHING: tuple[Stretch, ...] = (Stretch(DATA_PREFIX),)


def stretches(dataset: str, first: str, last: str) -> tuple[Stretch, ...]:
    """Where the files of a dataset's days lie, from the first day to the last one, both included."""
    return tuple(
        Stretch(begin.removesuffix(f"{first}/"), begin.removesuffix("/"), end.removesuffix("/") + _BEHIND_SLASH)
        for begin, end in zip(day_prefixes(dataset, first), day_prefixes(dataset, last), strict=True)
    )


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
