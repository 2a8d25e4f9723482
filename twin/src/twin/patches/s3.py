"""What moto's S3 lacks: writes that are atomic, listings that go on where they ended, events shaped as S3 shapes them."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Protocol

from moto.s3 import models, notifications
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

from twin.patches import replace

Json = Any
Emit = Callable[[str, str, list[str], Mapping[str, Json]], None]

_REASONS = {
    "s3:ObjectCreated:Put": ("Object Created", "PutObject"),
    "s3:ObjectCreated:Post": ("Object Created", "POST Object"),
    "s3:ObjectCreated:Copy": ("Object Created", "CopyObject"),
    "s3:ObjectCreated:CompleteMultipartUpload": ("Object Created", "CompleteMultipartUpload"),
    "s3:ObjectRemoved:Delete": ("Object Deleted", "DeleteObject"),
}
_sequence = itertools.count(1)


class _Key(Protocol):
    name: str
    size: int
    etag: str
    version_id: str | None


def write_one_object_at_a_time() -> None:
    """moto looks at If-Match or If-None-Match and then writes, and other callers come between: a condition holds for two of them.

    S3 lets one of them write and refuses the other:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    turn = threading.RLock()

    def make(original: Any) -> Any:
        def write(self: Any, *args: Any, **kwargs: Any) -> Any:
            with turn:
                return original(self, *args, **kwargs)

        return write

    for name in ("put_object", "copy_object", "delete_object", "_key_response_post"):
        replace(S3Response, name, make)


def list_versions_without_their_contents() -> None:
    """moto copies all that a bucket holds, contents too, to list versions: each run's look for its newest file copied every file."""

    def make(original: Any) -> Any:
        def deepcopy(versions: list[Any]) -> list[Any]:
            return [_without_content(version) for version in versions]

        return SimpleNamespace(copy=original.copy, deepcopy=deepcopy)

    replace(models, "copy", make)


def _without_content(version: Any) -> Any:
    """A version or a delete marker for a listing. A version that is forgotten closes its content, so a copy must not have it."""
    other = object.__new__(type(version))
    vars(other).update(vars(version))
    if isinstance(version, models.FakeKey):
        etag = version.etag.strip('"')  # moto finds it out, from the content, when it is first asked for
        vars(other).update(_etag=etag, _value_buffer=None, disposed=True)
    return other


def announce_objects(emit: Emit) -> None:
    """moto names the ETag wrongly, repeats one sequencer, invents a version id and gives no API name as the reason."""

    def make(_original: Any) -> Any:
        def send(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
            reason_and_type = _REASONS.get(str(getattr(event_name, "value", event_name)))
            if reason_and_type is None or key is None:
                return
            detail_type, reason = reason_and_type
            emit("aws.s3", detail_type, [bucket.arn], object_detail(bucket.name, account_id, key, reason))

        return send

    replace(notifications, "_send_event_bridge_message", make)


def announce_multipart_uploads_once() -> None:
    """moto announces a completed multipart upload twice: as an object that was put, and as what it is."""

    def make(original: Any) -> Any:
        def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
            put = event_name is notifications.S3NotificationEvent.OBJECT_CREATED_PUT_EVENT
            if not (put and key.multipart is not None):
                original(account_id, event_name, bucket, key)

        return send_event

    replace(notifications, "send_event", make)


def list_versions_after_a_key() -> None:
    """moto, given a key and no version to list after, passes by the newest version of the first key that it should list."""

    def make(original: Any) -> Any:
        def list_object_versions(self: Any, bucket_name: str, *args: Any, **kwargs: Any) -> Any:
            key = kwargs.get("key_marker")
            if key and not kwargs.get("version_id_marker") and not kwargs.get("delimiter"):
                before = [name for name in self.get_bucket(bucket_name).keys if name <= key]
                versions = self.get_bucket(bucket_name).keys.getlist(max(before)) if before else []
                oldest = min(versions, key=lambda version: version.last_modified, default=None)
                kwargs["key_marker"] = oldest and oldest.name
                kwargs["version_id_marker"] = oldest and oldest.version_id
            return original(self, bucket_name, *args, **kwargs)

        return list_object_versions

    replace(S3Backend, "list_object_versions", make)


def object_detail(bucket: str, account_id: str, key: _Key, reason: str) -> dict[str, Json]:
    """The detail of an S3 event ("EventBridge event message structure", S3 user guide).

    The key is literal, unlike the URL-encoded one of S3's own notifications. An unversioned object has no `version-id`; a
    deleted one has neither size nor ETag.
    """
    entry: dict[str, Json] = {"key": key.name}
    if reason != "DeleteObject":
        entry["size"] = key.size
        entry["etag"] = key.etag.replace('"', "")
    if key.version_id not in (None, "null"):
        entry["version-id"] = key.version_id
    entry["sequencer"] = sequencer()
    detail: dict[str, Json] = {
        "version": "0",
        "event-version": "1.0",
        "bucket": {"name": bucket},
        "object": entry,
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": account_id,
        "source-ip-address": "127.0.0.1",
        "reason": reason,
    }
    if reason == "DeleteObject":
        detail["deletion-type"] = "Permanently Deleted"
    return detail


def sequencer() -> str:
    """A hexadecimal number that grows with each event of a key, as S3's does."""
    return f"{time.time_ns() // 1000:014X}{next(_sequence) % 0x10000:04X}"
