"""Which gang gives way, how long one may wait, and what it is called by: the edges of what test_gangs.py decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spotline.executions import Execution
from spotline.failures import GANG_ENDED, WAITED_TOO_LONG
from spotline.gangs import (
    SETTLING,
    SUBMITTING,
    Action,
    Close,
    Fail,
    Gang,
    Launch,
    Sight,
    Terminate,
    Waits,
    decide,
    fail_for_slot,
    parse_gang_name,
    to_give_way,
)
from spotline.runs import Market, Priority

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)
WAITS = Waits(slot=timedelta(days=7), capacity=timedelta(minutes=30))
GANG = Gang("r", 2, Market.SPOT, "token", "arn:execution", NOW - timedelta(hours=1), job_id="5f0c")
BACKFILL = replace(GANG, priority=Priority.BACKFILL, submitting_at=NOW)


def decide_now(gang: Gang, job: dict[str, Any] | None, *members: dict[str, Any], **more: Any) -> list[Action]:
    execution = Execution("arn:execution", "RUNNING")
    return decide(gang, Sight(NOW, execution, gang.generation, job, members, **more), WAITS)


def described(status: str, **more: Any) -> dict[str, Any]:
    return {"jobId": "5f0c", "status": status, "createdAt": milliseconds(NOW), **more}


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


# ---- names


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("flights-20130209-1#2", ("flights-20130209-1", 2)),
        ("r#0012", ("r", 12)),
        ("odd#1\n#999999999", ("odd#1\n", 999999999)),
        ("r#1234567890", None),
        ("r#", None),
        ("#1", None),
        ("r", None),
        ("r#1 ", None),
    ],
)
def test_a_name_leads_back_to_the_gang_and_nothing_else_is_one(name: str, parsed: tuple[str, int] | None) -> None:
    assert parse_gang_name(name) == parsed


# ---- giving way


@pytest.mark.parametrize(
    "other",
    [
        replace(BACKFILL, priority=Priority.DAILY),
        replace(BACKFILL, job_id=None),
        replace(BACKFILL, generation=3),
    ],
    ids=["the day's work", "it has no job", "it has no slot"],
)
def test_only_a_backfill_s_gang_that_holds_a_slot_and_has_a_job_gives_way(other: Gang) -> None:
    assert to_give_way([BACKFILL], {"r#2"}) is BACKFILL
    assert to_give_way([other], {"r#2"}) is None
    assert to_give_way([], {"r#2"}) is None
    assert to_give_way([replace(BACKFILL, generation=1), other, BACKFILL], {"r#2", "r#1"}) == BACKFILL


def test_the_gang_that_was_launched_last_gives_way() -> None:
    early = replace(BACKFILL, generation=9, launched_at=NOW, submitting_at=NOW - timedelta(hours=2))
    late = replace(BACKFILL, generation=3, launched_at=NOW - timedelta(days=1), submitting_at=NOW - timedelta(hours=1))
    unclaimed = replace(BACKFILL, generation=4, launched_at=NOW - timedelta(minutes=90), submitting_at=None)
    holders = {early.name, late.name, unclaimed.name}
    assert to_give_way([early, late, unclaimed], holders) is late, "whenever their Tasks asked"
    assert to_give_way([early, unclaimed], holders) is unclaimed, "a record without that time goes by its Task's"
    same = replace(late, generation=4)
    for order in ([late, same], [same, late]):
        assert to_give_way(order, holders) is same, "and of two at one moment always the same one"


# ---- waiting


@pytest.mark.parametrize(("market", "limit"), [(Market.SPOT, "Spot"), (Market.ON_DEMAND, "OnDemand")])
def test_a_gang_that_waited_in_vain_says_how_long_for_what_and_what_to_do(market: Market, limit: str) -> None:
    failure = fail_for_slot(replace(GANG, market=market), timedelta(hours=35, minutes=30, seconds=1))
    name = {"Spot": "Spot", "OnDemand": "On-Demand"}[limit]
    assert failure.error == "Slot.TimedOut"
    assert failure.sentence == (
        f"All {name} slots were taken for 36 hours, so the gang was not launched there. Raise {limit}MaxGangs or"
        " SlotMaxWaitSeconds, or wait until fewer runs are waiting, then redrive"
    )


def test_a_gang_waits_for_a_slot_as_long_as_the_stack_says_and_no_longer() -> None:
    waiting = replace(GANG, job_id=None, launched_at=NOW - WAITS.slot)
    assert decide_now(waiting, None) == [Launch()]
    over = replace(waiting, launched_at=NOW - WAITS.slot - MOMENT)
    assert decide_now(over, None) == [Fail(fail_for_slot(over, WAITS.slot)), Close()]


def test_a_gang_that_is_being_submitted_is_left_to_whoever_submits_it() -> None:
    claimed = replace(GANG, job_id=None, launched_at=NOW - 2 * WAITS.slot, submitting_at=NOW - SUBMITTING + MOMENT)
    assert decide_now(claimed, None) == []
    assert decide_now(replace(claimed, job_id="5f0c"), None) == [], "Batch may not describe a new job yet"
    assert decide_now(replace(claimed, submitting_at=NOW - SUBMITTING), None)[-1] == Close()


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "RUNNABLE"])
def test_a_job_or_a_member_waits_for_capacity_as_long_as_the_stack_says(status: str) -> None:
    def decide_after(waited: timedelta, state: str, *members: dict[str, Any]) -> list[Action]:
        return decide_now(GANG, described(state, createdAt=milliseconds(NOW - waited), arrayProperties={}), *members)

    for state, *members in ((status,), ("PENDING", {"status": "RUNNING"}, {"status": status})):
        assert decide_after(WAITS.capacity, state, *members) == []
        assert decide_after(WAITS.capacity + MOMENT, state, *members) == [Terminate("5f0c", WAITED_TOO_LONG)]


@pytest.mark.parametrize("status", ["STARTING", "RUNNING"])
def test_what_has_capacity_does_not_wait(status: str) -> None:
    assert decide_now(GANG, described(status, createdAt=0)) == []
    assert decide_now(GANG, described("PENDING", createdAt=0), {"status": status}, {}) == []


# ---- a member that failed


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "RUNNABLE"])
def test_of_an_array_that_cannot_complete_what_has_not_started_is_ended_at_once(status: str) -> None:
    members = [{"jobId": "5f0c:0", "status": "FAILED"}, {"jobId": "5f0c:1", "status": status}, {}]
    assert decide_now(GANG, described("PENDING", arrayProperties={}), *members) == [Terminate("5f0c:1", GANG_ENDED)]


def test_what_runs_has_its_time_from_the_first_failure() -> None:
    def decide_after(*ago: timedelta | None) -> list[Action]:
        stops = [{} if one is None else {"stoppedAt": milliseconds(NOW - one)} for one in ago]
        failed = [{"jobId": "x", "status": "FAILED", **stop} for stop in stops]
        done = {"jobId": "y", "status": "SUCCEEDED", "stoppedAt": 0}
        return decide_now(
            GANG, described("PENDING", arrayProperties={}), *failed, done, {"jobId": "z", "status": "RUNNING"}
        )

    end = [Terminate("5f0c", GANG_ENDED)]
    assert decide_after(SETTLING) == []
    assert decide_after(SETTLING + MOMENT) == end
    assert decide_after(MOMENT, SETTLING + MOMENT) == end
    assert decide_after(None) == [], "Batch does not say yet when it stopped"


def test_batch_ends_the_nodes_of_a_multi_node_job_itself() -> None:
    failed = {"jobId": "5f0c#1", "status": "FAILED", "stoppedAt": 0}
    assert decide_now(GANG, described("RUNNING", nodeProperties={}), failed, {"status": "RUNNABLE"}) == []


# ---- an end


@pytest.mark.parametrize(("noticed", "error"), [((), "Gang.MemberLost"), ((1,), "Spot.Interrupted")])
def test_a_failed_gang_is_named_after_its_market_and_its_notices(noticed: tuple[int, ...], error: str) -> None:
    members = [{"status": "FAILED", "statusReason": "Essential container in task exited"}] * 2
    job = described("FAILED", startedAt=1000, stoppedAt=61_000)
    [answer, close] = decide_now(GANG, job, *members, noticed=noticed)
    assert isinstance(answer, Fail)
    assert (answer.failure.error, close) == (error, Close(timedelta(minutes=1)))
    [answer, _] = decide_now(replace(GANG, market=Market.ON_DEMAND), job, *members, noticed=noticed)
    assert isinstance(answer, Fail)
    assert answer.failure.error == "Gang.MemberLost"


@pytest.mark.parametrize(
    ("times", "used"),
    [
        ({"startedAt": 1000, "stoppedAt": 3500}, timedelta(seconds=2.5)),
        ({"startedAt": 1000, "stoppedAt": 999}, timedelta(0)),
        ({"startedAt": 1000}, timedelta(0)),
        ({"stoppedAt": 1000}, timedelta(0)),
    ],
)
def test_a_gang_used_what_lies_between_its_job_s_start_and_end(times: dict[str, int], used: timedelta) -> None:
    for status in ("FAILED", "SUCCEEDED"):
        assert decide_now(GANG, described(status, **times), published="s3://m")[-1] == Close(used)
