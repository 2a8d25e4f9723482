"""Small objects with conditional writes, the same for an S3 prefix and a local folder.

Manifests, pointers and records go through here, because what fences gangs off is the condition on the write. Bulk data does not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import uuid
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from spotline.documents import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client


class ObjectMissing(KeyError):
    """No object lies under this key."""


class WriteRefused(Exception):
    """The object is no longer what the writer thought it was: somebody else wrote it first."""


class Unconditional(Enum):
    """The one value that means "whatever lies there now"."""

    ALWAYS = "always"


ALWAYS = Unconditional.ALWAYS
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
TEMPORARY_TAG = ("spotline", "temporary")
"""Key and value of the tag that the results bucket's lifecycle goes by (template.yaml): prefixes there are the runs'."""


@dataclass(frozen=True)
class Stored:
    """An object as it was read: its bytes, and the tag that a later write can be conditional on."""

    body: bytes
    etag: str


class Objects(Protocol):
    """Objects under one prefix. Keys are relative to it and use `/`."""

    def read(self, key: str, most_bytes: int | None = None) -> Stored:
        """Read one object, or raise `ObjectMissing`.

        Raises `DocumentError` for one that is larger than `most_bytes`, before its body is read.
        """

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_etag: str | Unconditional | None = ALWAYS,
        metadata: Mapping[str, str] | None = None,
        temporary: bool = False,
    ) -> str:
        """Write one object and return its tag.

        `if_etag` is the tag that must still lie there, None when nothing may lie there, `ALWAYS` (the default) for either.
        Raises `WriteRefused` when the condition does not hold. `metadata` is S3's user metadata (lost in a folder). A `temporary`
        object carries the tag by which the bucket's lifecycle removes it, once no execution can be redriven any more.
        """

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with `prefix`, in order."""

    def delete(self, key: str) -> None:
        """Delete one object; a missing one is no error."""

    def location(self, key: str = "") -> str:
        """The address of a key that `open_objects` and a person can read."""

    def at(self, prefix: str) -> Objects:
        """The objects under a longer prefix, which ends in `/`."""


def open_objects(location: str) -> Objects:
    """Open `s3://bucket/prefix/` or a local folder, which need not exist yet."""
    if location.startswith("s3://"):
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        return S3Objects(bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/")
    return LocalObjects(Path(location))


def open_object(location: str) -> tuple[Objects, str]:
    """Split the location of one object into what holds it and its key there."""
    folder, _, key = location.rpartition("/")
    return open_objects(f"{folder}/" if folder else "."), key


class LocalObjects:
    """Objects as files below a folder; writers on one machine exclude each other."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, key: str, most_bytes: int | None = None) -> Stored:
        """See `Objects.read`."""
        path = self._root / key
        if "\0" in key:
            raise ObjectMissing(self.location(key))  # no file can be called so
        try:
            _check_size(self.location(key), path.stat().st_size, most_bytes)
            body = path.read_bytes()
        except OSError as cause:
            if cause.errno not in _NO_FILE:
                raise
            raise ObjectMissing(self.location(key)) from cause
        return Stored(body, _tag(body))

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_etag: str | Unconditional | None = ALWAYS,
        metadata: Mapping[str, str] | None = None,  # noqa: ARG002  a file has none
        temporary: bool = False,  # noqa: ARG002  nor does anything remove it
    ) -> str:
        """See `Objects.write`. The file appears whole or not at all."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            if if_etag is not ALWAYS:
                present = _tag(path.read_bytes()) if path.exists() else None
                if present != if_etag:
                    raise WriteRefused(f"{path} is not what this writer last saw")
            unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                with unfinished.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        return _tag(body)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See `Objects.keys`."""
        if not self._root.is_dir():
            return
        found = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        yield from sorted(key for key in found if key.startswith(prefix) and not _is_hidden(key))

    def delete(self, key: str) -> None:
        """See `Objects.delete`."""
        (self._root / key).unlink(missing_ok=True)

    def location(self, key: str = "") -> str:
        """See `Objects.location`."""
        return f"{self._root.as_posix()}/{key}"

    def at(self, prefix: str) -> LocalObjects:
        """See `Objects.at`."""
        return LocalObjects(self._root / prefix)


class S3Objects:
    """Objects under a prefix of a bucket; conditions are S3's conditional writes (`If-Match`, `If-None-Match`)."""

    def __init__(self, bucket: str, prefix: str = "", client: S3Client | None = None) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._client = client or _s3()

    def read(self, key: str, most_bytes: int | None = None) -> Stored:
        """See `Objects.read`."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        except self._client.exceptions.NoSuchKey as cause:
            raise ObjectMissing(self.location(key)) from cause
        _check_size(self.location(key), answer["ContentLength"], most_bytes)
        return Stored(answer["Body"].read(), answer["ETag"])

    def write(
        self,
        key: str,
        body: bytes,
        *,
        if_etag: str | Unconditional | None = ALWAYS,
        metadata: Mapping[str, str] | None = None,
        temporary: bool = False,
    ) -> str:
        """See `Objects.write`.

        S3 answers 412 when the condition does not hold, 409 when another conditional write was under way, and 404 to
        `If-Match` on a deleted object ("How to prevent object overwrites with conditional writes", S3 user guide): to this
        writer they all mean that it is no longer the one who may write.
        """
        condition: dict[str, Any] = {}
        if if_etag is None:
            condition = {"IfNoneMatch": "*"}
        elif isinstance(if_etag, str):
            condition = {"IfMatch": if_etag}
        tagged: dict[str, Any] = {"Tagging": "=".join(TEMPORARY_TAG)} if temporary else {}
        try:
            answer = self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=body,
                Metadata=dict(metadata or {}),
                **tagged,
                **condition,
            )
        except self._client.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if condition and code in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                raise WriteRefused(f"{self.location(key)} is not what this writer last saw") from error
            raise
        return answer["ETag"]

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See `Objects.keys`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"].removeprefix(self._prefix)

    def delete(self, key: str) -> None:
        """See `Objects.delete`."""
        self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def location(self, key: str = "") -> str:
        """See `Objects.location`."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def at(self, prefix: str) -> S3Objects:
        """See `Objects.at`."""
        return S3Objects(self._bucket, self._prefix + prefix, self._client)


def _s3() -> S3Client:
    import boto3  # noqa: PLC0415  jobs on local paths never pay for the import
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": 8}))


def _check_size(location: str, size: int, most_bytes: int | None) -> None:
    if most_bytes is not None and size > most_bytes:
        raise DocumentError(location, f"has {size:,} bytes, more than the {most_bytes:,} that are read of it")


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'


def _is_hidden(key: str) -> bool:
    return any(part.startswith(".") for part in key.split("/"))


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Exclude the other writers of a folder; the folder itself is the lock, so that no file is left behind."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
