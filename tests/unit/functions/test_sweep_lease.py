"""One sweep works at a time, whoever starts it, and what it did not come to is the next one's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sweeping import work
from sweeping.days import Place
from sweeping.lease import CLOCKS, HANDOVER, KEY, Lease
from tests.unit.functions.test_sweep_isolation import break_service

if TYPE_CHECKING:
    from tests.unit.functions.sweep_account import Account

LIFETIME = timedelta(minutes=15)


def land_days(account: Account, days: int) -> list[str]:
    """Land a file a day; answers their runs, newest day first."""
    return [account.land(f"data/flights/201302{day:02d}/f.csv") for day in range(days, 0, -1)]


def lease_of(account: Account) -> Lease:
    return Lease(account.dynamodb, "runs")


def item_of(account: Account) -> dict[str, Any]:
    return account.dynamodb.get_item(TableName="runs", Key=KEY, ConsistentRead=True)["Item"]


def expire(account: Account) -> None:
    """Let so much time pass that the lease is over."""
    account.dynamodb.update_item(
        TableName="runs",
        Key=KEY,
        UpdateExpression="SET lease_until = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )


def test_a_second_sweep_reports_late_days_and_failures_and_leaves_the_files_to_the_one_at_work(
    account: Account,
) -> None:
    # Given a late day, a run that was stopped, and a sweep at work
    hour = datetime.now(UTC) - timedelta(hours=1)
    contract = {"fields": [{"name": "a"}], "spotline": {"delivery": {"expectedBy": f"{hour:%H:%M}"}}}
    account.s3.put_object(Bucket="ingest", Key="contracts/trains.json", Body=json.dumps(contract))
    stopped = account.land("data/flights/20130131/f.csv")
    account.sweep()
    account.stop(stopped)
    account.functions.asked.clear()
    land_days(account, 1)
    assert lease_of(account).take("", LIFETIME) == Place()
    # When the next hour comes
    answer = account.sweep()
    # Then it says so, starts nothing and asks for no further invocation
    assert (answer["busy"], answer["seen"], answer["started"]) == (True, 0, [])
    assert account.executions() == [stopped]
    assert account.functions.of("sweep") == []
    # But for what nobody else does
    told = account.functions.of("notify")
    assert {event.get("dataset") or event["detail"]["name"] for event in told} == {"trains", stopped}
    # And a backfill is nobody's concern
    backfill = {"from": "20130201", "to": "20130228", "dataset": "flights"}
    assert len(account.sweep(backfill)["started"]) == 1


def test_an_hour_between_two_invocations_of_a_sweep_does_not_overlap_with_it(account: Account) -> None:
    runs = land_days(account, 3)
    assert account.sweep(milliseconds=0)["started"] == runs[:1]
    [event] = account.functions.of("sweep")
    # When the schedule comes before the invocation that was asked for
    assert account.sweep()["busy"]
    # Then that one goes on where the first one stopped
    assert account.sweep(event)["seen"] == 2
    assert account.executions() == sorted(runs)


def test_an_event_that_is_delivered_twice_goes_on_once(account: Account) -> None:
    runs = land_days(account, 3)
    account.sweep(milliseconds=0)
    [event] = account.functions.of("sweep")
    ticket = event["continue"]["ticket"]
    assert lease_of(account).take(ticket, LIFETIME) is not None
    assert account.sweep(event)["busy"]
    assert account.executions() == runs[:1]


def test_a_sweep_that_died_is_followed_when_its_lease_is_over_and_from_where_it_was_left(account: Account) -> None:
    runs = land_days(account, 3)
    account.sweep(milliseconds=0)
    [event] = account.functions.of("sweep")
    # Given that the second invocation took over, and died
    began = datetime.now(UTC)
    lease_of(account).take(event["continue"]["ticket"], LIFETIME)
    until = datetime.fromtimestamp(int(item_of(account)["lease_until"]["N"]), UTC)
    assert abs(until - began - LIFETIME - CLOCKS) < timedelta(seconds=5)
    assert account.sweep()["busy"]
    # When the lease is over, then the next hour goes on
    expire(account)
    assert account.sweep()["seen"] == 2
    assert account.executions() == sorted(runs)


def test_an_invocation_that_never_began_keeps_the_next_hour_out_for_minutes_only(account: Account) -> None:
    runs = land_days(account, 2)
    began = datetime.now(UTC)
    account.sweep(milliseconds=0)
    ended = datetime.now(UTC)
    until = datetime.fromtimestamp(int(item_of(account)["lease_until"]["N"]), UTC)
    second = timedelta(seconds=1)  # the item's times are whole seconds
    assert began - second <= until - HANDOVER <= ended + second
    expire(account)
    assert account.sweep()["seen"] == 1
    assert account.executions() == sorted(runs)


def test_a_repeated_call_does_not_lock_out_the_invocation_that_made_it(account: Account) -> None:
    lease = lease_of(account)
    assert lease.take("", LIFETIME) == Place()
    assert lease.take("", LIFETIME) == Place()
    assert lease_of(account).take("", LIFETIME) is None


def test_an_error_frees_the_lease_and_the_next_sweep_begins_with_the_newest_days(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = land_days(account, work.OUTAGE + 1)
    account.sweep(milliseconds=0)
    [event] = account.functions.of("sweep")
    with monkeypatch.context() as broken:
        break_service(broken, "stepfunctions", "start_execution", lambda _: True, "ThrottlingException")
        with pytest.raises(work.Outage):
            account.sweep(event)
    late = account.land("data/flights/20130228/f.csv")
    answer = account.sweep()
    assert (answer["started"][0], answer["seen"]) == (late, len(runs) + 1)


def test_a_sweep_whose_next_invocation_cannot_be_asked_for_frees_its_lease_and_keeps_its_place(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = land_days(account, 2)

    def refuse(**_: Any) -> None:
        raise ConnectionError("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(account.functions, "invoke", refuse)
        with pytest.raises(ConnectionError):
            account.sweep(milliseconds=0)
    assert account.sweep()["started"] == runs[1:]
    assert item_of(account)["swept_days"] == {"S": ""}


def test_a_place_that_nobody_can_read_is_the_beginning(account: Account) -> None:
    runs = land_days(account, 2)
    account.dynamodb.put_item(
        TableName="runs", Item={**KEY, "swept_days": {"S": "yesterday"}, "swept_key": {"S": "data/z"}}
    )
    assert account.sweep()["started"] == runs
