"""What a sweep finds in a bucket and in which order, on small buckets that one can read, with listings of two entries a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from spotline.runs import Source
from sweeping import days
from sweeping.days import (
    BEGINNING,
    OTHER,
    Place,
    Stretch,
)
from sweeping.listing import Landed, Passed, newest_versions, recent_versions, stretches
from tests.unit.functions.memory import S3, bucket

SINCE = datetime.now(UTC) - timedelta(days=3)


# What arrived lately


def swept(s3: S3, place: Place = BEGINNING) -> list[Landed | Passed]:
    return list(recent_versions(cast("Any", s3), "ingest", SINCE, place))


def keys_of(found: list[Landed | Passed]) -> list[str]:
    return [one.source.key for one in found if isinstance(one, Landed)]


def test_what_arrived_lately_is_found_with_its_newest_version() -> None:
    s3 = bucket("data/flights/20130209/f.csv")
    s3.put("data/flights/20130209/f.csv", b"newer")
    s3.put("data/flights/20130209/f.csv", b"elsewhere", bucket="results")
    [found] = swept(s3)
    assert isinstance(found, Landed)
    assert found.source == Source("ingest", "data/flights/20130209/f.csv", "v1", 5)
    assert found.at == s3.versions["ingest", "data/flights/20130209/f.csv"][-1]["LastModified"]
    assert found.days == "20130209-20130209"


def test_the_newest_days_come_first_and_what_lies_in_no_day_last() -> None:
    keys = ["data/flights/20130207/f.csv", "data/trains/20130208/t.csv", "data/flights/20130208/f.csv", "data/a.csv"]
    found = swept(bucket(*keys, "contracts/flights.json", "data/flights/"))
    assert keys_of(found) == [keys[2], keys[1], keys[0], keys[3]]
    assert [one.days for one in found] == ["20130208-20130208"] * 2 + ["20130207-20130207", OTHER]


def test_what_arrived_before_is_passed_and_counted_page_by_page() -> None:
    # Given a day of three pages: two old files, an old one and a new one, a new one
    s3 = bucket(*(f"data/20130209/{name}.csv" for name in "abc"), days_ago=4)
    for name in "de":
        s3.put(f"data/20130209/{name}.csv")
    days = "20130209-20130209"
    found = [one if isinstance(one, Passed) else one.source.key for one in swept(s3)]
    assert found == [
        Passed("data/20130209/b.csv", 2, days),
        "data/20130209/d.csv",
        Passed("data/20130209/d.csv", 1, days),
        "data/20130209/e.csv",
    ]


def test_a_file_of_the_very_moment_from_which_a_sweep_looks_is_taken() -> None:
    s3 = bucket("data/20130209/f.csv")
    [version] = s3.versions["ingest", "data/20130209/f.csv"]
    for at, taken in ((SINCE, ["data/20130209/f.csv"]), (SINCE - timedelta(microseconds=1), [])):
        version["LastModified"] = at
        assert keys_of(swept(s3)) == taken


def test_only_an_object_that_arrived_lately_is_asked_for_its_version() -> None:
    s3 = bucket("data/20130209/a.csv", days_ago=4)
    s3.put("data/20130209/b.csv")
    swept(s3)
    asked = [call for call in s3.asked if "MaxKeys" in call]
    assert asked == [{"Bucket": "ingest", "Prefix": "data/20130209/b.csv", "MaxKeys": 1}]


@pytest.mark.parametrize(
    "versions",
    [
        pytest.param([], id="it has no version any more"),
        pytest.param([{"Key": "data/20130209/f.csv.gz", "IsLatest": True}], id="another object begins with its key"),
        pytest.param([{"Key": "data/20130209/f.csv", "IsLatest": False}], id="it was deleted, and its versions stay"),
    ],
)
def test_an_object_that_was_deleted_since_it_was_listed_has_no_run(versions: list[dict[str, Any]]) -> None:
    s3 = bucket("data/20130209/f.csv", "data/20130209/z.csv")
    real = s3.list_object_versions
    whole = [{"VersionId": "v", "Size": 1, "LastModified": SINCE, **one} for one in versions]

    def list_changed(**call: Any) -> dict[str, Any]:
        if call["Prefix"] != "data/20130209/f.csv":
            return real(**call)
        return {"Versions": whole} if whole else {}

    s3.list_object_versions = list_changed  # type: ignore[method-assign]
    assert keys_of(swept(s3)) == ["data/20130209/z.csv"]


def test_a_file_among_the_folders_of_days_is_found_once() -> None:
    # Given a group of several days, whose listing shows a file that lies beside them
    keys = [f"data/flights/2013020{day}/f.csv" for day in range(1, 6)]
    beside = "data/flights/20130203.csv"
    found = keys_of(swept(bucket(*keys, beside)))
    assert found == [keys[4], *keys[:4], beside]


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param("data/201302030", id="a file that is called like the end of a day's folder"),
        pytest.param("data/20130203x/20130204/f.csv", id="a day in a folder that is no dataset's"),
        pytest.param("data/20130203/\U0010ffff.csv", id="the last file that a day can have"),
    ],
)
def test_whatever_lies_among_the_days_is_found_once(beside: str) -> None:
    keys = [f"data/2013020{day}/f.csv" for day in range(1, 6)]
    assert sorted(keys_of(swept(bucket(*keys, beside)))) == sorted([*keys, beside])


def test_a_sweep_goes_on_behind_the_last_key_in_its_group() -> None:
    names = [f"data/flights/20130209/{name}.csv" for name in "abcd"]
    before = "data/flights/20130208/f.csv"
    s3 = bucket(*names, before)
    place = Place("20130209-20130209", names[1])
    assert keys_of(swept(s3, place)) == [*names[2:], before]
    # Behind the last one there is nothing left of the day
    assert keys_of(swept(s3, Place("20130209-20130209", names[3]))) == [before]
    # And a day that is done as a whole is not listed
    s3.asked.clear()
    assert keys_of(swept(s3, Place("20130209-20130209", "data/flights/201302090"))) == [before]
    assert "data/flights/20130209/" not in [call["Prefix"] for call in s3.asked]
    # And what was done in one group says nothing of another one
    assert keys_of(swept(s3, Place("20130208-20130208", "data/flights/20130208/a.csv"))) == [before]


def test_a_listing_that_ends_with_the_very_key_behind_its_days_asks_for_no_further_page() -> None:
    # Given a file that is called like the end of a group of two days, as the last one of a page
    keys = ["data/flights/20130201/f.csv", "data/flights/20130202/a.csv", "data/flights/20130202/b.csv"]
    s3 = bucket(*keys, "data/flights/201302020", "data/flights/20130209/z.csv")
    groups = recent_versions(cast("Any", s3), "ingest", SINCE, Place("20130201-20130202"))
    assert keys_of([next(groups) for _ in keys]) == keys
    # Then it is found among what lies in no day
    assert keys_of([next(groups)]) == ["data/flights/201302020"]
    assert s3.calls["objects"] == 2 + 1


def test_a_group_is_as_full_as_all_of_its_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given pages of four, and two datasets with four files a day, listed two at a time
    monkeypatch.setattr(days, "PAGE", 4)
    keys = [f"data/{name}/2013020{day}/{file}.csv" for name in "ab" for day in (1, 2, 3) for file in "1234"]
    found = swept(bucket(*keys))
    assert list(dict.fromkeys(one.days for one in found)) == [f"2013020{day}-2013020{day}" for day in (3, 2, 1)]


def test_a_listing_ends_with_its_days_and_asks_for_no_further_page() -> None:
    # Given a group of two days in the middle of many
    keys = [f"data/flights/201302{day:02d}/f.csv" for day in range(1, 10)]
    s3 = bucket(*keys)
    groups = recent_versions(cast("Any", s3), "ingest", SINCE, Place("20130203-20130204"))
    found = [next(groups) for _ in range(2)]
    before = s3.calls["objects"]
    assert keys_of(found) == keys[2:4]
    assert before == 1
    assert keys_of([next(groups)]) == keys[:1]
    # The page that holds the first key behind the group, and then the next group's own listing
    assert s3.calls["objects"] == before + 2
    assert s3.asked[-2]["StartAfter"] == "data/flights/20130201"


def test_a_stretch_from_the_beginning_is_listed_without_a_key_to_start_after() -> None:
    s3 = bucket("data/flights/20130209/f.csv")
    listing: list[dict[str, Any]] = []
    page = s3._page_objects

    def note(**call: Any) -> Any:
        listing.append(call)
        return page(**call)

    s3._page_objects = note  # type: ignore[method-assign]
    swept(s3)
    assert listing[-1] == {"Bucket": "ingest", "Prefix": "data/flights/20130209/"}


# All of some days


def newest(s3: S3, dataset: str, first: str, last: str, done: str = "") -> list[Landed]:
    return list(newest_versions(cast("Any", s3), "ingest", stretches(dataset, first, last), done))


def test_a_backfill_finds_the_newest_version_of_each_file_of_its_days() -> None:
    s3 = bucket(*(f"data/flights/201302{day:02d}/f.csv" for day in (1, 2, 3, 4, 5)), days_ago=400)
    s3.put("data/flights/20130203/f.csv", b"newer", days_ago=399)
    s3.put("data/flights/20130204/f.csv", None)
    s3.put("data/flights/20130204/", b"")
    s3.put("data/flights/20130203/f.csv", bucket="results")
    found = newest(s3, "flights", "20130202", "20130204")
    assert [one.source for one in found] == [
        Source("ingest", "data/flights/20130202/f.csv", "v1", 9),
        Source("ingest", "data/flights/20130203/f.csv", "v5", 5),
    ]
    assert found[1].at == s3.versions["ingest", "data/flights/20130203/f.csv"][-1]["LastModified"]
    assert [one.days for one in found] == ["", ""]


def test_a_backfill_of_the_default_dataset_finds_both_places() -> None:
    keys = ["data/20130209/a.csv", "data/default/20130209/b.csv", "data/default/20130210/c.csv"]
    found = newest(bucket(*keys, "data/flights/20130209/f.csv"), "default", "20130209", "20130209")
    assert [one.source.key for one in found] == keys[:2]


@pytest.mark.parametrize(
    ("done", "left"),
    [
        ("", ["20130209/a", "20130209/b", "default/20130209/c"]),
        ("data/20130209/a.csv", ["20130209/b", "default/20130209/c"]),
        ("data/20130209/b.csv", ["default/20130209/c"]),
        ("data/201302090", ["default/20130209/c"]),
        ("data/default/20130209/c.csv", []),
    ],
)
def test_a_backfill_goes_on_behind_the_last_key(done: str, left: list[str]) -> None:
    s3 = bucket("data/20130209/a.csv", "data/20130209/b.csv", "data/default/20130209/c.csv")
    found = newest(s3, "default", "20130209", "20130209", done)
    assert [one.source.key for one in found] == [f"data/{name}.csv" for name in left]


def test_a_backfill_takes_no_key_that_only_begins_like_its_days() -> None:
    s3 = bucket("data/flights/20130209/f.csv", "data/flights/201302090", "data/flights/20130209")
    assert [one.source.key for one in newest(s3, "flights", "20130209", "20130209")] == ["data/flights/20130209/f.csv"]


def test_a_backfill_asks_for_nothing_of_what_is_done_as_a_whole() -> None:
    s3 = bucket("data/20130209/f.csv")
    newest(s3, "default", "20130209", "20130209", "data/201302090")
    assert [call["Prefix"] for call in s3.asked] == ["data/default/"]


def test_a_key_that_a_listing_begins_with_is_not_done_twice() -> None:
    # The API reference calls the marker the key "to start with"
    s3 = bucket("data/flights/20130209/a.csv", "data/flights/20130209/b.csv")
    page = s3._page_versions

    def begin_with_the_marker(*, KeyMarker: str, **call: Any) -> Any:  # noqa: N803  as the API names it
        return page(KeyMarker=KeyMarker[:-1], **call)

    s3._page_versions = begin_with_the_marker  # type: ignore[assignment, method-assign]
    found = newest(s3, "flights", "20130209", "20130209", "data/flights/20130209/a.csv")
    assert [one.source.key for one in found] == ["data/flights/20130209/b.csv"]


def test_a_backfill_lists_no_further_than_its_days() -> None:
    s3 = bucket(*(f"data/flights/201302{day:02d}/f.csv" for day in range(1, 29)))
    newest(s3, "flights", "20130203", "20130204")
    assert s3.asked == [{"Bucket": "ingest", "Prefix": "data/flights/", "KeyMarker": "data/flights/20130203"}]
    assert s3.calls["versions"] == 2  # two days, and the first key behind them


def test_without_an_end_everything_behind_the_beginning_is_listed() -> None:
    s3 = bucket("data/a.csv", "data/b.csv")
    asked: list[dict[str, Any]] = []
    page = s3._page_versions

    def note(**call: Any) -> Any:
        asked.append(call)
        return page(**call)

    s3._page_versions = note  # type: ignore[method-assign]
    found = newest_versions(cast("Any", s3), "ingest", [Stretch("data/", "data/a.csv"), Stretch("data/")], "")
    assert [one.source.key for one in found] == ["data/b.csv", "data/a.csv", "data/b.csv"]
    everything = {"Bucket": "ingest", "Prefix": "data/"}
    assert asked == [{**everything, "KeyMarker": "data/a.csv"}, everything]


def test_landed_is_the_same_wherever_it_was_found() -> None:
    s3 = bucket("data/flights/20130209/f.csv")
    [by_sweep] = swept(s3)
    [by_backfill] = newest(s3, "flights", "20130209", "20130209")
    assert isinstance(by_sweep, Landed)
    assert replace(by_sweep, days="") == by_backfill
