"""Who gets a slot, who gives one back, and who stops waiting for one: what `Handout` does, with everything around it played."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from handing_out import Handout
from seen import Seen
from spotline.allowances import Limits
from spotline.failures import GIVES_WAY
from spotline.gangs import SUBMITTING, Close, Fail, Gang, fail_for_slot
from spotline.launching import Launched
from spotline.runs import Market, Priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spotline.gangs import Action

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
PATIENCE = timedelta(hours=2)
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Query")


def waiting(run_id: str, minutes: int = 5, **more: Any) -> Gang:
    """A gang whose Task asked for it so many minutes ago."""
    return Gang(run_id, 1, more.pop("market", Market.SPOT), "token", "arn", NOW - timedelta(minutes=minutes), **more)


def running(run_id: str, **more: Any) -> Gang:
    return waiting(run_id, submitting_at=NOW - timedelta(hours=1), job_id=f"job of {run_id}", **more)


@dataclass
class Rig:
    """A handout; `holders` has the slots of each market, and `ends` what comes of launching a run's gang."""

    slots: int = 9
    holders: dict[Market, set[str]] = field(default_factory=lambda: {market: set() for market in Market})
    ends: dict[str, Launched] = field(default_factory=dict)
    useless: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    open_gangs: set[tuple[str, int]] = field(default_factory=set)
    spent: timedelta = timedelta(0)
    settled: list[str] = field(default_factory=list)
    launched: list[str] = field(default_factory=list)
    freed: list[tuple[Market, str]] = field(default_factory=list)
    terminated: list[tuple[str, str]] = field(default_factory=list)
    acted: list[tuple[str, list[Action]]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def settle(self, gang: Gang, seen: Seen) -> bool:
        assert seen is self.seen
        self.settled.append(gang.run_id)
        if gang.run_id in self.broken:
            raise DENIED
        return gang.run_id not in self.useless

    def launch(self, gang: Gang) -> Launched:
        self.launched.append(gang.run_id)
        return self.ends.get(gang.run_id, Launched.SUBMITTED)

    def is_open(self, run_id: str, generation: int) -> bool:
        if run_id in self.broken:
            raise DENIED
        return (run_id, generation) in self.open_gangs

    def act(self, gang: Gang, actions: Sequence[Action]) -> None:
        self.acted.append((gang.run_id, list(actions)))

    @property
    def handout(self) -> Handout:
        limits = Limits(spot_gangs=9, on_demand_gangs=4, hours_per_day=24, attempt=timedelta(hours=6))
        allowances = SimpleNamespace(
            slot_holders=lambda market: set(self.holders[market]),
            free_slot=lambda market, holder: self.freed.append((market, holder)),
            spent=lambda now: self.spent if now == NOW else timedelta(0),
        )
        batch = SimpleNamespace(terminate_job=lambda *, jobId, reason: self.terminated.append((jobId, reason)))  # noqa: N803  as the API names it
        settings = SimpleNamespace(
            slots=lambda market: self.slots if market is Market.SPOT else 0,
            limits=limits,
            spot_slot_max_wait_seconds=PATIENCE.total_seconds(),
        )
        return Handout(
            cast("Any", SimpleNamespace(batch=batch)),
            cast("Any", SimpleNamespace(is_open=self.is_open)),
            cast("Any", allowances),
            cast("Any", SimpleNamespace(launch=self.launch)),
            cast("Any", settings),
            lambda: NOW,
            self.settle,
            self.act,
            lambda: False,
        )

    def hand_out(self, *gangs: Gang) -> list[str]:
        self.handout.hand_out(Market.SPOT, gangs, self.seen)
        return self.launched


# Giving slots to gangs that wait


def test_the_days_work_goes_before_a_backfills_and_the_oldest_first() -> None:
    order = [
        waiting("b-old", 30),
        waiting("a-young", 10),
        waiting("c-young", 10),
        waiting("old-backfill", 50, priority=Priority.BACKFILL),
        waiting("a-backfill", 5, priority=Priority.BACKFILL),
    ]
    names = [gang.run_id for gang in order]
    assert Rig().hand_out(*order) == names
    assert Rig().hand_out(*reversed(order)) == names


def test_only_gangs_that_wait_in_the_market_get_its_slots() -> None:
    rig = Rig()
    launched = rig.hand_out(
        waiting("elsewhere", market=Market.ON_DEMAND),
        running("runs"),
        waiting("submitted a moment ago", submitting_at=NOW - SUBMITTING + timedelta(seconds=1)),
        waiting("its launcher died", submitting_at=NOW - SUBMITTING),
        waiting("waits"),
    )
    assert launched == ["its launcher died", "waits"]
    assert rig.seen.done == ["its launcher died#1: submitted", "waits#1: submitted"]
    assert rig.seen.launched == [Market.SPOT, Market.SPOT]


@pytest.mark.parametrize(("slots", "held", "launched"), [(2, 0, 2), (2, 1, 1), (2, 2, 0), (2, 3, 0), (0, 0, 0)])
def test_as_many_gangs_are_launched_as_slots_are_free_and_no_other_is_read(
    slots: int, held: int, launched: int
) -> None:
    rig = Rig(slots, {Market.SPOT: {f"held#{number}" for number in range(held)}, Market.ON_DEMAND: set()})
    names = ["1", "2", "3"]
    assert rig.hand_out(*(waiting(name) for name in names)) == names[:launched]
    assert rig.settled == names[:launched]


def test_slots_of_the_other_market_count_for_nothing() -> None:
    assert Rig(1, {Market.SPOT: set(), Market.ON_DEMAND: {"held#1"}}).hand_out(waiting("waits")) == ["waits"]


def test_a_gang_that_holds_its_slot_already_is_launched_whatever_is_free() -> None:
    # Its launcher died between slot and submission
    rig = Rig(1, {Market.SPOT: {"z-has#1"}, Market.ON_DEMAND: set()})
    assert rig.hand_out(waiting("a-has-none"), waiting("z-has")) == ["z-has"]
    # And takes no second one
    rig = Rig(2, {Market.SPOT: {"a-has#1"}, Market.ON_DEMAND: set()})
    assert rig.hand_out(waiting("a-has"), waiting("b"), waiting("c")) == ["a-has", "b"]


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (Launched.SUBMITTED, ["b"]),
        (Launched.ELSEWHERE, ["b"]),
        (Launched.STOPPED, ["b"]),
        (Launched.EXHAUSTED, ["b", "c"]),
        (Launched.REFUSED, ["b", "c"]),
        (Launched.WAITING, []),
    ],
)
def test_a_slot_is_used_up_unless_the_launch_came_to_nothing(end: Launched, after: list[str]) -> None:
    rig = Rig(2, ends={"a": end})
    assert rig.hand_out(*(waiting(name) for name in "abcd")) == ["a", *after]
    assert rig.seen.done[0] == f"a#1: {end.value}"
    submitted = [end is Launched.SUBMITTED, *(True for _ in after)].count(True)
    assert rig.seen.launched == [Market.SPOT] * submitted


