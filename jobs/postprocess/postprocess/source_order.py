"""Which of two versions of a file is the newer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mypy_boto3_s3 import S3Client


class VersionGone(Exception):
    """The version is no longer listed: it was deleted or has expired."""


@dataclass(frozen=True)
class Version:
    """One version of an object, as ListObjectVersions lists it."""

    version_id: str
    last_modified: datetime


def find_source_order(versions: Sequence[Version], version_id: str) -> str:
    """A text that sorts as the versions of one object do: by LastModified, ties by the order in which S3 lists them.

    Parameters
    ----------
    versions
        All versions of one object, newest first.
    version_id
        The version to find the order of.

    Returns
    -------
    str
        LastModified in UTC and, among versions of the same instant, how many are older. Both stay what they are when newer
        versions come, so the text can be stored and compared later.

    Raises
    ------
    VersionGone
        When the version is not among them.
    """
    for index, version in enumerate(versions):
        if version.version_id == version_id:
            older_twins = sum(other.last_modified == version.last_modified for other in versions[index + 1 :])
            return f"{version.last_modified:%Y-%m-%dT%H:%M:%S.%f}Z#{older_twins:04d}"
    raise VersionGone(version_id)


def list_versions(client: S3Client, bucket: str, key: str) -> list[Version]:
    """All versions of exactly this key, newest first (that is S3's order: "ListObjectVersions", S3 API reference)."""
    found: list[Version] = []
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        listed = page.get("Versions", [])
        found += [Version(entry["VersionId"], entry["LastModified"]) for entry in listed if entry["Key"] == key]
        # Keys come in order, and this one is the first of those that begin with it.
        if listed and listed[-1]["Key"] != key:
            break
    return found
