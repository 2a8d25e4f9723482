"""`launch_gang` in the protocol's fake AWS: what becomes of a Task that asks for a gang."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import launch_gang
from spotline.failures import FENCED_OFF
from tests.unit.protocol.calls import InternalServerError
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from tests.unit.protocol.steps import Execution


@pytest.fixture
def world() -> World:
    """A run whose preprocess is done, and whose Task asks for its first gang."""
    world = World()
    world.land("v1")
    [preprocess] = world.batch.unfinished()
    world.finish_job(preprocess["jobId"])
    world.tell_steps()
    return world


def run_of(world: World) -> Execution:
    [execution] = world.steps.executions.values()
    return execution


def answer(world: World) -> dict[str, Any]:
    return launch_gang.answer_task(
        world.launches.pop(0), world.launch_settings, world.clients, world.table, world.launcher, world.clock
    )


def gangs(world: World) -> list[dict[str, Any]]:
    return [job for job in world.batch.jobs.values() if "members" in job]


def ask_again(world: World) -> None:
    world.stop(run_of(world))
    world.clock.advance(timedelta(minutes=1))
    world.redrive(run_of(world))


def test_a_gang_is_submitted_under_its_generation_and_recorded(world: World) -> None:
    assert answer(world) == {"outcome": "submitted", "generation": 1, "fenced_off": []}
    [job] = gangs(world)
    assert job["jobName"] == f"{run_of(world).name}-g1"
    assert job["tags"]["spotline:execution-arn"] == run_of(world).arn
    [gang] = world.table.open_gangs()
    assert (gang.job_id, gang.task_token) == (job["jobId"], run_of(world).waits_for)


def test_the_gang_of_before_is_ended(world: World) -> None:
    answer(world)
    ask_again(world)
    [first] = gangs(world)
    assert answer(world)["fenced_off"] == [first["jobId"]]
    assert (first["status"], first["statusReason"]) == ("FAILED", FENCED_OFF)


def test_a_newer_gang_is_let_be_by_a_launcher_that_was_slow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a launcher that has raised the generation, and is overtaken before it lists the older gangs
    raise_generation = world.table.raise_generation

    def overtaken(run_id: str, *, execution_arn: str) -> int:
        mine = raise_generation(run_id, execution_arn=execution_arn)
        monkeypatch.setattr(world.table, "raise_generation", raise_generation)
        ask_again(world)
        answer(world)
        return mine

    monkeypatch.setattr(world.table, "raise_generation", overtaken)
    slow = world.launches.pop()
    launch_gang.answer_task(slow, world.launch_settings, world.clients, world.table, world.launcher, world.clock)
    # Then the newer one still runs
    assert [job["jobName"][-2:] for job in world.batch.unfinished()] == ["g2"]


def test_an_analysis_of_the_same_rows_answers_at_once(world: World) -> None:
    answer(world)
    [job] = gangs(world)
    world.start_job(job["jobId"])
    world.publish(job["jobId"])
    ask_again(world)
    answered = answer(world)
    assert (answered["outcome"], answered["generation"], answered["job_id"]) == ("analysed already", 1, job["jobId"])
    assert run_of(world).state == "Postprocess"
    assert len(gangs(world)) == 1


def test_an_analysis_of_other_rows_does_not(world: World) -> None:
    answer(world)
    [job] = gangs(world)
    world.start_job(job["jobId"])
    world.publish(job["jobId"])
    ask_again(world)
    for key in [key for key in world.s3.objects if key[0] == "intermediate"]:
        world.s3.objects[key] = b"other rows"
    assert answer(world)["generation"] == 2


def test_what_batch_will_not_take_fails_the_task(world: World) -> None:
    world.batch.refusing = True
    assert answer(world)["outcome"] == "refused by Batch"
    assert (run_of(world).status, run_of(world).error) == ("FAILED", "Job.Misconfigured")
    assert list(world.table.open_gangs()) == []
    assert [item for item in world.dynamodb.items.values() if "holders" in item] == []
    # And a redrive mends it
    world.batch.refusing = False
    world.heal()
    assert world.settled()


@pytest.mark.parametrize("calls", range(12))
def test_an_outage_fails_the_task_under_a_name_that_is_retried(world: World, calls: int) -> None:
    world.fuse.calls, world.fuse.ending = calls, InternalServerError
    world.launch(world.launches[0])
    # Then it was asked again, or the call that failed was the last but one and nothing is missing
    assert run_of(world).status == "RUNNING"
    world.heal()
    assert world.settled()
    assert len(world.publications) == 1


def test_a_stale_token_changes_nothing(world: World) -> None:
    answer(world)
    [job] = gangs(world)
    world.start_job(job["jobId"])
    world.publish(job["jobId"])
    world.stop(run_of(world))
    world.clock.advance(timedelta(minutes=1))
    world.redrive(run_of(world))
    world.time_out(run_of(world))
    assert answer(world)["awaited"] is False
