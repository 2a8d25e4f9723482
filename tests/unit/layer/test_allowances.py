"""Slots and hours: what is taken once, what is refused, and what comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from spotline.allowances import KEPT, Allowances, HoursContended, Limits
from spotline.gangs import Gang
from spotline.run_table import RunTable
from spotline.runs import Market
from tests.unit.modelled import Modelled
from tests.unit.protocol.calls import TransactionCanceledException
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
ATTEMPT = timedelta(hours=6)
LIMITS = Limits(spot_gangs=2, on_demand_gangs=1, hours_per_day=12, attempt=ATTEMPT)
SPOT = Gang("r", 1, Market.SPOT, "token", "arn:execution", NOW)
ON_DEMAND = replace(SPOT, market=Market.ON_DEMAND)
DAY = ("BUDGET#20130209", "ON_DEMAND")


class Table:
    """The runs table in memory, with gangs that wait to be launched on On-Demand."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.fake = FakeDynamoDB()
        client = cast("DynamoDBClient", Modelled("dynamodb", self.fake, TableName="runs"))
        self.allowances = Allowances("runs", client, limits)
        self.records = RunTable("runs", client)
        self.gangs = [replace(ON_DEMAND, generation=generation) for generation in (1, 2, 3)]
        for gang in self.gangs:
            self.records.record_gang(gang)

    @property
    def writes(self) -> int:
        return self.fake.line.counts["update_item"] + self.fake.line.counts["transact_write_items"]

    def spent(self) -> timedelta:
        return self.allowances.spent(NOW)


@pytest.mark.parametrize(("gang", "slots"), [(SPOT, 2), (ON_DEMAND, 1)])
def test_a_market_has_as_many_slots_as_the_stack_allows(gang: Gang, slots: int) -> None:
    allowances = Table().allowances
    gangs = [replace(gang, generation=generation) for generation in range(1, slots + 2)]
    assert [allowances.take_slot(one) for one in gangs] == [True] * slots + [False]
    assert allowances.slot_holders(gang.market) == {one.name for one in gangs[:slots]}
    assert all(allowances.take_slot(one) for one in gangs[:slots]), "who holds one keeps it"
    assert allowances.slot_holders(gang.market) == {one.name for one in gangs[:slots]}


def test_a_market_s_slots_are_its_own() -> None:
    allowances = Table().allowances
    assert allowances.slot_holders(Market.SPOT) == set()
    allowances.take_slot(SPOT)
    allowances.free_slot(Market.ON_DEMAND, SPOT.name)
    assert (allowances.slot_holders(Market.SPOT), allowances.slot_holders(Market.ON_DEMAND)) == ({"r#1"}, set())
    for _ in range(2):
        allowances.free_slot(Market.SPOT, SPOT.name)
        assert allowances.slot_holders(Market.SPOT) == set()


def test_a_gang_reserves_the_longest_that_it_may_run_and_its_record_says_on_which_day() -> None:
    table = Table()
    assert table.allowances.reserve_hours(table.gangs[0], NOW)
    assert table.spent() == ATTEMPT
    assert table.fake.items[DAY] == {
        "pk": "BUDGET#20130209",
        "sk": "ON_DEMAND",
        "spent": 21600,
        "r#1": 21600,
        "expires_at": int((NOW + KEPT).timestamp()),
    }
    assert table.fake.items["RUN#r", "GANG#0001"]["hours_day"] == "20130209"


def test_slots_are_kept_under_the_keys_that_the_documents_name() -> None:
    table = Table()
    for gang in (SPOT, ON_DEMAND):
        table.allowances.take_slot(gang)
    assert table.fake.items["SLOTS", "SPOT"]["holders"] == {"r#1"}
    assert table.fake.items["SLOTS", "ON_DEMAND"]["holders"] == {"r#1"}


def test_an_attempt_that_is_longer_than_the_day_s_hours_by_a_second_has_no_room() -> None:
    for attempt, fits in ((ATTEMPT, True), (ATTEMPT + timedelta(seconds=1), False)):
        table = Table(replace(LIMITS, hours_per_day=6, attempt=attempt))
        assert table.allowances.reserve_hours(table.gangs[0], NOW) is fits


def test_nothing_is_spent_of_a_day_that_no_gang_has_reserved_on() -> None:
    assert Table().spent() == timedelta(0)


def test_a_gang_reserves_once_however_often_and_on_whichever_day_it_asks() -> None:
    table = Table()
    for day in range(3):
        assert table.allowances.reserve_hours(table.gangs[0], NOW + timedelta(days=day))
    assert table.spent() == ATTEMPT
    assert [table.allowances.spent(NOW + timedelta(days=day)) for day in (1, 2)] == [timedelta(0)] * 2


def test_a_gang_whose_record_names_its_day_asks_nobody() -> None:
    table = Table()
    before = table.fake.line.counts.copy()
    assert table.allowances.reserve_hours(replace(table.gangs[0], hours_day="20130208"), NOW)
    assert table.allowances.reserve_hours(replace(SPOT, generation=1), NOW), "Spot has no hours"
    assert table.fake.line.counts == before


def test_hours_of_a_version_that_noted_no_day_are_not_reserved_twice() -> None:
    table = Table()
    table.fake.items[DAY] = {"pk": DAY[0], "sk": DAY[1], "spent": 21600, "r#1": 21600}
    assert table.allowances.reserve_hours(table.gangs[0], NOW)
    assert table.spent() == ATTEMPT


