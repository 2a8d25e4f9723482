"""What one reconcile finishes with is not finished again from a listing that is older than that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from spotline.documents import DocumentError
from spotline.runs import Market, MarketChoice, Priority
from tests.unit.functions.gangs_at_work import a_running_gang, wait_behind
from tests.unit.protocol.crowds import one_runs_and_many_wait
from tests.unit.protocol.scenes import gang_jobs, launch_all
from tests.unit.protocol.steps import SPOT
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from typing import Any

    import pytest

    from seen import Seen
    from spotline.gangs import Gang


def find_jobs(world: World, execution: Any) -> list[dict[str, Any]]:
    return [job for job in gang_jobs(world) if job["tags"]["spotline:run-id"] == execution.name]


def begin_gangs(world: World) -> None:
    """Let preprocess end for every run, and start the gangs that get a slot."""
    for job in world.batch.unfinished():
        world.finish_job(job["jobId"])
    world.tell_steps()
    launch_all(world)
    for job in gang_jobs(world):
        world.start_job(job["jobId"])


def test_a_gang_that_has_just_been_launched_on_spot_is_not_sent_to_on_demand() -> None:
    # Given a gang that has waited longer than it must for a Spot slot, which comes free, and no event says so
    world, _, job = a_running_gang()
    [second] = wait_behind(world, "v2")
    world.clock.advance(timedelta(hours=3))
    world.finish_job(job["jobId"])
    # When there is a full reconcile
    world.look.again()
    # Then it has the slot, and its Task still waits for it there
    [launched] = find_jobs(world, second)
    assert (second.state, launched["status"]) == (SPOT, "RUNNABLE")
    assert len(world.allowances.slot_holders(Market.SPOT)) == 1


def test_a_backfill_does_not_give_way_to_a_gang_that_has_just_got_a_slot() -> None:
    # Given two slots, a backfill in one of them, and a gang that waits for the other, whose holder has ended
    world = World(spot_max_gangs=2)
    world.ask_for("v0", MarketChoice.SPOT_ONLY, Priority.BACKFILL)
    world.land("v1")
    begin_gangs(world)
    [backfill] = [each for each in world.steps.executions.values() if each.input.get("priority") == "backfill"]
    [day] = [each for each in world.steps.executions.values() if each is not backfill]
    [second] = wait_behind(world, "v2")
    world.finish_job(find_jobs(world, day)[0]["jobId"])
    # When there is a full reconcile
    world.look.again()
    # Then the gang has that slot, and the backfill keeps its own
    assert [job["status"] for job in find_jobs(world, second)] == ["RUNNABLE"]
    assert [job["status"] for job in find_jobs(world, backfill)] == ["RUNNING"]


def test_a_backfill_does_not_give_way_to_a_gang_whose_run_was_stopped() -> None:
    world = World()
    world.ask_for("v0", MarketChoice.SPOT_ONLY, Priority.BACKFILL)
    begin_gangs(world)
    [day] = wait_behind(world, "v1")
    world.stop(day)
    world.look.again()
    assert [job["status"] for job in gang_jobs(world)] == ["RUNNING"]


def test_slots_are_handed_out_only_as_long_as_there_is_time() -> None:
    # Given a hundred gangs that wait, all of whose runs were stopped, and the one that ran has ended
    world = one_runs_and_many_wait(100)
    [job] = gang_jobs(world)
    name = job["tags"]["spotline:run-id"]
    for execution in world.steps.executions.values():
        if execution.name != name:
            world.stop(execution)
    world.finish_job(job["jobId"])
    # When the event's reconcile has no time left
    world.look._handout._must_end = lambda: True
    world.line.counts.clear()
    seen = world.look.again(name)
    # Then it leaves the others to the next one, and says so
    assert world.line.counts["describe_execution"] <= 10
    assert seen.done[-1].endswith("and those behind it: left to the next reconcile")


def test_a_run_that_cannot_be_read_does_not_keep_a_backfill_from_giving_way_to_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a backfill that holds the slot, and two gangs that wait, the first of which cannot be read
    world = World()
    world.ask_for("v0", MarketChoice.SPOT_ONLY, Priority.BACKFILL)
    begin_gangs(world)
    first, second = sorted(wait_behind(world, "v1", "v2"), key=lambda execution: execution.name)
    settle = world.look._handout._settle

    def settle_but_first(gang: Gang, seen: Seen) -> bool:
        if gang.run_id == first.name:
            raise DocumentError(first.name, "damaged")
        return settle(gang, seen)

    monkeypatch.setattr(world.look._handout, "_settle", settle_but_first)
    # When there is a full reconcile
    seen = world.look.again()
    # Then the backfill gives way to the other one, and the first is named
    assert any(line.endswith(f"gives its slot to {second.name}#1") for line in seen.done), seen.done
    assert any(first.name in line for line in seen.failed)
