"""The order in which a sweep goes through the bucket: the newest days of all datasets first, and last what lies in no day's folder.

S3 lists keys in ascending order only, so the folders of days are listed first (`Delimiter="/"`: a call for a thousand of them), and then
what they hold, a group of days at a time. A group is as many days as fill about one page: one call a day where a day has many files, and
one call for hundreds of days where each has a few.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spotline.layout import DATA_PREFIX, is_dataset, is_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

BEHIND_SLASH = "0"
"""The character after `/`: `d0` is behind every key that begins with `d/`, and before every other one."""

LAST = "\U0010ffff"
"""The greatest character, which names no file: a listing that begins after `d/` and this one skips the folder `d/` and no key behind it."""

OTHER = "other"
"""The name of the last group: keys that lie in no day's folder."""

PAGE = 900
"""So many objects a listing should hold: a page has a thousand, and the first key behind a group must fit on it, too."""

GROWTH = 4
"""A group has at most this many times the days of the group before it: nobody knows how many files the older days hold."""


@dataclass(frozen=True)
class Place:
    """Where a sweep stopped: the name of the group, and the last key that is done in it. Empty at the beginning."""

    days: str = ""
    after: str = ""


BEGINNING = Place()


@dataclass(frozen=True)
class Stretch:
    """The keys of a prefix that are greater than `after` and, when `until` is not empty, smaller than that."""

    prefix: str
    after: str = ""
    until: str = ""


@dataclass(frozen=True)
class Folders:
    """The folders of days in the bucket, by what they lie in (`data/`, `data/flights/`), and where anything else lies."""

    days: dict[str, list[str]] = field(default_factory=dict)
    others: list[Stretch] = field(default_factory=list)


@dataclass
class Group:
    """Some days in a row, or `OTHER`: where to list, in the order of keys, and how many objects that showed."""

    name: str
    stretches: list[Stretch]
    objects: int = 0


def find_folders(client: S3Client, bucket: str) -> Folders:
    """List the folders of days of every dataset; one call a thousand folders, and at least one a dataset."""
    found = Folders()
    datasets: list[str] = []
    _read_folders(client, bucket, DATA_PREFIX, found, datasets)
    for prefix in datasets:
        _read_folders(client, bucket, prefix, found, None)
    return found


def _read_folders(client: S3Client, bucket: str, prefix: str, found: Folders, datasets: list[str] | None) -> None:
    """Add what lies directly in a folder; `datasets` takes the folders of datasets, which only `data/` has."""
    days: list[str] = []
    behind, anything_else = "", False
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
        folders = [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        for name in sorted(folders + [entry["Key"] for entry in page.get("Contents", [])]):
            folder = name.removeprefix(prefix).removesuffix("/")
            day = name.endswith("/") and is_day(folder)
            if day:
                days.append(folder)
            elif datasets is not None and name.endswith("/") and is_dataset(folder):
                datasets.append(name)
            else:
                anything_else |= name != prefix  # which is what consoles put for an empty folder
                continue
            if anything_else:
                found.others.append(Stretch(prefix, behind, name))
            behind, anything_else = f"{prefix}{folder}/{LAST}", False
    if anything_else:
        found.others.append(Stretch(prefix, behind))
    if days:
        found.days[prefix] = days


def group_days(folders: Folders, place: Place) -> Iterator[Group]:
    """Yield group after group, from the one that `place` names on; each is to be counted before the next one is asked for."""
    all_days = sorted({day for days in folders.days.values() for day in days})
    end, width = len(all_days), 1
    if place.days == OTHER:
        end = 0
    elif place.days:
        first, last = place.days.split("-")
        end = bisect_right(all_days, last)
        width = max(1, end - bisect_left(all_days, first))
    while end:
        days = all_days[max(0, end - width) : end]
        group = Group(f"{days[0]}-{days[-1]}", list(_find_stretches(folders, days[0], days[-1])))
        yield group
        end -= len(days)
        fitting = PAGE * len(group.stretches) * len(days) // max(1, group.objects)
        width = max(1, min(GROWTH * len(days), fitting))
    yield Group(OTHER, sorted(folders.others, key=lambda stretch: max(stretch.prefix, stretch.after)))


def _find_stretches(folders: Folders, first: str, last: str) -> Iterator[Stretch]:
    for prefix, days in sorted(folders.days.items()):
        within = days[bisect_left(days, first) : bisect_right(days, last)]
        if len(within) == 1:
            yield Stretch(f"{prefix}{within[0]}/", until=f"{prefix}{within[0]}{BEHIND_SLASH}")
        elif within:
            yield Stretch(prefix, f"{prefix}{within[0]}", f"{prefix}{within[-1]}{BEHIND_SLASH}")


def is_in_a_day(key: str) -> bool:
    """Whether a key lies in a folder that `find_folders` takes for a day's.

    >>> is_in_a_day("data/20130209/f.csv"), is_in_a_day("data/flights/20130209/f.csv"), is_in_a_day("data/flights/f.csv")
    (True, True, False)
    """
    first, second, *_ = (*key.removeprefix(DATA_PREFIX).split("/")[:-1], "", "")
    return is_day(first) or (is_dataset(first) and is_day(second))
