"""What moto's S3 lacks: events for EventBridge shaped as S3 shapes them."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moto.s3 import notifications

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


def announce_objects(emit: Emit) -> None:
    """moto names the ETag wrongly, repeats one sequencer, invents a version id and gives no API name as the reason."""

    def make(_original: Any) -> Any:
        def send(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
            known = _REASONS.get(str(getattr(event_name, "value", event_name)))
            if known is None or key is None:
                return
            detail_type, reason = known
            emit("aws.s3", detail_type, [bucket.arn], object_detail(bucket.name, account_id, key, reason))

        return send

    replace(notifications, "_send_event_bridge_message", make)


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
