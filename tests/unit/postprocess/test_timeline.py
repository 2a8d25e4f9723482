"""How a run came about, from what its jobs used and from its gangs' records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from postprocess.timeline import Leg, build_timeline
from spotline.runs import Market
from spotline.strays import Stage
from spotline.usage import Attempt, JobUse

START = datetime(2013, 2, 10, 6, tzinfo=UTC).timestamp()
SPOT, ON_DEMAND = Market.SPOT, Market.ON_DEMAND


def attempt(started: float, ended: float | None, market: Market = ON_DEMAND, *, reclaimed: bool = False) -> Attempt:
    return Attempt(market, START + started, None if ended is None else START + ended, reclaimed)


PREPROCESS = JobUse("p", Stage.PREPROCESS, START, ((attempt(60, 120),),), 4, 15, outcome="SUCCEEDED")
GANG = JobUse(
    "a",
    Stage.ANALYSIS,
    START + 130,
    ((attempt(200, 500, SPOT),), (attempt(230, 520, SPOT),)),
    8,
    30,
    generation=1,
    outcome="Spot.Interrupted",
)
LAUNCHED = {"generation": 1, "market": "SPOT", "job_id": "a", "launched_at": "2013-02-10T06:02:05+00:00"}


def test_a_job_waits_from_its_submission_until_it_starts() -> None:
    assert build_timeline([PREPROCESS], []) == [
        Leg("preprocess", 0, 1, "ON_DEMAND", "p", 0.0, 60.0, 120.0, "SUCCEEDED"),
    ]


def test_a_reclaimed_attempt_is_a_leg_of_its_own_and_the_next_one_waits_from_its_end() -> None:
    again = replace(PREPROCESS, members=((attempt(60, 90, SPOT, reclaimed=True), attempt(150, 200)),))

    assert build_timeline([again], []) == [
        Leg("preprocess", 0, 1, "SPOT", "p", 0.0, 60.0, 90.0, "RECLAIMED"),
        Leg("preprocess", 0, 2, "ON_DEMAND", "p", 90.0, 150.0, 200.0, "SUCCEEDED"),
    ]


def test_a_gang_waits_from_its_launch_until_its_last_member_started_and_runs_until_the_last_one_left() -> None:
    legs = build_timeline([PREPROCESS, GANG], [LAUNCHED])

    assert legs[1] == Leg("analysis", 1, 1, "SPOT", "a", 125.0, 230.0, 520.0, "Spot.Interrupted")


def test_a_gang_that_never_was_complete_did_not_start() -> None:
    half = replace(GANG, members=((attempt(200, 500, SPOT),), ()), outcome=None)
    record = {**LAUNCHED, "outcome": "Spot.NoCapacity", "closed_at": "2013-02-10T06:10:00+00:00"}

    (leg,) = build_timeline([half], [record])

    assert (leg.started, leg.ended, leg.outcome) == (None, 375.0, "Spot.NoCapacity")


def test_a_gang_without_a_job_is_read_from_its_record() -> None:
    refused = {**LAUNCHED, "generation": 2, "market": "ON_DEMAND", "job_id": None, "outcome": "Budget.Exhausted"}

    legs = build_timeline([PREPROCESS, GANG], [LAUNCHED, refused])

    assert Leg("analysis", 2, 1, "ON_DEMAND", None, 125.0, None, None, "Budget.Exhausted") in legs


def test_a_gang_that_goes_on_for_one_that_gave_way_waits_from_then_on() -> None:
    gave_way = {**LAUNCHED, "outcome": "gave way", "closed_at": "2013-02-10T06:07:05+00:00"}
    goes_on = {**LAUNCHED, "generation": 2, "job_id": None, "requeued_at": "2013-02-10T06:07:05+00:00"}

    legs = build_timeline([PREPROCESS, GANG], [gave_way, goes_on])

    [first, second] = [leg for leg in legs if leg.stage == "analysis"]
    assert second.waited_from - first.waited_from == 300.0


def test_what_runs_has_no_end_yet() -> None:
    running = replace(PREPROCESS, stage=Stage.POSTPROCESS, members=((attempt(60, None),),), outcome=None)

    (leg,) = build_timeline([running], [])

    assert (leg.started, leg.ended, leg.outcome) == (60.0, None, None)


def test_a_run_without_jobs_has_no_timeline() -> None:
    assert build_timeline([], []) == []
