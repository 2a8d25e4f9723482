"""What a sweep lists grows with the objects in the bucket, a call for a thousand, and not with their versions; newest days come first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.layout import is_ours
from sweeping import work
from sweeping.days import BEGINNING, OTHER, Place
from sweeping.listing import Landed, Passed, recent_versions
from tests.unit.functions.large_bucket import NOW, SINCE, Bucket, files_of_days

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client


def swept(bucket: Bucket, place: Place = BEGINNING) -> Iterator[Landed | Passed]:
    return recent_versions(cast("S3Client", bucket), "ingest", SINCE, place)


def landed(bucket: Bucket, place: Place = BEGINNING) -> list[str]:
    return [one.source.key for one in swept(bucket, place) if isinstance(one, Landed)]


def test_a_million_objects_are_a_thousand_calls() -> None:
    # Given a million objects with 30 million versions, of which a hundred were uploaded lately
    bucket = Bucket(files_of_days(1_000_000), recent_every=10_000)
    assert len(landed(bucket)) == 100
    assert bucket.calls == {"objects": 1000, "folders": 2, "versions": 100}


@pytest.mark.parametrize(("a_day", "most_folders", "most_objects"), [(100, 2, 120), (5, 21, 120), (600, 2, 167)])
def test_however_many_files_a_day_has_there_are_two_calls_a_thousand_objects_at_most(
    a_day: int, most_folders: int, most_objects: int
) -> None:
    bucket = Bucket(files_of_days(100_000, a_day), recent_every=10_000)
    assert len(landed(bucket)) == 10
    assert bucket.calls["folders"] <= most_folders
    assert bucket.calls["objects"] <= most_objects


def test_a_dataset_more_is_a_few_calls_more() -> None:
    # Given ten datasets of ten years, with a file a day
    keys = [key for number in range(10) for key in files_of_days(3650, 1, f"d{number:02d}")]
    bucket = Bucket(keys, recent_every=10_000)
    assert len(landed(bucket)) == 4
    assert bucket.calls["folders"] == 1 + 10 * 4
    assert bucket.calls["objects"] <= len(keys) / 900 + 10 * 6


def test_days_with_many_files_are_swept_day_by_day_and_the_newest_is_the_first_of_all_datasets() -> None:
    keys = [*files_of_days(9000), *files_of_days(9000, dataset="trains")]
    found = landed(Bucket(keys, recent_every=100))
    days = [key.split("/")[2] for key in found]
    assert days == sorted(days, reverse=True)
    assert {key.split("/")[1] for key in found[:20]} == {"flights", "trains"}


def test_days_with_few_files_are_swept_in_groups_that_grow() -> None:
    found = landed(Bucket(files_of_days(400, 1), recent_every=1))
    today, four, sixteen = found[0], found[1:5], found[5:21]
    assert today.split("/")[2] == f"{NOW:%Y%m%d}"
    assert max(four) < today
    assert max(sixteen) < min(four)
    assert (four, sixteen) == (sorted(four), sorted(sixteen))


def test_a_sweep_stops_between_pages_and_goes_on_there() -> None:
    # Given ten days of a page each, of which nothing is to be done, and time for three
    bucket = Bucket(files_of_days(10_000), recent_every=10_001)
    bucket.recent.clear()
    turns = iter(range(100))
    tally = work.Tally()
    work.each(swept(bucket), tally, lambda: next(turns) >= 2, lambda _landed: None)
    third = f"{NOW - timedelta(days=2):%Y%m%d}"
    assert (tally.seen, bucket.calls["objects"]) == (3000, 4)
    assert tally.stopped_after is not None
    assert (tally.stopped_in, tally.stopped_after) == (f"{third}-{third}", f"data/flights/{third}/00999.csv")
    # When the next invocation goes on
    rest = work.Tally()
    work.each(swept(bucket, Place(tally.stopped_in, tally.stopped_after)), rest, lambda: False, lambda _landed: None)
    # Then it does the others, and comes to the end
    assert (rest.seen, rest.stopped_after) == (7000, None)


FOLDERS = st.sampled_from(
    [
        "20130101",
        "20130102",
        "20130209",
        "20130230",
        "20130199",
        "2013-02-09",
        "201302090",
        "20130101x",
        "abc",
        "a-b",
        "ABC",
        "default",
        "zz",
        "é",
    ]
)
KEYS = st.builds(
    lambda folders, file: "/".join(["data", *folders, file]),
    st.lists(FOLDERS, max_size=3),
    st.sampled_from(["a.csv", "b.csv", "20130101", "201301010", "0", "~.csv", "", "é.csv"]),
)


@given(st.sets(KEYS, max_size=40))
def test_whatever_lies_in_the_bucket_is_seen_once_from_wherever_a_sweep_goes_on(keys: set[str]) -> None:
    # Given keys of any kind, misplaced ones among them, that were all uploaded lately
    ours = sorted(key for key in keys if is_ours(key))
    bucket = Bucket(sorted(keys), recent_every=1)
    whole = [one for one in swept(bucket) if isinstance(one, Landed)]
    # Then each is seen once, and those of days before the others
    found = [one.source.key for one in whole]
    assert sorted(found) == ours
    in_days = [one.days != OTHER for one in whole]
    assert in_days == sorted(in_days, reverse=True)
    # And a sweep that goes on after any of them sees the rest of its group and everything behind it
    for number, one in enumerate(whole):
        rest = landed(bucket, Place(one.days, one.source.key))
        assert set(found[number + 1 :]) <= set(rest)
        assert not set(rest) & set(found[: number + 1])
