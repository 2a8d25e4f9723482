"""A bucket of any number of objects and versions, made up as it is listed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=3)
VERSIONS_EACH = 30


class Bucket:
    """Objects of which one in `recent_every` landed lately, with many versions each. It counts the calls of its listings."""

    def __init__(self, objects: int, recent_every: int) -> None:
        self.keys = [f"data/flights/2013{number // 1000:04d}/{number % 1000:03d}.csv" for number in range(objects)]
        self.recent = set(self.keys[::recent_every])
        self.calls: Counter[str] = Counter()

    def get_paginator(self, name: str) -> Bucket:
        assert name == "list_objects_v2"
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        keys = [key for key in self.keys if key > asked.get("StartAfter", "")]
        for start in range(0, len(keys), 1000):
            self.calls["objects"] += 1
            yield {"Contents": [self._entry(key) for key in keys[start : start + 1000]]}

    def list_object_versions(self, *, Prefix: str, MaxKeys: int, **_: Any) -> dict[str, Any]:  # noqa: N803  as the API names them
        self.calls["versions"] += 1
        newest = {"VersionId": f"{VERSIONS_EACH}", "IsLatest": True, "Size": 9}
        return {"Versions": [self._entry(Prefix) | newest][:MaxKeys]}

    def _entry(self, key: str) -> dict[str, Any]:
        return {"Key": key, "LastModified": NOW if key in self.recent else NOW - timedelta(days=90)}
