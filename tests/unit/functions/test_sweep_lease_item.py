"""The lease of the sweeps: the one item of the runs table, moment by moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from sweeping import lease
from sweeping.days import BEGINNING, OTHER, Place
from sweeping.lease import CLOCKS, HANDOVER, Lease
from tests.unit.modelled import Modelled
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
LIFETIME = timedelta(minutes=15)
PLACE = Place("20130201-20130209", "data/flights/20130205/f.csv")


class Table(FakeDynamoDB):
    """The runs table, whose one item is the lease."""

    @property
    def item(self) -> dict[str, Any]:
        [((pk, sk), item)] = self.items.items()
        assert (pk, sk) == ("SWEEP", "LEASE")
        return item

    def new_lease(self) -> Lease:
        return Lease(cast("Any", Modelled("dynamodb", self, TableName="runs")), "runs")


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time, as its last entry."""
    times = [NOW]

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            assert tz is UTC
            return times[-1]

    monkeypatch.setattr(lease, "datetime", Stopped)
    return times


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_the_first_sweep_of_a_stack_begins_at_the_beginning(table: Table) -> None:
    assert table.new_lease().take("", LIFETIME) == BEGINNING
    assert table.item["lease_until"] == seconds(NOW + LIFETIME + CLOCKS)


def test_while_one_has_it_nobody_else_gets_it_until_it_is_over(table: Table, clock: list[datetime]) -> None:
    table.new_lease().take("", LIFETIME)
    for after, taken in (
        (timedelta(0), False),
        (LIFETIME + CLOCKS, False),
        (LIFETIME + CLOCKS + timedelta(seconds=1), True),
    ):
        clock.append(NOW + after)
        assert (table.new_lease().take("", LIFETIME) is not None) is taken


def test_a_call_that_the_sdk_repeats_takes_it_again(table: Table) -> None:
    mine = table.new_lease()
    assert mine.take("", LIFETIME) == BEGINNING
    assert mine.take("", LIFETIME) == BEGINNING
    assert mine.take("a ticket that was used", LIFETIME) == BEGINNING


def test_whoever_shows_the_ticket_goes_on_and_nobody_else_before_the_handover_is_over(
    table: Table, clock: list[datetime]
) -> None:
    first = table.new_lease()
    first.take("", LIFETIME)
    ticket = first.hand_over(PLACE)
    assert table.item["lease_until"] == seconds(NOW + HANDOVER)
    assert ticket
    for wrong in ("", "another"):
        assert table.new_lease().take(wrong, LIFETIME) is None
    second = table.new_lease()
    assert second.take(ticket, LIFETIME) == PLACE
    # A ticket is good once
    assert "lease_ticket" not in table.item
    assert table.new_lease().take(ticket, LIFETIME) is None
    # And every one is another one
    assert second.hand_over(PLACE) != ticket
    clock.append(NOW + HANDOVER + timedelta(seconds=1))
    assert table.new_lease().take("", LIFETIME) == PLACE


def test_a_place_that_is_left_is_the_next_ones_at_once(table: Table) -> None:
    mine = table.new_lease()
    mine.take("", LIFETIME)
    mine.leave_at(PLACE)
    assert (table.item["lease_until"], table.item["lease_ticket"]) == (0, "")
    assert table.new_lease().take("", LIFETIME) == PLACE


def test_a_sweep_that_is_done_or_failed_leaves_the_beginning(table: Table) -> None:
    mine = table.new_lease()
    mine.take("", LIFETIME)
    assert mine.__enter__() is mine
    with pytest.raises(ZeroDivisionError), mine:
        raise ZeroDivisionError
    assert (table.item["swept_days"], table.item["swept_key"], table.item["lease_until"]) == ("", "", 0)


@pytest.mark.parametrize("how", ["leave_at", "hand_over"])
def test_what_was_left_in_between_stays(table: Table, how: str) -> None:
    mine = table.new_lease()
    mine.take("", LIFETIME)
    with mine:
        getattr(mine, how)(PLACE)
    assert (table.item["swept_days"], table.item["swept_key"]) == (PLACE.days, PLACE.after)
    assert (table.item["lease_until"] == 0) is (how == "leave_at")


def test_one_whose_lease_somebody_else_has_meanwhile_leaves_nothing(table: Table, clock: list[datetime]) -> None:
    late = table.new_lease()
    late.take("", LIFETIME)
    clock.append(NOW + timedelta(hours=1))
    table.new_lease().take("", LIFETIME)
    before = dict(table.item)
    with pytest.raises(table.exceptions.ConditionalCheckFailedException):
        late.leave_at(PLACE)
    assert table.item == before


@pytest.mark.parametrize(
    ("days", "key", "place"),
    [
        ("20130201-20130209", "data/x", Place("20130201-20130209", "data/x")),
        ("20130201-20130209", "", Place("20130201-20130209")),
        (OTHER, "data/x", Place(OTHER, "data/x")),
        ("", "data/x", BEGINNING),
        ("20130201", "data/x", BEGINNING),
        ("others", "data/x", BEGINNING),
        ("x20130201-20130209", "data/x", BEGINNING),
    ],
)
def test_what_somebody_wrote_into_the_item_is_no_place(table: Table, days: str, key: str, place: Place) -> None:
    table.items["SWEEP", "LEASE"] = {"pk": "SWEEP", "sk": "LEASE", "swept_days": days, "swept_key": key}
    assert table.new_lease().take("", LIFETIME) == place


@pytest.mark.parametrize("written", [{}, {"swept_days": OTHER}, {"swept_days": 7, "swept_key": "data/x"}])
def test_an_item_without_a_whole_place_is_read_all_the_same(table: Table, written: dict[str, Any]) -> None:
    table.items["SWEEP", "LEASE"] = {"pk": "SWEEP", "sk": "LEASE", **written}
    assert table.new_lease().take("", LIFETIME) == (Place(OTHER) if written == {"swept_days": OTHER} else BEGINNING)


@pytest.mark.parametrize("until", [seconds(NOW) * 1000, seconds(NOW + timedelta(days=400))])
def test_a_lease_that_no_sweep_can_have_taken_is_nobodys(table: Table, until: int) -> None:
    table.new_lease().take("", LIFETIME)
    table.item["lease_until"] = until
    assert table.new_lease().take("", LIFETIME) == BEGINNING
    assert table.item["lease_until"] == seconds(NOW + LIFETIME + CLOCKS)