def test_a_gang_that_was_closed_meanwhile_reserves_nothing() -> None:
    table = Table()
    table.records.close_gang(table.gangs[0], "ended")
    assert table.allowances.reserve_hours(table.gangs[0], NOW), "its launcher finds out when it claims the submission"
    assert table.spent() == timedelta(0)


@pytest.mark.parametrize(("hours", "attempts"), [(0, 0), (5, 0), (6, 1), (11, 1), (12, 2), (17, 2), (18, 3)], ids=str)
def test_a_day_has_room_for_as_many_attempts_as_fit_its_hours(hours: int, attempts: int) -> None:
    table = Table(replace(LIMITS, hours_per_day=hours))
    reserved = [table.allowances.reserve_hours(gang, NOW) for gang in table.gangs]
    assert reserved == [True] * attempts + [False] * (3 - attempts)
    assert table.spent() == attempts * ATTEMPT
    noted = ["hours_day" in table.fake.items["RUN#r", f"GANG#{gang.generation:04d}"] for gang in table.gangs]
    assert noted == reserved


def test_two_reservations_at_once_are_repeated_and_not_taken_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]

    def refuse(**_: Any) -> None:
        raise TransactionCanceledException(CancellationReasons=reasons)

    monkeypatch.setattr(table.fake, "transact_write_items", refuse)
    with pytest.raises(HoursContended) as contended:
        table.allowances.reserve_hours(table.gangs[0], NOW)
    assert contended.value.operation_name == "TransactWriteItems"
    assert contended.value.response.get("CancellationReasons") == reasons


@pytest.mark.parametrize("why", [{}, {"CancellationReasons": []}, {"CancellationReasons": [{}]}], ids=str)
def test_a_refusal_that_dynamodb_does_not_explain_is_one_when_there_is_no_reservation(
    why: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table()

    def refuse(**_: Any) -> None:
        raise TransactionCanceledException(**why)

    monkeypatch.setattr(table.fake, "transact_write_items", refuse)
    assert not table.allowances.reserve_hours(table.gangs[0], NOW)


@pytest.mark.parametrize("used", [timedelta(0), timedelta(hours=1), timedelta(hours=7)], ids=str)
def test_a_gang_settles_what_it_used_in_the_place_of_what_it_reserved(used: timedelta) -> None:
    table = Table()
    for gang in table.gangs[:2]:
        table.allowances.reserve_hours(gang, NOW)
    for _ in range(2):
        table.allowances.settle_hours(table.gangs[0], used)
        assert table.spent() == ATTEMPT + used
    assert table.fake.items[DAY]["r#1"] == used.total_seconds()


def test_a_gang_settles_on_the_day_that_it_or_its_record_names() -> None:
    table = Table()
    tomorrow = NOW + timedelta(days=1)
    table.allowances.reserve_hours(table.gangs[0], tomorrow)
    table.allowances.settle_hours(table.gangs[0], timedelta(hours=2))
    assert table.allowances.spent(tomorrow) == timedelta(hours=2)
    before = table.fake.line.counts["get_item"]
    table.allowances.settle_hours(replace(table.gangs[0], hours_day="20130210"), timedelta(hours=3))
    assert table.allowances.spent(tomorrow) == timedelta(hours=3)
    assert table.fake.line.counts["get_item"] == before + 2, "its record was read already"


def test_what_was_reserved_before_days_were_noted_is_settled_on_the_day_of_the_task() -> None:
    table = Table()
    table.fake.items[DAY] = {"pk": DAY[0], "sk": DAY[1], "spent": 21600, "r#1": 21600}
    table.allowances.settle_hours(table.gangs[0], timedelta(hours=1))
    assert table.spent() == timedelta(hours=1)


def test_who_reserved_nothing_has_nothing_to_settle() -> None:
    table = Table()
    before = table.writes
    table.allowances.settle_hours(table.gangs[0], timedelta(hours=1))
    table.allowances.settle_hours(replace(SPOT, generation=9), timedelta(hours=1))
    assert table.writes == before
    assert DAY not in table.fake.items
    # What ran as long as it reserved needs no write either
    table.allowances.reserve_hours(table.gangs[0], NOW)
    before = table.writes
    table.allowances.settle_hours(table.gangs[0], ATTEMPT)
    assert table.writes == before


def test_spot_settles_nothing_even_where_an_on_demand_gang_of_its_name_has_reserved() -> None:
    table = Table()
    table.allowances.reserve_hours(table.gangs[0], NOW)
    table.allowances.settle_hours(SPOT, timedelta(0))
    assert table.spent() == ATTEMPT


def test_of_two_that_settle_at_once_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given one that has read what is reserved, and another one that settles before it writes
    table = Table()
    table.allowances.reserve_hours(table.gangs[0], NOW)
    update = table.fake.update_item

    def overtaken(**arguments: Any) -> Any:
        monkeypatch.setattr(table.fake, "update_item", update)
        table.allowances.settle_hours(table.gangs[0], timedelta(hours=1))
        return update(**arguments)

    monkeypatch.setattr(table.fake, "update_item", overtaken)
    table.allowances.settle_hours(table.gangs[0], timedelta(hours=2))
    # Then the day has the first one's hours, once
    assert table.spent() == timedelta(hours=1)
