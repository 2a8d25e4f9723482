"""What to do about a gang, for every way in which things can stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spotline.executions import KNOWN_AFTER, Execution
from spotline.failures import FENCED_OFF, GANG_ENDED, GIVES_WAY, NOT_RUNNING, WAITED_TOO_LONG
from spotline.gangs import (
    EXECUTION_ENDED,
    SETTLING,
    SUBMITTING,
    TAKEN_OVER,
    Action,
    Close,
    Fail,
    Gang,
    Launch,
    Requeue,
    Sight,
    Succeed,
    Terminate,
    Waits,
    decide,
)
from spotline.runs import Market

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
GANG = Gang("r", 2, Market.SPOT, "token", "arn:execution", NOW - timedelta(minutes=1), job_id="5f0c")
LONGEST_WAIT = timedelta(minutes=30)
WAITS = Waits(slot=timedelta(days=7), capacity=LONGEST_WAIT)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def array(status: str = "PENDING", created: datetime = NOW - timedelta(minutes=5)) -> dict[str, Any]:
    return {"jobId": "5f0c", "status": status, "createdAt": milliseconds(created), "arrayProperties": {"size": 2}}


def multi_node(status: str = "RUNNABLE", created: datetime = NOW - timedelta(minutes=5)) -> dict[str, Any]:
    return {"jobId": "5f0c", "status": status, "createdAt": milliseconds(created), "nodeProperties": {"numNodes": 2}}


def member(
    index: int, status: str, *, code: int | None = None, stopped: datetime | None = None, reason: str = ""
) -> dict[str, Any]:
    described: dict[str, Any] = {"jobId": f"5f0c:{index}", "status": status, "statusReason": reason, "container": {}}
    if code is not None:
        described["container"]["exitCode"] = code
    if stopped is not None:
        described["stoppedAt"] = milliseconds(stopped)
    return described


def sight(status: str = "RUNNING", redriven_at: datetime | None = None, **changes: Any) -> Sight:
    execution = Execution("arn:execution", status, redriven_at)
    facts: dict[str, Any] = {"now": NOW, "execution": execution, "newest_generation": 2, "job": array()}
    return Sight(**(facts | changes))


@pytest.mark.parametrize(
    "members",
    [
        [],
        [member(0, "RUNNING"), member(1, "RUNNING")],
        [member(0, "RUNNING"), member(1, "RUNNABLE")],
        [member(0, "SUCCEEDED", code=0), member(1, "RUNNING")],
    ],
    ids=["not described yet", "running", "forming", "one done"],
)
def test_a_gang_under_way_is_left_alone(members: list[dict[str, Any]]) -> None:
    assert decide(GANG, sight(members=members), WAITS) == []


def test_an_older_generation_is_ended() -> None:
    assert decide(GANG, sight(newest_generation=3), WAITS) == [Terminate("5f0c", FENCED_OFF)]


@pytest.mark.parametrize("job", [array("FAILED"), array("SUCCEEDED"), None], ids=["failed", "succeeded", "none"])
def test_an_overtaken_task_is_told_so_that_it_asks_again(job: dict[str, Any] | None) -> None:
    # Nobody waits for it, as a rule. But a launcher that was slower than the next one raises the generation above a live Task's.
    assert decide(GANG, sight(newest_generation=3, job=job), WAITS) == [Fail(TAKEN_OVER), Close()]


def test_what_was_asked_for_before_a_redrive_is_ended() -> None:
    assert decide(GANG, sight(redriven_at=NOW), WAITS) == [Terminate("5f0c", FENCED_OFF)]
    assert decide(GANG, sight(redriven_at=NOW - timedelta(minutes=2)), WAITS) == []


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT", "SUCCEEDED"])
def test_no_job_outlives_its_execution(status: str) -> None:
    assert decide(GANG, sight(status), WAITS) == [Terminate("5f0c", NOT_RUNNING)]
    # And no token stays without an answer, whoever waits behind it
    assert decide(GANG, sight(status, job=array("FAILED")), WAITS) == [Fail(EXECUTION_ENDED), Close()]
    assert decide(GANG, sight(status, job=None), WAITS) == [Fail(EXECUTION_ENDED), Close()]


def test_an_execution_that_is_not_known_ends_a_gang_only_once_it_should_be() -> None:
    assert decide(GANG, sight("UNKNOWN"), WAITS) == []
    old = replace(GANG, launched_at=NOW - KNOWN_AFTER)
    assert decide(old, sight("UNKNOWN"), WAITS) == [Terminate("5f0c", NOT_RUNNING)]


@pytest.mark.parametrize(
    ("status", "redrives", "expected"),
    [
        ("RUNNING", 1, []),
        ("RUNNING", 2, [Terminate("5f0c", FENCED_OFF)]),
        ("FAILED", 1, [Terminate("5f0c", NOT_RUNNING)]),
        ("FAILED", 0, []),
        ("RUNNING", 0, []),
    ],
    ids=["its own redrive", "a later one", "its own, ended", "described before it, ended", "described before it"],
)
def test_a_description_is_dated_by_its_redrives(status: str, redrives: int, expected: list[Action]) -> None:
    execution = Execution("arn:execution", status, redrives=redrives)
    assert decide(replace(GANG, redrives=1), sight(execution=execution), WAITS) == expected


def test_a_record_without_redrives_goes_by_the_clock() -> None:
    # Given a gang whose definition did not say in which redrive it asked, one minute ago
    before = Execution("arn:execution", "FAILED", stopped_at=NOW - timedelta(minutes=2))
    after = Execution("arn:execution", "FAILED", stopped_at=NOW)
    assert decide(GANG, sight(execution=before), WAITS) == []
    assert decide(GANG, sight(execution=after), WAITS) == [Terminate("5f0c", NOT_RUNNING)]


def test_a_redriven_execution_that_waits_for_its_turn_still_runs() -> None:
    assert decide(GANG, sight("PENDING_REDRIVE"), WAITS) == []


@pytest.mark.parametrize(
    ("times", "used"),
    [
        ({"startedAt": milliseconds(NOW) - 90_000, "stoppedAt": milliseconds(NOW)}, timedelta(seconds=90)),
        ({"stoppedAt": milliseconds(NOW)}, timedelta(0)),
    ],
    ids=["it ran", "it never started"],
)
def test_a_gang_is_closed_with_the_time_that_it_ran(times: dict[str, int], used: timedelta) -> None:
    assert decide(GANG, sight(job=multi_node("FAILED") | times), WAITS)[-1] == Close(used)
    assert decide(GANG, sight("ABORTED", job=multi_node("FAILED") | times), WAITS)[-1] == Close(used)


def test_a_gang_that_published_is_answered_with_where_it_did() -> None:
    [answer, close] = decide(GANG, sight(job=array("SUCCEEDED"), published="s3://m"), WAITS)
    assert isinstance(answer, Succeed)
    assert answer.output == {"manifest": "s3://m", "generation": 2, "market": "SPOT", "job_id": "5f0c"}
    assert close == Close()


def test_success_without_a_manifest_is_a_failure_of_the_image() -> None:
    [answer, close] = decide(GANG, sight(job=array("SUCCEEDED"), unpublished="it is empty"), WAITS)
    assert isinstance(answer, Fail)
    assert (answer.failure.error, answer.failure.job_id, close) == ("Job.Failed", "5f0c", Close())
    assert answer.failure.sentence == (
        "The gang's job succeeded without leaving a manifest that can be read (it is empty): its image breaks the contract of an"
        " analysis. Fix the image, push it, then redrive"
    )


def test_members_that_still_wait_are_ended_once_one_has_failed() -> None:
    members = [member(0, "FAILED", code=75, stopped=NOW), member(1, "RUNNABLE"), member(2, "RUNNING")]
    assert decide(GANG, sight(members=members), WAITS) == [Terminate("5f0c:1", GANG_ENDED)]


def test_members_that_run_may_leave_by_themselves_for_a_while() -> None:
    # Given one failed, one still running
    def after(elapsed: timedelta) -> list[Action]:
        members = [member(0, "FAILED", code=75, stopped=NOW - elapsed), member(1, "RUNNING")]
        return decide(GANG, sight(members=members), WAITS)

    # Then the second is ended only when its time is over
    assert after(SETTLING - timedelta(seconds=1)) == []
    assert after(SETTLING + timedelta(seconds=1)) == [Terminate("5f0c", GANG_ENDED)]


def test_a_settled_gang_is_answered_with_its_typed_failure() -> None:
    members = [member(0, "FAILED", code=75), member(1, "FAILED", reason="Host EC2 (instance i-1) terminated.")]
    [answer, close] = decide(GANG, sight(job=array("FAILED"), members=members), WAITS)
    assert isinstance(answer, Fail)
    assert (answer.failure.error, answer.failure.member) == ("Spot.Interrupted", 1)
    assert close == Close()


@pytest.mark.parametrize(
    ("job", "members"),
    [
        (multi_node(created=NOW - LONGEST_WAIT - timedelta(seconds=1)), []),
        (array(created=NOW - LONGEST_WAIT - timedelta(seconds=1)), [member(0, "RUNNING"), member(1, "RUNNABLE")]),
    ],
    ids=["multi-node", "array, half of it"],
)
def test_waiting_for_capacity_is_bounded_by_us(job: dict[str, Any], members: list[dict[str, Any]]) -> None:
    assert decide(GANG, sight(job=job, members=members), WAITS) == [Terminate("5f0c", WAITED_TOO_LONG)]


def test_a_gang_that_runs_for_long_does_not_wait() -> None:
    job = array(created=NOW - timedelta(hours=5))
    assert decide(GANG, sight(job=job, members=[member(0, "RUNNING"), member(1, "RUNNING")]), WAITS) == []


def test_a_gang_that_waits_for_a_slot_is_launched() -> None:
    gang = Gang("r", 2, Market.SPOT, "token", "arn:execution", NOW)
    assert decide(gang, sight(job=None), WAITS) == [Launch()]


def test_a_submission_that_nobody_finished_is_taken_up() -> None:
    def claimed(ago: timedelta) -> list[Action]:
        gang = Gang("r", 2, Market.SPOT, "token", "arn:execution", NOW - ago, submitting_at=NOW - ago)
        return decide(gang, sight(job=None), WAITS)

    assert claimed(SUBMITTING - timedelta(seconds=1)) == []
    assert claimed(SUBMITTING) == [Launch()]


def test_a_wait_for_a_slot_ends_with_what_to_do() -> None:
    # Given a gang whose Task asked longer ago than a gang may wait for a slot
    gang = Gang("r", 2, Market.SPOT, "token", "arn:execution", NOW - WAITS.slot - timedelta(seconds=1))
    [answer, close] = decide(gang, sight(job=None), WAITS)
    assert isinstance(answer, Fail)
    assert (answer.failure.error, close) == ("Slot.TimedOut", Close())
    assert "SpotMaxGangs" in answer.failure.sentence
    # But a gang that was launched has its own time, however long it has waited
    launched = replace(gang, job_id="5f0c")
    assert decide(launched, sight(members=[member(0, "RUNNING"), member(1, "RUNNING")]), WAITS) == []


def test_a_gang_that_gave_way_waits_again() -> None:
    members = [member(0, "FAILED", code=143, reason=GIVES_WAY), member(1, "FAILED", reason=GIVES_WAY)]
    times = {"startedAt": milliseconds(NOW) - 90_000, "stoppedAt": milliseconds(NOW)}
    job = array("FAILED") | times
    assert decide(GANG, sight(job=job, members=members), WAITS) == [Requeue(timedelta(seconds=90))]
    # Unless nobody waits for it any more
    assert decide(GANG, sight("ABORTED", job=job, members=members), WAITS)[0] == Fail(EXECUTION_ENDED)


def test_a_job_that_batch_forgot_fails_its_task() -> None:
    claimed = NOW - timedelta(days=8)
    gang = Gang("r", 2, Market.SPOT, "token", "arn:execution", claimed, submitting_at=claimed, job_id="5f0c")
    [answer, close] = decide(gang, sight(job=None), WAITS)
    assert isinstance(answer, Fail)
    assert (answer.failure.error, answer.failure.job_id, close) == ("Gang.MemberLost", "5f0c", Close())
    assert answer.failure.sentence == (
        "Batch no longer knows the gang's job, which was not seen to end. Redrive: training goes on from its checkpoint"
    )
