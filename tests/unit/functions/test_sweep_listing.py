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
    LAST,
    OTHER,
    Folders,
    Group,
    Place,
    Stretch,
    find_folders,
    group_days,
    is_in_a_day,
)
from sweeping.listing import Landed, Passed, newest_versions, recent_versions, stretches
from tests.unit.functions.memory import S3

SINCE = datetime.now(UTC) - timedelta(days=3)


def bucket(*keys: str, days_ago: float = 0) -> S3:
    s3 = S3()
    for key in keys:
        s3.put(key, days_ago=days_ago)
    return s3


# The folders of days


@pytest.mark.parametrize(
    ("keys", "days_of_folders", "others"),
    [
        pytest.param([], {}, [], id="an empty bucket"),
        pytest.param(
            ["data/flights/20130208/f.csv", "data/flights/20130209/f.csv", "data/trains/20130209/t.csv"],
            {"data/flights/": ["20130208", "20130209"], "data/trains/": ["20130209"]},
            [],
            id="days of two datasets",
        ),
        pytest.param(["data/20130209/f.csv"], {"data/": ["20130209"]}, [], id="days of the default dataset"),
        pytest.param(["data/", "data/flights/"], {}, [], id="folders that a console made"),
        pytest.param(["data/f.csv"], {}, [Stretch("data/")], id="a file in no folder"),
        pytest.param(["data/Flights/20130209/f.csv"], {}, [Stretch("data/")], id="a folder that no dataset is called"),
        pytest.param(
            ["data/flights/a.csv", "data/flights/20130209/f.csv", "data/flights/b.csv"],
            {"data/flights/": ["20130209"]},
            [Stretch("data/flights/", f"data/flights/20130209/{LAST}")],
            id="files behind a day",
        ),
        pytest.param(
            ["data/flights/2013", "data/flights/20130208/f.csv", "data/flights/20130209/f.csv"],
            {"data/flights/": ["20130208", "20130209"]},
            [Stretch("data/flights/", "", "data/flights/20130208/")],
            id="a file before the days",
        ),
        pytest.param(
            ["data/20130208/f.csv", "data/20130208x", "data/20130209/f.csv", "data/zz.csv"],
            {"data/": ["20130208", "20130209"]},
            [Stretch("data/", f"data/20130208/{LAST}", "data/20130209/"), Stretch("data/", f"data/20130209/{LAST}")],
            id="files between days and behind them",
        ),
        pytest.param(
            ["data/flights/20130230/f.csv", "data/flights/flights/20130209/f.csv"],
            {},
            [Stretch("data/flights/")],
            id="a folder that is no day, and a dataset in a dataset",
        ),
        pytest.param(
            ["data/Zz/f.csv", "data/flights/20130209/f.csv", "data/~.csv"],
            {"data/flights/": ["20130209"]},
            [Stretch("data/", "", "data/flights/"), Stretch("data/", f"data/flights/{LAST}")],
            id="what lies before and behind the folder of a dataset",
        ),
        pytest.param(
            ["data/20130209", "data/20130209/f.csv"],
            {"data/": ["20130209"]},
            [Stretch("data/", "", "data/20130209/")],
            id="a file that is called like a day",
        ),
    ],
)
def test_folders_of_days_and_everything_else_are_told_apart(
    keys: list[str], days_of_folders: dict[str, list[str]], others: list[Stretch]
) -> None:
    assert find_folders(cast("Any", bucket(*keys)), "ingest") == Folders(days_of_folders, others)


def test_only_folders_of_the_data_of_this_bucket_are_listed() -> None:
    s3 = bucket("contracts/flights.json", "data/flights/20130209/f.csv")
    s3.put("data/trains/20130209/t.csv", bucket="results")
    find_folders(cast("Any", s3), "ingest")
    assert s3.asked == [
        {"Bucket": "ingest", "Prefix": prefix, "Delimiter": "/", "StartAfter": ""}
        for prefix in ("data/", "data/flights/")
    ]


@pytest.mark.parametrize(
    ("key", "inside"),
    [
        ("data/20130209/f.csv", True),
        ("data/flights/20130209/f.csv", True),
        ("data/flights/20130209/more/f.csv", True),
        ("data/flights/more/20130209/f.csv", False),
        ("data/Flights/20130209/f.csv", False),
        ("data/flights/20130209", False),
        ("data/20130209", False),
        ("data/20130230/f.csv", False),
        ("data/f.csv", False),
    ],
)
def test_a_key_lies_in_a_day_or_not(key: str, inside: bool) -> None:
    assert is_in_a_day(key) is inside


