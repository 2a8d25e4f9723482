"""Waiting for a slot: it takes nothing of a gang's time, is bounded, and ends with On-Demand where a run may go there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from spotline.runs import MarketChoice
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, launch_all
from tests.unit.protocol.steps import ON_DEMAND, SPOT, SPOT_ONLY
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from tests.unit.protocol.steps import Execution


def behind_a_long_queue(world: World, market: MarketChoice) -> tuple[Execution, Execution]:
    """One run's gang runs in the only Spot slot, and another one waits behind it."""
    [first] = at_the_gang(world, "v1")
    launch_all(world)
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.ask_for("v2", market)
    for job in world.batch.unfinished():
        if "members" not in job:
            world.finish_job(job["jobId"])
    world.tell_steps()
    launch_all(world)
    [second] = [one for one in world.steps.executions.values() if one is not first]
    return first, second


def keep_waiting(world: World, time: timedelta) -> None:
    """Time passes, with a reconcile now and then, and the gang in the slot runs on."""
    for _ in range(8):
        world.clock.advance(time / 8)
        world.look_again()


def test_a_gang_that_waited_for_days_has_its_whole_time() -> None:
    # Given a run that may use Spot only and has waited for longer than any gang may run
    world = World()
    first, second = behind_a_long_queue(world, MarketChoice.SPOT_ONLY)
    keep_waiting(world, timedelta(days=6))
    assert (second.status, second.state) == ("RUNNING", SPOT_ONLY)
    # When the slot is free at last
    world.finish_job(gang_jobs(world)[0]["jobId"])
    world.look_again(first.name)
    [job] = [job for job in gang_jobs(world) if job["tags"]["spotline:run-id"] == second.name]
    world.start_job(job["jobId"])
    # Then its gang runs as long as any other one
    keep_waiting(world, timedelta(hours=6))
    assert job["status"] == "RUNNING"
    world.heal()
    assert second.status == "SUCCEEDED"


def test_waiting_for_a_slot_ends_under_a_name_of_its_own() -> None:
    world = World()
    _, second = behind_a_long_queue(world, MarketChoice.SPOT_ONLY)
    keep_waiting(world, timedelta(days=8))
    assert (second.status, second.error) == ("FAILED", "Slot.TimedOut")
    # And a redrive waits anew
    world.redrive(second)
    launch_all(world)
    world.look_again()
    assert second.status == "RUNNING"
    world.heal()
    assert world.settled()


def test_a_run_that_may_leave_spot_goes_to_on_demand_when_it_has_waited_long() -> None:
    world = World()
    _, second = behind_a_long_queue(world, MarketChoice.SPOT_FIRST)
    keep_waiting(world, timedelta(minutes=119))
    assert second.state == SPOT
    keep_waiting(world, timedelta(minutes=2))
    assert second.state == ON_DEMAND
    launch_all(world)
    assert [job["jobQueue"] for job in world.batch.unfinished()] == ["spot", "on-demand"]


@pytest.mark.parametrize("limits", [{"on_demand_max_gangs": 0}, {"on_demand_gang_hours_per_day": 5}])
def test_a_run_waits_on_for_spot_while_on_demand_has_no_room(limits: dict[str, int]) -> None:
    # A run that went there now would wait there, or fail with Budget.Exhausted.
    world = World(**limits)
    _, second = behind_a_long_queue(world, MarketChoice.SPOT_FIRST)
    keep_waiting(world, timedelta(days=1))
    assert (second.status, second.state) == ("RUNNING", SPOT)


def test_of_many_that_wait_as_many_leave_spot_as_on_demand_has_slots() -> None:
    world = World(on_demand_max_gangs=2)
    at_the_gang(world, *(f"v{number}" for number in range(8)))
    launch_all(world)
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.clock.advance(timedelta(hours=3))
    world.look_again()
    assert [one.state for one in world.steps.executions.values()].count(ON_DEMAND) == 2
    # And no more while their gangs hold the slots
    launch_all(world)
    world.look_again()
    assert [one.state for one in world.steps.executions.values()].count(ON_DEMAND) == 2
