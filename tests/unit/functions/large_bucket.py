"""A bucket of any number of objects and versions, listed as S3 lists: ascending, a thousand a page, folders of keys as one entry."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
SINCE = NOW - timedelta(days=3)
VERSIONS_EACH = 30
PAGE = 1000


def files_of_days(objects: int, a_day: int = 1000, dataset: str = "flights") -> list[str]:
    """So many keys of days in a row, of which the last one is today."""
    last = -(-objects // a_day) - 1
    days = [f"{NOW - timedelta(days=last - number):%Y%m%d}" for number in range(last + 1)]
    return [f"data/{dataset}/{days[number // a_day]}/{number % a_day:05d}.csv" for number in range(objects)]


class Bucket:
    """Objects of which one in `recent_every` was uploaded lately, with many versions each. It counts the calls of its listings."""

    def __init__(self, keys: Sequence[str], recent_every: int) -> None:
        self.keys = sorted(keys)
        self.recent = set(self.keys[::recent_every])
        self.calls: Counter[str] = Counter()

    def get_paginator(self, name: str) -> Bucket:
        assert name == "list_objects_v2"
        return self

    def paginate(self, *, Prefix: str, Delimiter: str = "", StartAfter: str = "", **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803  as the API names them
        entries = self._entries(Prefix, Delimiter, StartAfter)
        while True:
            page = [one for _, one in zip(range(PAGE + 1), entries, strict=False)]
            self.calls["folders" if Delimiter else "objects"] += 1
            found = page[:PAGE]
            yield {
                "Contents": [self._entry(one) for one in found if not one.endswith("/")],
                "CommonPrefixes": [{"Prefix": one} for one in found if one.endswith("/")],
            }
            if len(page) <= PAGE:
                return
            entries = self._entries(Prefix, Delimiter, found[-1])

    def list_object_versions(self, *, Prefix: str, MaxKeys: int, **_: Any) -> dict[str, Any]:  # noqa: N803  as the API names them
        self.calls["versions"] += 1
        newest = {"VersionId": f"{VERSIONS_EACH}", "IsLatest": True, "Size": 9}
        return {"Versions": [self._entry(Prefix) | newest][:MaxKeys]}

    def _entries(self, prefix: str, delimiter: str, after: str) -> Iterator[str]:
        """Keys, and folders of keys, that begin with a prefix and are greater than `after`."""
        place = max(bisect_left(self.keys, prefix), bisect_right(self.keys, after))
        if delimiter and after.endswith(delimiter):
            place = bisect_left(self.keys, after[:-1] + chr(ord(delimiter) + 1))
        while not delimiter and place < len(self.keys) and self.keys[place].startswith(prefix):
            yield self.keys[place]
            place += 1
        while delimiter and place < len(self.keys) and self.keys[place].startswith(prefix):
            folder, found, _ = self.keys[place].removeprefix(prefix).partition(delimiter)
            if found:
                yield f"{prefix}{folder}{delimiter}"
                place = bisect_left(self.keys, f"{prefix}{folder}{chr(ord(delimiter) + 1)}")
            else:
                yield self.keys[place]
                place += 1

    def _entry(self, key: str) -> dict[str, Any]:
        return {"Key": key, "LastModified": NOW if key in self.recent else NOW - timedelta(days=90)}
