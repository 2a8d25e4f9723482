"""Each guard of the protocol, with the history that it is there for: the invariant holds with it and breaks without it."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

import ingest
import looking
from analysis.checkpoints import Lease
from spotline import gangs
from spotline.allowances import Allowances
from spotline.objects import ALWAYS, S3Objects
from spotline.run_table import RunTable
from tests.unit.protocol.test_histories import assert_fenced
from tests.unit.protocol.world import ON_DEMAND, SPOT, Execution, World

if TYPE_CHECKING:
    from collections.abc import Callable

NO_ROOM = "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"


def at_the_gang(world: World, *versions: str) -> list[Execution]:
    """Runs whose preprocess is done and whose launcher is about to be called."""
    for version in versions or ("v1",):
        world.land(version)
    for job in world.batch.unfinished():
        world.finish_job(job["jobId"])
    world.tell_steps()
    return list(world.steps.executions.values())


def launch_all(world: World) -> None:
    while world.launches:
        world.launch(world.launches[0])


def gang_jobs(world: World) -> list[dict[str, Any]]:
    return [job for job in world.batch.jobs.values() if "members" in job]


def breaks(check: Callable[[], object]) -> None:
    with pytest.raises(AssertionError):
        check()


# ---- 3: one run per object version


def one_execution_after_two_events() -> None:
    world = World()
    world.land("v1")
    world.heal()
    world.land("v1")
    assert len(world.steps.executions) == 1


def test_the_execution_of_a_version_has_the_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    one_execution_after_two_events()
    names = count()
    monkeypatch.setattr(ingest, "run_id", lambda _source, _key: f"run-{next(names)}")
    breaks(one_execution_after_two_events)


# ---- 8: every failure can be redriven to success, and no token stays without an answer


def an_older_launcher_is_slower_than_the_next_one() -> None:
    world = World()
    [execution] = at_the_gang(world)
    world.stop(execution)
    world.clock.advance(timedelta(minutes=1))
    world.redrive(execution)
    old, new = world.launches
    world.launch(new)
    world.launch(old)  # raises the generation above that of the only Task that waits
    world.heal()
    assert world.settled()


def test_an_overtaken_task_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    an_older_launcher_is_slower_than_the_next_one()
    monkeypatch.setattr(gangs, "TAKEN_OVER", None)
    breaks(an_older_launcher_is_slower_than_the_next_one)


def a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts() -> World:
    world = World()
    [execution] = at_the_gang(world)
    launch_all(world)
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.stop(execution)
    world.clock.advance(timedelta(minutes=1))
    world.redrive(execution)
    launch_all(world)
    world.look_again()
    second = gang_jobs(world)[-1]["jobId"]
    assert second != gang_jobs(world)[0]["jobId"]
    world.start_job(second)
    return world


def test_a_newer_generation_takes_the_checkpoint_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def settles() -> None:
        world = a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts()
        world.heal(rounds=8)
        assert world.settled()

    settles()
    monkeypatch.setattr(RunTable, "raise_generation", lambda *_, **__: 1)
    breaks(settles)


# ---- 11: no job runs for longer than one look after its execution ended


@pytest.mark.parametrize("stage", ["Preprocess", SPOT])
def test_a_look_ends_what_a_timed_out_task_left_running(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_orphan_after_a_look() -> None:
        world = World()
        if stage == "Preprocess":
            world.land("v1")
        else:
            at_the_gang(world)
            launch_all(world)
            for (_, sk), item in world.dynamodb.items.items():
                if sk.startswith("GANG#"):
                    item.pop("open_gang")  # what is recorded of the gang is of no help either
        [execution] = world.steps.executions.values()
        world.time_out(execution)
        assert execution.state == stage
        assert world.batch.unfinished()
        world.look_again()
        assert world.orphans() == []

    no_orphan_after_a_look()
    monkeypatch.setattr(looking, "find_strays", lambda _jobs, _run: [])
    breaks(no_orphan_after_a_look)


def test_a_stop_before_the_submission_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_orphan_without_any_look() -> None:
        world = World()
        [execution] = at_the_gang(world)
        submit = world.batch.submit_job

        def stopped_meanwhile(**arguments: Any) -> Any:
            world.stop(execution)
            return submit(**arguments)

        monkeypatch.setattr(world.batch, "submit_job", stopped_meanwhile)
        launch_all(world)
        assert len(gang_jobs(world)) == 1
        assert world.orphans() == []

    no_orphan_without_any_look()
    monkeypatch.setattr("spotline.launching.Launcher._why_useless", lambda _self, _gang: None)
    breaks(no_orphan_without_any_look)


# ---- 12: at most one gang of a run can publish


def a_frozen_leader_awakes_and_publishes_first() -> None:
    world = a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts()
    first, second = (job["jobId"] for job in gang_jobs(world))
    world.publish(second)
    world.publish(first)
    assert_fenced(world)
    assert world.publications == [2]


def test_a_fenced_off_leader_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    a_frozen_leader_awakes_and_publishes_first()
    write = S3Objects.write
    monkeypatch.setattr(S3Objects, "write", lambda *args, **more: write(*args, **{**more, "if_etag": ALWAYS}))
    breaks(a_frozen_leader_awakes_and_publishes_first)


def test_a_leader_never_claims_after_a_newer_one() -> None:
    from analysis.errors import FencedOff

    world = a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts()
    run_id = next(iter(world.steps.executions))
    with pytest.raises(FencedOff):
        Lease.claim(world._results(run_id), 1, "late", "fingerprint")


# ---- a gang has one job, a market so many gangs, a day so many hours


def a_look_dies_right_after_it_submitted() -> None:
    world = World()
    at_the_gang(world, "v1", "v2")
    launch_all(world)
    assert len(gang_jobs(world)) == 1, "the second waits for a slot"
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.finish_job(gang_jobs(world)[0]["jobId"])
    for calls in range(
        100
    ):  # each look comes one call further than the one before, until one dies right after SubmitJob
        world.clock.advance(gangs.SUBMITTING)
        world.fuse.calls = calls
        world.look_again()
        if len(gang_jobs(world)) == 2:
            break
    assert [gang.job_id for gang in world.table.open_gangs()] == [None]
    world.clock.advance(timedelta(hours=1))
    world.look_again()
    assert len(gang_jobs(world)) == 2


def test_a_job_that_nobody_wrote_down_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    a_look_dies_right_after_it_submitted()
    monkeypatch.setattr(looking, "job_of_gang", lambda _client, _gang, _queue: None)
    breaks(a_look_dies_right_after_it_submitted)


def two_looks_at_once_see_the_same_waiting_gang() -> None:
    world = World()
    [first, _] = at_the_gang(world, "v1", "v2")
    launch_all(world)
    world.stop(first)
    [waiting] = [gang for gang in world.table.open_gangs() if gang.job_id is None]
    world.look_again(first.name)  # ends the first
    world.look_again(first.name)  # frees its slot, and launches the second
    world.launcher.launch(waiting)  # the other look saw it waiting, too
    assert len(gang_jobs(world)) == 2


def test_a_submission_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    two_looks_at_once_see_the_same_waiting_gang()
    monkeypatch.setattr(RunTable, "claim_submission", lambda *_: True)
    breaks(two_looks_at_once_see_the_same_waiting_gang)


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
    three_runs_want_a_gang(slots)
    monkeypatch.setattr(Allowances, "take_slot", lambda _self, _gang: True)
    breaks(lambda: three_runs_want_a_gang(slots))


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
    a_day_with_room_for_one_attempt()
    monkeypatch.setattr(Allowances, "reserve_hours", lambda _self, _gang: True)
    breaks(a_day_with_room_for_one_attempt)


def test_unused_hours_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Allowances, "settle_hours", lambda _self, _gang, _used: None)
    breaks(a_day_with_room_for_one_attempt)
