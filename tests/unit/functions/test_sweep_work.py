"""The work of one invocation: what is started, what is left, and when it stops."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from spotline.runs import MarketChoice, Priority, Run, Source
from spotline.starting import Refused, Shares, run_of
from sweeping.attempts import Attempt, Left
from sweeping.listing import Landed, Passed
from sweeping.requests import Backfill
from sweeping.work import OUTAGE, Outage, Starter, Tally, each, fill, find_missed
from tests.unit.functions.memory import MACHINE, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
DAYS = "20130209-20130209"


def landed(name: str, size: int = 9, days: str = DAYS) -> Landed:
    return Landed(Source("ingest", f"data/flights/20130209/{name}.csv", "v1", size), NOW, days)


def starter(steps: Steps | None = None, shares: Any = None) -> Starter:
    return Starter(cast("Any", steps or Steps()), MACHINE, 1000, shares)


# One after the other


def work(*found: Landed | Passed, stop_after: int = 10**6, bad: Sequence[str] = ()) -> tuple[list[str], Tally]:
    """Go through what was found; time is up before number `stop_after`. Answers the names that were acted on, and the tally."""
    done: list[str] = []
    tally = Tally()
    asked = iter(range(10**6))

    def act(one: Landed) -> None:
        name = one.source.key.rpartition("/")[2].removesuffix(".csv")
        done.append(name)
        if name in bad:
            raise ZeroDivisionError(name)

    each(found, tally, lambda: next(asked) >= stop_after - 1, act)
    return done, tally


def test_everything_is_done_and_nothing_is_left_to_go_on_with() -> None:
    done, tally = work(landed("a"), Passed("data/k", 3, DAYS), landed("b"))
    assert done == ["a", "b"]
    assert (tally.seen, tally.stopped_after, tally.failed, tally.refused) == (5, None, [], [])


@pytest.mark.parametrize(
    ("stop_after", "done", "seen", "stopped"),
    [
        (0, ["a"], 1, ("data/flights/20130209/a.csv", DAYS)),
        (1, ["a"], 1, ("data/flights/20130209/a.csv", DAYS)),
        (2, ["a"], 4, ("data/k", "20130201-20130208")),
        (3, ["a", "b"], 5, ("data/flights/20130209/b.csv", DAYS)),
    ],
)
def test_when_time_is_up_it_stops_behind_what_is_done_and_the_first_is_done_in_any_case(
    stop_after: int, done: list[str], seen: int, stopped: tuple[str, str]
) -> None:
    acted, tally = work(
        landed("a"), Passed("data/k", 3, "20130201-20130208"), landed("b"), landed("c"), stop_after=stop_after
    )
    assert (acted, tally.seen) == (done, seen)
    assert (tally.stopped_after, tally.stopped_in) == stopped


def test_one_that_fails_is_named_and_the_others_are_done() -> None:
    done, tally = work(landed("a"), landed("b"), landed("c"), bad=["b"])
    assert (done, tally.seen) == (["a", "b", "c"], 3)
    assert tally.failed == ["data/flights/20130209/b.csv: ZeroDivisionError: b"]


def test_ten_failures_in_a_row_are_an_outage() -> None:
    names = [f"{number:02d}" for number in range(OUTAGE + 1)]
    with pytest.raises(Outage) as outage:
        work(*map(landed, names), bad=names)
    assert str(outage.value) == (
        "10 objects in a row failed, the last one by: data/flights/20130209/09.csv: ZeroDivisionError: 09"
    )


def test_failures_with_a_success_between_them_are_none() -> None:
    names = [f"{number:02d}" for number in range(25)]
    done, tally = work(*map(landed, names), bad=[name for name in names if name not in ("09", "19")])
    assert done == names
    assert len(tally.failed) == 23


def test_what_no_run_can_be_made_of_is_refused_and_no_failure() -> None:
    tally = Tally()

    def act(one: Landed) -> None:
        raise Refused(f"{one.source.key} is too large")

    found = [landed(f"{number:02d}") for number in range(OUTAGE + 1)]
    each(found, tally, lambda: False, act)
    assert tally.refused == [f"{one.source.key} is too large" for one in found]
    assert (tally.failed, tally.seen) == ([], OUTAGE + 1)


def test_the_answer_has_everything_that_came_of_it() -> None:
    tally = Tally(seen=3, started=["a"], refused=["b"], failed=["c"])
    tally.leave(Left.RAN)
    tally.leave(Left.RUNNING)
    tally.leave(Left.RAN)
    assert tally.to_answer() == {
        "seen": 3,
        "started": ["a"],
        "left": {"ran": 2, "running": 1},
        "refused": ["b"],
        "continues": False,
        "failed": ["c"],
    }
    tally.stopped_after = ""
    assert tally.to_answer()["continues"] is True


# Starting


def test_a_starter_makes_the_run_that_ingest_makes() -> None:
    class Named:
        def of(self, dataset: str) -> str:
            return f"share of {dataset}"

    one = landed("a")
    shares = cast("Shares", Named())
    assert starter().run(one) == run_of(one.source, 1000)
    assert starter(shares=shares).run(one) == run_of(one.source, 1000, shares)
    assert starter().run(landed("a", size=1000)).source.size == 1000
    with pytest.raises(Refused):
        starter().run(landed("a", size=1001))


def test_a_sweep_starts_what_has_no_run_and_leaves_what_has_one() -> None:
    steps, tally = Steps(), Tally()
    act = find_missed(starter(steps), tally)
    for _ in range(2):
        act(landed("a"))
        for name in steps.executions:
            steps.stop(name)
    run = run_of(landed("a").source, 1000)
    assert steps.executions[run.run_id]["input"] == run.to_input()
    assert (tally.started, tally.left) == ([run.run_id], {"ran": 1})


class Past:
    """What a version has been through; a backfill asks for it by the name of its first run."""

    def __init__(self, *attempts: Attempt) -> None:
        self.attempts = list(attempts)
        self.asked: list[tuple[str, bool]] = []

    def of(self, run_id: str, *, reruns: bool) -> list[Attempt]:
        self.asked.append((run_id, reruns))
        return self.attempts


def fill_one(past: Past, *, force: bool = False, steps: Steps | None = None) -> tuple[Steps, Tally]:
    steps, tally = steps or Steps(), Tally()
    backfill = Backfill("20130201", "20130228", "flights", force, "tuesday")
    fill(starter(steps), cast("Any", past), backfill, tally)(landed("a"))
    return steps, tally


FIRST = run_of(landed("a").source, 1000)


@pytest.mark.parametrize(
    ("attempts", "force", "name", "request_"),
    [
        ([], False, FIRST.run_id, ""),
        ([], True, FIRST.run_id, "tuesday"),
        ([Attempt(0)], True, f"{FIRST.run_id}-r1", "tuesday"),
        ([Attempt(0), Attempt(1, request="monday")], True, f"{FIRST.run_id}-r2", "tuesday"),
    ],
)
def test_a_backfill_starts_a_run_on_spot_only_and_behind_the_days_work(
    attempts: list[Attempt], force: bool, name: str, request_: str
) -> None:
    past = Past(*attempts)
    steps, tally = fill_one(past, force=force)
    assert past.asked == [(FIRST.run_id, force)]
    assert (tally.started, tally.left) == ([name], {})
    run = Run.from_input(steps.executions[name]["input"])
    assert run == Run(
        name,
        "flights",
        "20130209",
        landed("a").source,
        market=MarketChoice.SPOT_ONLY,
        priority=Priority.BACKFILL,
        request=request_,
    )


@pytest.mark.parametrize(
    ("attempt", "force", "left"),
    [
        (Attempt(0), False, "ran"),
        (Attempt(0, running=True), True, "running"),
        (Attempt(0, request="tuesday"), True, "started before"),
    ],
)
def test_a_backfill_leaves_what_ran_runs_or_was_started_by_it(attempt: Attempt, force: bool, left: str) -> None:
    steps, tally = fill_one(Past(attempt), force=force)
    assert (steps.executions, tally.started, tally.left) == ({}, [], {left: 1})


def test_a_run_that_somebody_else_started_a_moment_ago_runs() -> None:
    steps = Steps()
    steps.executions[FIRST.run_id] = {"status": "RUNNING", "input": FIRST.to_input()}
    _, tally = fill_one(Past(), steps=steps)
    assert (tally.started, tally.left) == ([], {"running": 1})