def test_when_somebody_else_was_faster_only_gangs_with_a_slot_are_still_launched() -> None:
    rig = Rig(5, {Market.SPOT: {"c#1"}, Market.ON_DEMAND: set()}, ends={"a": Launched.WAITING})
    assert rig.hand_out(*(waiting(name) for name in "abc")) == ["a", "c"]


def test_a_gang_that_is_over_or_cannot_be_read_takes_nobodys_slot() -> None:
    rig = Rig(1, useless={"a"}, broken={"b"})
    assert rig.hand_out(*(waiting(name) for name in "abcd")) == ["c"]
    assert rig.settled == ["a", "b", "c"]
    assert [line.partition(":")[0] for line in rig.seen.failed] == ["b"]


# Taking slots back


def test_a_slot_is_taken_back_from_whoever_has_no_open_record() -> None:
    rig = Rig(open_gangs={("lags", 1), ("newer", 2)}, broken={"unreadable"})
    rig.holders[Market.SPOT] = {"listed#1", "lags#1", "gone#1", "newer#1", "junk", "unreadable#1"}
    rig.handout.take_back(Market.SPOT, [waiting("listed")], rig.seen)
    assert rig.freed == [(Market.SPOT, name) for name in ("gone#1", "junk", "newer#1")]
    assert rig.seen.done == [f"{name}: freed its slot" for name in ("gone#1", "junk", "newer#1")]
    assert [line.partition(":")[0] for line in rig.seen.failed] == ["unreadable#1"]


def test_only_the_markets_own_slots_are_taken_back() -> None:
    rig = Rig()
    rig.holders[Market.ON_DEMAND] = {"gone#1"}
    rig.handout.take_back(Market.SPOT, [], rig.seen)
    assert rig.freed == []
    rig.handout.take_back(Market.ON_DEMAND, [], rig.seen)
    assert rig.freed == [(Market.ON_DEMAND, "gone#1")]


# Making room for the day's work

BACKFILL = running("backfill", priority=Priority.BACKFILL)
DAILY = waiting("daily")


