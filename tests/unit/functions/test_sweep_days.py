"""The order of a sweep: the folders of days in a bucket, told apart from everything else, and gone through in groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest

from sweeping import days
from sweeping.days import BEGINNING, LAST, OTHER, Folders, Group, Place, Stretch, find_folders, group_days, is_in_a_day
from tests.unit.functions.memory import bucket

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
