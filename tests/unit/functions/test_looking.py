"""One reconcile, on AWS in memory: what it reads and in which order, which job it finds, and how it ends a gang."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from looking import Look
from spotline.failures import NOT_RUNNING
from spotline.runs import MarketChoice
from tests.unit.functions.gangs_at_work import a_running_gang, open_gang, wait_behind
from tests.unit.protocol.calls import Crashed, InternalServerError
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, launch_all
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from spotline.gangs import Gang
    from tests.unit.protocol.steps import Execution as Ran


class InOrder(Counter[str]):
    """The calls that were made, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __setitem__(self, name: str, times: int) -> None:
        if times > self[name]:
            self.calls.append(name)
        super().__setitem__(name, times)


def record(world: World) -> list[str]:
    """The calls that are made from now on; several of one kind in a row are one."""
    world.line.counts = counts = InOrder()
    return counts.calls


def squeezed(calls: list[str]) -> list[str]:
    return [name for number, name in enumerate(calls) if calls[number - 1 : number] != [name]]


# What is read, and when (docs/decisions/0015-what-one-reconcile-reads.md)


def test_jobs_are_listed_before_records_are_read_and_executions_come_last() -> None:
    world, execution, _ = a_running_gang()
    calls = record(world)
    world.look.again()
    listings = ["list_jobs", "query", "list_executions", "query", "describe_jobs"]
    # Of a run: its gangs, its generation, its execution; then the gang's job and its members
    run = ["query", "get_item", "describe_execution", "describe_jobs", "update_item"]
    assert squeezed(calls)[: len(listings + run)] == listings + run
    # And nothing is listed again when nothing was freed
    assert (calls.count("query"), calls.count("list_executions")) == (3, 1)
    assert execution.status == "RUNNING"


def test_an_event_reads_its_own_run_and_nothing_else() -> None:
    world, execution, _ = a_running_gang(spot_max_gangs=9)
    wait_behind(world, "v2", "v3")
    calls = record(world)
    seen = world.look.again(execution.name)
    assert squeezed(calls) == ["query", "get_item", "describe_execution", "describe_jobs", "update_item"]
    assert (seen.runs, seen.jobs, seen.done, seen.failed) == (1, (), [], [])


def test_a_look_over_everything_counts_the_runs_and_describes_their_jobs() -> None:
    world, _, _ = a_running_gang(spot_max_gangs=9)
    wait_behind(world, "v2", "v3")
    seen = world.look.again()
    assert seen.runs == 3
    assert sorted(found.job_id for found in seen.jobs) == sorted(one["jobId"] for one in gang_jobs(world))


def test_the_longest_waiting_job_is_measured_though_nothing_has_to_be_done_about_its_run() -> None:
    world = World()
    world.land("v1")
    [job] = world.batch.unfinished()
    world.clock.advance(timedelta(hours=1))
    seen = world.look.again()
    assert seen.runs == 0
    assert [found.job_id for found in seen.jobs] == [job["jobId"]]


def test_a_reconcile_that_is_out_of_time_says_how_many_runs_it_leaves_and_still_hands_out_slots() -> None:
    # Given three runs whose gangs are over, of which there is time for one, and a gang that waits
    world = World(spot_max_gangs=3)
    at_the_gang(world, "v1", "v2", "v3", "v4")
    launch_all(world)
    for job in gang_jobs(world):
        world.start_job(job["jobId"])
        world.finish_job(job["jobId"])
    left = iter([False, True])
    look = Look(
        world.clients,
        world.table,
        world.allowances,
        world.launcher,
        world.look_settings,
        world.clock,
        lambda: next(left),
    )
    seen = look.again()
    assert seen.runs == 1
    assert seen.failed == ["3 runs: no time was left for them; the next reconcile begins with them"]
    assert len(gang_jobs(world)) == 4


@pytest.mark.parametrize("age", [timedelta(days=13), timedelta(days=15)])
def test_a_failed_run_is_read_for_as_long_as_it_can_be_redriven(age: timedelta) -> None:
    # Given a run that failed long ago, and runs again
    world = World()
    world.land("v1")
    [execution] = world.steps.executions.values()
    world.stop(execution)
    world.look.again(execution.name)
    assert run_record(world, execution)["status"] == "ABORTED"
    world.clock.advance(age)
    world.redrive(execution)
    world.clock.advance(timedelta(hours=1))
    # When nothing else points at it
    for job in world.batch.unfinished():
        world.batch.end(job["jobId"], "SUCCEEDED", code=0)
    # Then its record is repaired as long as that may be
    seen = world.look.again()
    assert seen.runs == (1 if age < timedelta(days=14) else 0)


def run_record(world: World, execution: Ran) -> dict[str, Any]:
    return world.dynamodb.items[f"RUN#{execution.name}", "RUN"]