# Groups of days


def walk(folders: Folders, objects: int, place: Place = BEGINNING) -> list[str]:
    """The names of the groups when each day holds so many objects."""
    names = []
    for group in group_days(folders, place):
        names.append(group.name)
        if group.name != OTHER:
            first, last = (datetime.strptime(day, "%Y%m%d") for day in group.name.split("-"))  # noqa: DTZ007
            group.objects = objects * ((last - first).days + 1)
    return names


def days_of(month: str, count: int) -> list[str]:
    return [f"{month}{day:02d}" for day in range(1, count + 1)]


def named(*spans: tuple[int, int]) -> list[str]:
    return [*(f"201302{first:02d}-201302{last:02d}" for first, last in spans), OTHER]


FEBRUARY = Folders({"data/flights/": days_of("201302", 28)})


@pytest.mark.parametrize(
    ("objects", "groups"),
    [
        pytest.param(900, [(day, day) for day in range(28, 0, -1)], id="a page a day"),
        pytest.param(9000, [(day, day) for day in range(28, 0, -1)], id="ten pages a day"),
        pytest.param(450, [(28, 28), *((day, day + 1) for day in range(26, 0, -2)), (1, 1)], id="half a page a day"),
        pytest.param(225, [(28, 28), *((day, day + 3) for day in range(24, 0, -4)), (1, 3)], id="a quarter"),
        pytest.param(1, [(28, 28), (24, 27), (8, 23), (1, 7)], id="a file a day: four times as many days each time"),
        pytest.param(0, [(28, 28), (24, 27), (8, 23), (1, 7)], id="empty days"),
    ],
)
def test_a_group_is_as_many_days_as_fill_about_a_page_the_newest_first(
    objects: int, groups: list[tuple[int, int]]
) -> None:
    assert walk(FEBRUARY, objects) == named(*groups)


def test_a_page_is_meant_for_each_dataset() -> None:
    # Given two datasets that hold 450 objects a day together: each of two listings is half as full
    both = Folders({"data/flights/": days_of("201302", 9), "data/trains/": days_of("201302", 9)})
    assert walk(both, 450) == named((9, 9), (5, 8), (1, 4))
    assert walk(both, 900) == named((9, 9), (7, 8), (5, 6), (3, 4), (1, 2))


def test_a_single_file_a_day_is_counted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "PAGE", 3)
    assert walk(FEBRUARY, 1)[:2] == ["20130228-20130228", "20130225-20130227"]


@pytest.mark.parametrize(
    ("days", "groups"),
    [
        ("", [(9, 9), (8, 8), (7, 7), (6, 6), (5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]),
        ("20130209-20130209", [(9, 9), (8, 8), (7, 7), (6, 6), (5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]),
        ("20130203-20130204", [(3, 4), (2, 2), (1, 1)]),
        ("20130101-20130131", []),
        ("20130202-20130202", [(2, 2), (1, 1)]),
        (OTHER, []),
    ],
)
def test_a_sweep_goes_on_with_the_group_that_it_stopped_in(days: str, groups: list[tuple[int, int]]) -> None:
    folders = Folders({"data/flights/": days_of("201302", 9)})
    assert walk(folders, 900, Place(days)) == named(*groups)


def test_days_that_were_deleted_meanwhile_are_no_longer_part_of_the_group() -> None:
    folders = Folders({"data/flights/": ["20130201", "20130203", "20130206"]})
    assert next(group_days(folders, Place("20130202-20130205"))).name == "20130203-20130203"
    assert next(group_days(folders, Place("20130204-20130205"))).name == "20130203-20130203"


def test_a_group_lists_a_day_by_its_folder_and_several_from_the_first_to_behind_the_last() -> None:
    folders = Folders(
        {"data/flights/": days_of("201302", 5), "data/": ["20130203"], "data/trains/": ["20130209"]},
        [Stretch("data/", "data/x"), Stretch("data/flights/"), Stretch("data/")],
    )
    groups = group_days(folders, Place("20130202-20130204"))
    assert next(groups) == Group(
        "20130202-20130204",
        [
            Stretch("data/20130203/", until="data/201302030"),
            Stretch("data/flights/", "data/flights/20130202", "data/flights/201302040"),
        ],
    )
    # And what lies in no day's folder comes last, in the order of keys
    *_, last = groups
    assert last == Group(OTHER, [Stretch("data/"), Stretch("data/flights/"), Stretch("data/", "data/x")])


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
