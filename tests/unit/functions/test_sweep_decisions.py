"""What `sweep` decides, without an account: which run a version gets, which days are due, where a dataset's days lie."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.contracts import Delivery
from sweeping.attempts import Attempt, Left, decide
from sweeping.days import Stretch
from sweeping.lateness import TOLD_WITHIN, due_days
from sweeping.listing import stretches
from sweeping.requests import BadRequest, Progress, read_request

DONE, RUNS = Attempt(0), Attempt(0, running=True)
MINE, THEIRS = (Attempt(1, request=request) for request in ("mine", "theirs"))


@pytest.mark.parametrize(
    ("attempts", "force", "decided"),
    [
        ([], False, 0),
        ([], True, 0),
        ([DONE], False, Left.RAN),
        ([RUNS], False, Left.RUNNING),
        ([DONE], True, 1),
        ([RUNS], True, Left.RUNNING),
        ([DONE, THEIRS], True, 2),
        ([DONE, MINE], True, Left.STARTED),
        ([DONE, MINE, Attempt(2, request="theirs")], True, Left.STARTED),
        ([DONE, Attempt(1, running=True, request="theirs")], True, Left.RUNNING),
        ([DONE, Attempt(1, running=True, request="mine")], True, Left.STARTED),
        ([DONE, Attempt(3)], True, 4),
        ([Attempt(0, request="mine")], True, Left.STARTED),
    ],
)
def test_which_run_a_version_gets(attempts: list[Attempt], force: bool, decided: int | Left) -> None:
    assert decide(attempts, force=force, request="mine") == decided


@given(
    st.lists(st.builds(Attempt, st.integers(0, 5), st.booleans(), st.sampled_from(["", "a", "b"])), max_size=5),
    st.booleans(),
)
def test_a_run_that_is_started_is_a_new_one(attempts: list[Attempt], force: bool) -> None:
    decided = decide(attempts, force=force, request="mine")
    if isinstance(decided, int):
        assert decided not in {attempt.number for attempt in attempts}
        assert force or not attempts


def due(delivery: Delivery, now: str) -> list[str]:
    return [day for day, _ in due_days(delivery, datetime.fromisoformat(now).replace(tzinfo=UTC))]


MORNING = time(6, 30)


@pytest.mark.parametrize(
    ("delivery", "now", "days"),
    [
        (Delivery(MORNING), "2013-02-09 06:29", ["20130208", "20130207"]),
        (Delivery(MORNING), "2013-02-09 06:30", ["20130209", "20130208"]),
        (Delivery(MORNING, days_after=1), "2013-02-09 07:00", ["20130208", "20130207"]),
        (Delivery(MORNING, zone="America/New_York"), "2013-02-09 11:00", ["20130208", "20130207"]),
        (Delivery(MORNING, zone="America/New_York"), "2013-02-09 11:30", ["20130209", "20130208"]),
        (Delivery(MORNING, zone="Asia/Tokyo"), "2013-02-08 21:30", ["20130209", "20130208"]),
        # Summer time begins in New York on 10 March: the day before it has 23 hours, and three are due within 48
        (Delivery(MORNING, zone="America/New_York"), "2013-03-10 10:30", ["20130310", "20130309", "20130308"]),
        (Delivery(time(2, 30), zone="America/New_York"), "2013-03-10 07:30", ["20130310", "20130309"]),
        # 9 February 2013 was a Saturday
        (Delivery(MORNING, weekdays=frozenset(range(5))), "2013-02-09 07:00", ["20130208"]),
        (Delivery(MORNING, weekdays=frozenset({0})), "2013-02-09 07:00", []),
        # A weekday is that of the data, not of the delivery: Friday's file is due on Saturday
        (Delivery(MORNING, days_after=1, weekdays=frozenset({4})), "2013-02-09 07:00", ["20130208"]),
    ],
)
def test_which_days_are_due(delivery: Delivery, now: str, days: list[str]) -> None:
    assert due(delivery, now) == days


@given(
    st.datetimes(datetime(2013, 1, 1), datetime(2014, 1, 1)),  # noqa: DTZ001  the zone comes next
    st.times(),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"]),
    st.integers(0, 5),
)
def test_a_day_is_due_for_as_long_as_it_is_told(now: datetime, hour: time, zone: str, days_after: int) -> None:
    moment = now.replace(tzinfo=UTC)
    found = list(due_days(Delivery(hour, zone, days_after), moment))
    assert 1 <= len(found) <= TOLD_WITHIN.days + 1
    assert all(timedelta(0) <= moment - at < TOLD_WITHIN for _, at in found)


@pytest.mark.parametrize(
    ("dataset", "where"),
    [
        ("flights", (Stretch("data/flights/", "data/flights/20130201", "data/flights/201302280"),)),
        (
            "default",
            (
                Stretch("data/", "data/20130201", "data/201302280"),
                Stretch("data/default/", "data/default/20130201", "data/default/201302280"),
            ),
        ),
    ],
)
def test_where_a_dataset_s_days_lie(dataset: str, where: tuple[Stretch, ...]) -> None:
    assert stretches(dataset, "20130201", "20130228") == where


@given(st.dates(), st.text(min_size=1, max_size=5), st.dates(), st.dates())
def test_a_stretch_holds_the_files_of_its_days_and_no_others(
    day: object, file: str, one: object, other: object
) -> None:
    named, first, last = (f"{date:%Y%m%d}".zfill(8) for date in (day, *sorted((one, other))))  # type: ignore[type-var]
    [stretch] = stretches("flights", first, last)
    key = f"data/flights/{named}/{file}"
    assert (stretch.after < key < stretch.until) == (first <= named <= last)


BACKFILL = {"from": "20130201", "to": "20130228", "dataset": "flights"}


@pytest.mark.parametrize("progress", [Progress(), Progress("data/flights/20130209/ü+%41.csv", 3)])
@pytest.mark.parametrize("asked", [{"kind": "sweep"}, BACKFILL, {**BACKFILL, "force": True, "request": "tuesday"}])
def test_a_request_goes_on_as_what_it_was(asked: dict[str, Any], progress: Progress) -> None:
    request = read_request(asked, "first")
    again = read_request(json.loads(json.dumps(request.continued(progress))), "second")
    assert again == replace(request, progress=progress)


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({**BACKFILL, "from": "2013-02-01"}, "from: '2013-02-01'; write a day as YYYYMMDD"),
        ({**BACKFILL, "to": 20130228}, "to: 20130228; write a day as YYYYMMDD, in quotes"),
        ({**BACKFILL, "to": "20130230"}, "to: '20130230'"),
        ({"from": "20130201", "dataset": "flights"}, "to: missing"),
        ({**BACKFILL, "from": "20130301"}, "from: 20130301 is after to, 20130228; exchange them"),
        ({"from": "20130201", "to": "20130228"}, "dataset: missing; it must begin with a lower-case letter"),
        ({**BACKFILL, "dataset": "Flights"}, "dataset: 'Flights'; it must begin"),
        ({**BACKFILL, "force": "yes"}, "force: 'yes' must be true or false, without quotes"),
        ({**BACKFILL, "request": "a b"}, "request: 'a b' must hold"),
        ({**BACKFILL, "dry_run": True}, "dry_run: unknown; a backfill has from, to, dataset, force, request"),
        ({"kind": "sweep", "dataset": "flights"}, "dataset: unknown"),
        ({"kind": "swoop"}, "kind: 'swoop' is neither 'sweep' nor 'backfill'"),
        ({}, "from: missing"),
    ],
)
def test_a_request_that_cannot_be_done_names_the_field_and_the_way_out(event: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_request(event, "52fdfc07-2182-454f-963f-5f0f9a621d72")
    assert str(refusal.value).startswith(complaint)