def test_a_failed_event_names_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world, execution, _ = a_running_gang()

    def fail(**_: Any) -> Any:
        raise InternalServerError

    monkeypatch.setattr(world.steps, "describe_execution", fail)
    [failed] = world.look.again(execution.name).failed
    assert failed.startswith(f"{execution.name}: InternalServerError")


# Strays


def test_jobs_are_listed_once_for_all_runs() -> None:
    # Given many runs that were stopped, with and without a job
    world = World()
    for number in range(9):
        world.land(f"v{number}")
    for execution in world.steps.executions.values():
        world.stop(execution)
    quiet = World()
    quiet.look.again()
    for job in list(world.batch.jobs.values())[:4]:
        world.batch.end(job["jobId"], "FAILED")
    world.line.counts.clear()
    seen = world.look.again()
    assert len(seen.done) == 5
    assert world.line.counts["list_jobs"] == quiet.line.counts["list_jobs"]


def test_jobs_are_not_listed_again_for_a_run_that_has_none() -> None:
    # Given runs that were stopped while their gangs waited for a slot
    world, _, _ = a_running_gang()
    for execution in wait_behind(world, "v2", "v3"):
        world.stop(execution)
    quiet = World()
    quiet.look.again()
    world.line.counts.clear()
    assert len(world.look.again().done) == 4
    assert world.line.counts["list_jobs"] == quiet.line.counts["list_jobs"]


@pytest.mark.parametrize(
    ("end", "listed"),
    [
        (None, False),
        ("SUCCEEDED", False),
        ("FAILED", True),
        ("ABORTED", True),
        ("TIMED_OUT", True),
    ],
)
def test_an_events_run_has_its_jobs_listed_only_when_its_end_may_have_left_some(end: str | None, listed: bool) -> None:
    world = World()
    world.land("v1")
    [execution] = world.steps.executions.values()
    if end is not None:
        world._finish(execution, end)
    calls = record(world)
    seen = world.look.again(execution.name)
    assert ("list_jobs" in calls) is listed
    [job] = world.batch.jobs.values()
    if listed:
        assert (job["status"], job["statusReason"]) == ("FAILED", NOT_RUNNING)
        assert seen.done == [f"{execution.name}: ended stray preprocess job {job['jobId']}"]
    else:
        assert job["status"] == "RUNNABLE"


def test_an_execution_that_step_functions_does_not_know_is_not_noted_and_nothing_of_it_is_ended() -> None:
    world = World()
    seen = world.look.again("nobody-20130209-0")
    assert seen.failed == []
    assert world.dynamodb.items == {}
    assert world.line.counts["list_jobs"] == 0


def test_a_run_record_says_when_its_execution_was_described(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a description that takes a minute
    world = World()
    world.land("v1")
    [execution] = world.steps.executions.values()
    describe, began = world.steps.describe_execution, world.clock.now

    def describe_slowly(**call: Any) -> Any:
        world.clock.advance(timedelta(minutes=1))
        return describe(**call)

    monkeypatch.setattr(world.steps, "describe_execution", describe_slowly)
    world.look.again(execution.name)
    # Then it counts as no newer than its call: a description that was asked for later overwrites it
    assert run_record(world, execution)["seen_at"] == began.isoformat()
    assert run_record(world, execution)["execution_arn"] == execution.arn


# A job that was submitted and not written down


@pytest.mark.parametrize(("market", "queue"), [(MarketChoice.SPOT_ONLY, "spot"), (MarketChoice.ON_DEMAND, "on-demand")])
def test_a_found_job_is_recorded_as_the_gangs(market: MarketChoice, queue: str) -> None:
    # Given a launcher that died between submission and record
    world = World()
    world.ask_for("v1", market)
    at_the_gang(world)
    record_job = world.table.record_job

    def die(gang: Gang, job_id: str) -> bool:
        raise Crashed

    world.table.record_job = die  # type: ignore[method-assign]
    world.launch(world.launches[0])
    world.table.record_job = record_job  # type: ignore[method-assign]
    [job] = gang_jobs(world)
    assert (job["jobQueue"], open_gang(world).job_id) == (queue, None)
    # When there is a reconcile, then the job is the gang's, and no later one looks for it
    world.look.again(open_gang(world).run_id)
    assert open_gang(world).job_id == job["jobId"]
    calls = record(world)
    world.look.again(open_gang(world).run_id)
    assert "list_jobs" not in calls


def test_no_job_is_looked_for_before_anybody_submitted_one() -> None:
    world, _, _ = a_running_gang()
    [execution] = wait_behind(world, "v2")
    calls = record(world)
    world.look.again(execution.name)
    assert "list_jobs" not in calls
    assert "describe_jobs" not in calls