@pytest.mark.parametrize(
    ("gangs", "slots", "gives_way"),
    [
        pytest.param([BACKFILL, DAILY], 1, True, id="the day's waits behind a backfill's"),
        pytest.param([BACKFILL, DAILY, waiting("b", 50, priority=Priority.BACKFILL)], 1, True, id="a backfill's, too"),
        pytest.param([BACKFILL, DAILY], 2, False, id="a slot is free"),
        pytest.param([BACKFILL], 1, False, id="nobody waits"),
        pytest.param([BACKFILL, replace(DAILY, priority=Priority.BACKFILL)], 1, False, id="a backfill's waits"),
        pytest.param([BACKFILL, replace(DAILY, market=Market.ON_DEMAND)], 1, False, id="it waits in another market"),
        pytest.param([replace(BACKFILL, market=Market.ON_DEMAND), DAILY], 1, False, id="it runs in another market"),
        pytest.param([replace(BACKFILL, priority=Priority.DAILY), DAILY], 1, False, id="the day's work runs"),
        pytest.param([replace(BACKFILL, job_id=None), DAILY], 1, False, id="it has no job yet"),
        pytest.param([replace(BACKFILL, run_id="other"), DAILY], 1, False, id="it has no slot to give"),
        pytest.param([BACKFILL, running("daily")], 1, False, id="the day's runs already"),
    ],
)
def test_when_a_backfills_gang_gives_its_slot(gangs: list[Gang], slots: int, gives_way: bool) -> None:
    rig = Rig(slots, {Market.SPOT: {BACKFILL.name}, Market.ON_DEMAND: set()})
    rig.handout.make_room(Market.SPOT, gangs, rig.seen)
    assert rig.terminated == ([("job of backfill", GIVES_WAY)] if gives_way else [])
    assert rig.seen.done == (["backfill#1: gives its slot to daily#1"] if gives_way else [])


def test_room_is_made_by_the_slots_of_its_own_market() -> None:
    # Given that On-Demand has as many holders as Spot has slots, and Spot has room
    rig = Rig(1, {Market.SPOT: set(), Market.ON_DEMAND: {BACKFILL.name}})
    rig.handout.make_room(Market.SPOT, [BACKFILL, DAILY], rig.seen)
    assert rig.terminated == []


# Going on to On-Demand


def tired(run_id: str, **more: Any) -> Gang:
    return waiting(run_id, 121, **{"falls_back": True, **more})


def went(rig: Rig, *gangs: Gang) -> list[str]:
    rig.handout.fall_back(gangs, rig.seen)
    return [run_id for run_id, _ in rig.acted]


def test_a_run_goes_on_to_on_demand_once_it_has_waited_too_long_for_spot() -> None:
    gang = tired("a")
    rig = Rig()
    assert went(rig, gang) == ["a"]
    assert rig.acted == [("a", [Fail(fail_for_slot(gang, PATIENCE)), Close()])]
    assert rig.seen.done == ["a#1: goes on to On-Demand"]


@pytest.mark.parametrize(
    "gang",
    [
        pytest.param(waiting("a", 120, falls_back=True), id="it has waited just as long as it may"),
        pytest.param(tired("a", falls_back=False), id="it may use Spot only"),
        pytest.param(tired("a", market=Market.ON_DEMAND), id="it waits for On-Demand"),
        pytest.param(tired("a", job_id="job"), id="it runs"),
    ],
)
def test_no_other_run_does(gang: Gang) -> None:
    assert went(Rig(), gang) == []


@pytest.mark.parametrize(
    ("held", "also_waiting", "hours_spent", "go"),
    [
        (0, 0, 0, 4),  # four slots, and hours for four attempts of six
        (1, 0, 0, 3),
        (1, 1, 0, 2),
        (4, 0, 0, 0),
        (4, 9, 0, 0),
        (0, 0, 6, 3),
        (0, 0, 7, 2),
        (0, 0, 19, 0),
        (0, 0, 99, 0),
        (2, 0, 18, 1),
        (3, 0, 6, 1),
    ],
)
def test_as_many_go_as_on_demand_can_launch_now(held: int, also_waiting: int, hours_spent: int, go: int) -> None:
    rig = Rig(spent=timedelta(hours=hours_spent))
    rig.holders = {
        Market.SPOT: {f"spot#{number}" for number in range(9)},
        Market.ON_DEMAND: {f"held#{number}" for number in range(held)},
    }
    others = [waiting(f"other {number}", market=Market.ON_DEMAND) for number in range(also_waiting)]
    names = ["a", "b", "c", "d", "e"]
    assert went(rig, *(tired(name) for name in names), *others) == names[:go]


def test_a_run_that_is_over_or_cannot_be_read_does_not_go_and_keeps_nobody_from_it() -> None:
    rig = Rig(useless={"a"}, broken={"b"})
    assert went(rig, tired("a"), tired("b"), tired("c")) == ["c"]
    assert [line.partition(":")[0] for line in rig.seen.failed] == ["b"]
    assert rig.seen.done == ["c#1: goes on to On-Demand"]
