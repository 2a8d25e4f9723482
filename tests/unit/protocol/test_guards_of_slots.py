"""A gang has one job, a market so many gangs, a day so many hours: what keeps it so, shown as in test_guards.py."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from spotline.runs import Market
from tests.unit.protocol.calls import Crashed
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, guards, launch_all
from tests.unit.protocol.steps import ON_DEMAND
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from spotline import gangs

NO_ROOM = "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"


def a_look_dies_right_after_it_submitted() -> None:
    world = World()
    at_the_gang(world, "v1", "v2")
    launch_all(world)
    assert len(gang_jobs(world)) == 1, "the second waits for a slot"
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.finish_job(gang_jobs(world)[0]["jobId"])
    record = world.table.record_job

    def dies(gang: gangs.Gang, job_id: str) -> bool:
        raise Crashed

    world.table.record_job = dies  # type: ignore[method-assign]
    world.look_again()
    world.table.record_job = record  # type: ignore[method-assign]
    assert len(gang_jobs(world)) == 2
    assert [gang.job_id for gang in world.table.open_gangs()] == [None]
    world.clock.advance(timedelta(hours=1))
    world.look_again()
    assert len(gang_jobs(world)) == 2


def test_a_job_that_nobody_wrote_down_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("a job is found by its name", a_look_dies_right_after_it_submitted, monkeypatch)


def two_looks_at_once_see_the_same_waiting_gang() -> None:
    for calls in range(0, 60, 3):
        world = World()
        [first, _] = at_the_gang(world, "v1", "v2")
        launch_all(world)
        world.stop(first)
        world.look_again(first.name)  # ends the first, whose slot is free at the next look
        world.turns.run([world.look_again, world.look_again], [0] * calls + [1, 0] * 60)
        assert len(gang_jobs(world)) == 2, calls


def test_a_submission_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("a submission is claimed", two_looks_at_once_see_the_same_waiting_gang, monkeypatch)


def three_runs_want_a_gang(slots: int) -> None:
    world = World(spot_max_gangs=slots)
    at_the_gang(world, "v1", "v2", "v3")
    launch_all(world)
    world.look_again()
    assert len(gang_jobs(world)) == slots
    world.heal()
    assert world.settled()


@pytest.mark.parametrize("slots", [1, 2])
def test_a_market_runs_so_many_gangs_at_a_time(slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    guards("slots", lambda: three_runs_want_a_gang(slots), monkeypatch)


def a_launcher_dies_with_the_slot_of_a_gang_that_was_ended_meanwhile() -> None:
    # Given a gang that is recorded, and ended by a look before its launcher takes a slot for it
    world = World()
    [execution] = at_the_gang(world)
    take = world.allowances.take_slot

    def overtaken(gang: gangs.Gang) -> bool:
        world.stop(execution)
        world.look_again(execution.name)
        took = take(gang)
        raise Crashed if took else AssertionError("there was a slot")

    world.allowances.take_slot = overtaken  # type: ignore[method-assign]
    launch_all(world)
    world.allowances.take_slot = take  # type: ignore[method-assign]
    # Then the market is not closed for ever
    world.heal()
    assert world.settled()
    assert world.allowances.slot_holders(Market.SPOT) == set()


def test_a_slot_without_a_gang_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("the sweep of slots", a_launcher_dies_with_the_slot_of_a_gang_that_was_ended_meanwhile, monkeypatch)


def a_day_with_room_for_one_attempt() -> None:
    # Given two runs that Spot has no room for, and a day with hours for one attempt
    world = World(spot_max_gangs=2, on_demand_max_gangs=2, on_demand_gang_hours_per_day=6)
    at_the_gang(world, "v1", "v2")
    launch_all(world)
    for job in gang_jobs(world):
        world.batch.end(job["jobId"], "FAILED", reason=NO_ROOM)
    world.look_again()
    launch_all(world)
    # Then one runs on On-Demand, and the other is told at once
    assert [job["jobQueue"] for job in world.batch.unfinished()] == ["on-demand"]
    [failed] = [one for one in world.steps.executions.values() if one.status == "FAILED"]
    assert (failed.state, failed.error) == (ON_DEMAND, "Budget.Exhausted")
    # And what the first did not use is there for the second's redrive on the same day
    [running] = world.batch.unfinished()
    world.start_job(running["jobId"])
    world.finish_job(running["jobId"])
    world.look_again()
    world.redrive(failed)
    launch_all(world)
    assert failed.status == "RUNNING"
    world.heal()
    assert world.settled()


def test_a_day_has_so_many_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("hours are reserved", a_day_with_room_for_one_attempt, monkeypatch)


def test_unused_hours_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("unused hours are given back", a_day_with_room_for_one_attempt, monkeypatch)
