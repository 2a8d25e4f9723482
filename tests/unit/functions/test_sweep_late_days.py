"""Days whose file is late: which datasets are waited for, and what counts as a day's file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from spotline.contracts import MOST_BYTES
from sweeping.lateness import LateDay, late_days
from tests.unit.functions.memory import S3

if TYPE_CHECKING:
    from collections.abc import Callable

# A Saturday; what is due at 06:30 in New York is due at 11:30 UTC.
NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
LATE = [
    LateDay("flights", "20130209", "2013-02-09 06:30 America/New_York"),
    LateDay("flights", "20130208", "2013-02-08 06:30 America/New_York"),
]


class Looked:
    """What came of looking for late days."""

    def __init__(self, s3: S3) -> None:
        self.unreadable: list[str] = []
        self.failed: list[str] = []
        self.late = list(late_days(cast("Any", s3), "ingest", NOW, self.unreadable, self.failed))


def contract(**delivery: Any) -> bytes:
    expected = {"expectedBy": "06:30", "zone": "America/New_York", **delivery}
    return json.dumps({"fields": [{"name": "a"}], "spotline": {"delivery": expected}}).encode()


@pytest.fixture
def s3() -> S3:
    """A bucket with the contract of flights, whose file is expected every day."""
    s3 = S3()
    s3.put("contracts/flights.json", contract())
    return s3


def test_a_day_without_a_file_is_late(s3: S3) -> None:
    looked = Looked(s3)
    assert looked.late == LATE
    assert (looked.unreadable, looked.failed) == ([], [])


@pytest.mark.parametrize(
    ("key", "late"),
    [
        ("data/flights/20130209/f.csv", LATE[1:]),
        ("data/flights/20130208/f.csv.gz", LATE[:1]),
        ("data/flights/20130210/f.csv", LATE),
        ("data/trains/20130209/f.csv", LATE),
        ("data/20130209/f.csv", LATE),
        ("data/flights/20130209/", LATE),  # a folder that a console made
        ("data/flights/20130209/readme.txt", LATE),
        ("data/flights/20130209/more/f.csv", LATE),
    ],
)
def test_only_a_file_that_a_run_can_be_made_of_makes_its_day_punctual(s3: S3, key: str, late: list[LateDay]) -> None:
    s3.put(key)
    assert Looked(s3).late == late


def test_what_is_no_file_hides_none_that_is_listed_after_it(s3: S3) -> None:
    # More than a page of them
    for name in ("", "a.txt", "b.txt", "z.csv"):
        s3.put(f"data/flights/20130209/{name}")
    assert Looked(s3).late == LATE[1:]


@pytest.mark.parametrize("key", ["data/20130209/f.csv", "data/default/20130209/f.csv"])
def test_the_default_datasets_file_may_lie_in_two_places(key: str) -> None:
    s3 = S3()
    s3.put("contracts/default.json", contract())
    s3.put(key)
    assert [day.day for day in Looked(s3).late] == ["20130208"]


def test_a_dataset_whose_contract_expects_nothing_is_not_waited_for(s3: S3) -> None:
    s3.put("contracts/trains.json", b'{"fields": [{"name": "a"}]}')
    s3.put("contracts/Planes.json", contract())
    s3.put("contracts/notes.txt", contract())
    s3.put("contracts/old/flights.json", contract())
    looked = Looked(s3)
    assert (looked.late, looked.unreadable, looked.failed) == (LATE, [], [])


def test_without_a_contract_nobody_waits_for_anything() -> None:
    s3 = S3()
    s3.put("data/flights/20130209/f.csv")
    looked = Looked(s3)
    assert (looked.late, looked.unreadable, looked.failed) == ([], [], [])


def test_a_contract_that_is_too_large_is_named_and_not_even_downloaded(s3: S3) -> None:
    s3.put("contracts/large.json", contract().ljust(MOST_BYTES + 1))
    get = s3.get_object

    def download_none(**call: Any) -> Any:
        answer = get(**call)
        return {**answer, "Body": None} if call["Key"] == "contracts/large.json" else answer

    s3.get_object = download_none  # type: ignore[method-assign]
    looked = Looked(s3)
    assert (looked.late, looked.failed) == (LATE, [])
    assert [line.partition(": ")[0] for line in looked.unreadable] == ["contracts/large.json"]


def test_every_dataset_is_looked_at_however_many_there_are() -> None:
    s3 = S3()
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        s3.put(f"contracts/{name}.json", contract(weekdays=["sat"]))
    assert [day.dataset for day in Looked(s3).late] == names


def test_a_contract_that_cannot_be_read_is_named_and_its_dataset_not_waited_for(s3: S3) -> None:
    s3.put("contracts/broken.json", b"{")
    s3.put("contracts/zz.json", b"\xff")
    looked = Looked(s3)
    assert (looked.late, looked.failed) == (LATE, [])
    assert [line.partition(": ")[0] for line in looked.unreadable] == ["contracts/broken.json", "contracts/zz.json"]
    assert all(len(line.partition(": ")[2]) > 10 for line in looked.unreadable)


def fail_for(s3: S3, method: str, harms: Callable[[dict[str, Any]], bool]) -> None:
    real = getattr(s3, method)

    def call(**arguments: Any) -> Any:
        if harms(arguments):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, method)
        return real(**arguments)

    setattr(s3, method, call)


def test_a_contract_that_was_deleted_since_it_was_listed_is_nobodys_loss(s3: S3) -> None:
    s3.put("contracts/gone.json", contract())
    read = s3.get_object

    def delete_first(**call: Any) -> Any:
        if call["Key"] == "contracts/gone.json":
            s3.put("contracts/gone.json", None)
        return read(**call)

    s3.get_object = delete_first  # type: ignore[method-assign]
    looked = Looked(s3)
    assert (looked.late, looked.unreadable, looked.failed) == (LATE, [], [])


def test_a_dataset_that_cannot_be_looked_at_keeps_nobody_from_the_others(s3: S3) -> None:
    s3.put("contracts/a-locked.json", contract())
    fail_for(s3, "get_object", lambda call: "a-locked" in call["Key"])
    looked = Looked(s3)
    assert looked.late == LATE
    assert [line.partition(": ")[0] for line in looked.failed] == ["late days of a-locked"]


def test_what_was_found_late_before_a_listing_failed_is_late_all_the_same() -> None:
    # Given two late days, of which the second cannot be looked for
    s3 = S3()
    s3.put("contracts/flights.json", contract())
    fail_for(s3, "_page_objects", lambda call: "20130208" in call["Prefix"])
    looked = Looked(s3)
    assert looked.late == LATE[:1]
    assert [line.partition(": ")[0] for line in looked.failed] == ["late days of flights"]
