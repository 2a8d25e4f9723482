"""`reconcile`: which run an event names, and what a look comes to when calls fail. What it decides is tested with the protocol."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from looking import failure_of, noticed_members
from reconcile import run_named_by
from spotline.executions import Execution
from spotline.failures import ErrorName, Failure
from spotline.layout import notice_key
from spotline.objects import open_objects
from spotline.runs import MarketChoice, Priority
from tests.unit.protocol.calls import InternalServerError
from tests.unit.protocol.world import World

EVENTS = Path(__file__).resolve().parents[3] / "events"


@pytest.mark.parametrize(
    ("event", "run_id"),
    [
        ({"source": "aws.states", "detail": {"name": "run", "status": "ABORTED"}}, "run"),
        ({"source": "aws.batch", "detail": {"tags": {"spotline:run-id": "run"}}}, "run"),
        ({"source": "aws.batch", "detail": {"jobName": "somebody's"}}, None),
        ({"source": "aws.batch", "detail": {"tags": None}}, None),
        ({"source": "aws.batch", "detail": {"tags": {"spotline:run-id": ""}}}, None),
        ({"source": "aws.batch", "detail": {"tags": {"spotline:run-id": 7}}}, None),
        ({"source": "aws.batch", "detail": {"name": "somebody's", "tags": {}}}, None),
        ({"source": "aws.states", "detail": {"tags": {"spotline:run-id": "run"}}}, None),
        ({"source": "aws.scheduler", "detail": "{}"}, None),
        ({"source": "aws.scheduler", "detail": {"name": "run"}}, None),
        ({}, None),
        ([], None),
        ("text", None),
    ],
)
def test_an_event_says_no_more_than_which_run(event: Any, run_id: str | None) -> None:
    assert run_named_by(event) == run_id


def test_the_sample_events_name_their_runs() -> None:
    samples = {path.name: json.loads(path.read_text()) for path in EVENTS.glob("reconcile-*.json")}
    assert run_named_by(samples["reconcile-schedule.json"]) is None
    assert run_named_by(samples["reconcile-batch-job-state-change.json"])


TYPED = Failure(ErrorName.GANG_MEMBER_LOST, "The gang lost member 1")
SYNC_JOB = json.dumps({"JobId": "5f0c", "Status": "FAILED", "Container": {"ExitCode": 65}, "Attempts": []})


@pytest.mark.parametrize(
    ("status", "error", "cause", "expected"),
    [
        ("FAILED", "Gang.MemberLost", TYPED.to_cause(), ("Gang.MemberLost", "The gang lost member 1")),
        ("FAILED", "States.TaskFailed", SYNC_JOB, ("Data.Rejected", None)),
        ("FAILED", "States.Timeout", "", ("States.Timeout", "")),
        ("ABORTED", "", "", ("ABORTED", "")),
        ("ABORTED", "Wrong day", "sorry", ("Wrong day", "sorry")),
        ("SUCCEEDED", "", "", None),
        ("RUNNING", "", "", None),
        ("PENDING_REDRIVE", "Job.Failed", "left from before", None),
    ],
)
def test_the_failure_of_an_execution_is_typed_where_it_can_be(
    status: str, error: str, cause: str, expected: tuple[str, str | None] | None
) -> None:
    found = failure_of(Execution("arn", status, error=error, cause=cause))
    if expected is None or found is None:
        assert found is expected
    else:
        assert found[0] == expected[0]
        assert expected[1] in (None, found[1])


def run_record(world: World, run_id: str) -> dict[str, Any]:
    return world.dynamodb.items[f"RUN#{run_id}", "RUN"]


def test_the_run_record_follows_the_execution() -> None:
    # Given a run whose preprocess refuses the data
    world = World()
    world.land("v1")
    [execution] = world.steps.executions.values()
    [job] = world.batch.unfinished()
    world.look_again()
    assert run_record(world, execution.name)["status"] == "RUNNING"
    cause = {"JobId": job["jobId"], "StatusReason": "Essential container in task exited", "Container": {"ExitCode": 65}}
    world.batch.end(job["jobId"], "FAILED", code=65)
    world.fail(execution, "States.TaskFailed", json.dumps(cause))
    # When its end is told
    world.look_again(execution.name)
    # Then the record says so, until it is redriven to success
    record = run_record(world, execution.name)
    assert (record["status"], record["failure"]) == ("FAILED", "Data.Rejected")
    world.heal()
    world.look_again(execution.name)
    assert run_record(world, execution.name)["status"] == "SUCCEEDED"
    assert "failure" not in run_record(world, execution.name)


def test_a_run_that_cannot_be_looked_at_keeps_nobody_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two runs that were stopped, and an outage that hits one of them
    world = World()
    world.land("v1")
    world.land("v2")
    for execution in world.steps.executions.values():
        world.stop(execution)
    hit = min(world.steps.executions)
    describe = world.steps.describe_execution

    def failing(**arguments: Any) -> Any:
        if arguments["executionArn"].endswith(hit):
            raise InternalServerError
        return describe(**arguments)

    monkeypatch.setattr(world.steps, "describe_execution", failing)
    # When there is a look
    seen = world.look.again()
    # Then the other's job is ended, and the look says what it could not do
    assert [job["tags"]["spotline:run-id"] for job in world.batch.unfinished()] == [hit]
    assert [line.split(":")[0] for line in seen.failed] == [hit]


def test_a_slot_without_a_gang_is_freed() -> None:
    # Given a holder that is recorded nowhere, so that nothing else would free it
    world = World()
    world.dynamodb.items["SLOTS", "SPOT"] = {"pk": "SLOTS", "sk": "SPOT", "holders": {"gone-20130209-0#7"}}
    world.look_again()
    assert "holders" not in world.dynamodb.items["SLOTS", "SPOT"]


def test_gangs_that_wait_are_launched_the_oldest_first() -> None:
    world = World()
    for version in ("v1", "v2", "v3"):
        world.land(version)
    for job in world.batch.unfinished():
        world.finish_job(job["jobId"])
    world.tell_steps()
    asked = [task.run_id for task in world.launches]
    for task in list(world.launches):
        world.clock.advance(timedelta(seconds=20))
        world.launch(task)
    launched = []
    for _ in asked:
        [job] = world.batch.unfinished()
        launched.append(job["tags"]["spotline:run-id"])
        world.start_job(job["jobId"])
        world.finish_job(job["jobId"])
        world.look_again(launched[-1])
        for postprocess in [job for job in world.batch.unfinished() if job["jobQueue"] == "main"]:
            world.finish_job(postprocess["jobId"])
        world.tell_steps()
    assert launched == asked


def at_the_gang(world: World, backfill: str, *versions: str) -> None:
    """Runs whose Tasks ask for a gang, one of a backfill and others of the day."""
    world.ask_for(backfill, MarketChoice.SPOT_ONLY, Priority.BACKFILL)
    for version in versions:
        world.land(version)
    for job in world.batch.unfinished():
        world.finish_job(job["jobId"])
    world.tell_steps()


def test_a_backfill_s_gang_gives_its_slot_to_the_day_s_work_and_goes_on_after_it() -> None:
    # Given a backfill's gang in the only slot, and behind it another one's and, last, the day's
    world = World()
    at_the_gang(world, "v1", "v2", "v3")
    older, other, day = list(world.launches)
    for task in (older, replace(other, priority=Priority.BACKFILL), day):
        world.clock.advance(timedelta(seconds=20))
        world.launch(task)
    [job] = world.batch.unfinished()
    world.start_job(job["jobId"])
    # When reconcile looks, and looks again once the gang has ended
    world.look_again()
    assert world.batch.jobs[job["jobId"]]["status"] == "FAILED"
    world.look_again()
    # Then the day's gang runs, and the older one waits behind the same token, before the other one
    [next_job] = world.batch.unfinished()
    assert next_job["tags"]["spotline:run-id"] == day.run_id
    waiting = [gang for gang in world.table.open_gangs() if gang.job_id is None]
    assert {(gang.run_id, gang.generation) for gang in waiting} == {(older.run_id, 2), (other.run_id, 1)}
    assert world.steps.executions[older.run_id].waits_for == older.task_token
    assert world.dynamodb.items[f"RUN#{older.run_id}", "GANG#0001"]["outcome"] == "gave way"


def test_giving_way_is_no_attempt() -> None:
    # Given a backfill's gang that gives its slot to the day's work again and again, more often than its Task has attempts
    world = World()
    at_the_gang(world, "v0", *(f"v{number}" for number in range(1, 11)))
    [backfill] = [task for task in world.launches if task.priority is Priority.BACKFILL]
    world.launch(backfill)
    execution = world.steps.executions[backfill.run_id]
    for task in [task for task in world.launches if task.priority is Priority.DAILY]:
        gave_way_before = world.table.newest_generation(execution.name)
        world.launch(task)
        for _ in range(4):
            world.look_again()
            for job in world.batch.unfinished():
                world.start_job(job["jobId"])
        assert world.table.newest_generation(execution.name) == gave_way_before + 1
        finish_gangs_of(world, task.run_id)
        world.look_again(task.run_id)
    # Then none of its attempts was used, and it ends well
    assert execution.retried == {}
    assert execution.waits_for == backfill.task_token
    world.heal()
    assert world.settled()


def finish_gangs_of(world: World, run_id: str) -> None:
    for job in world.batch.unfinished():
        if job["tags"]["spotline:run-id"] == run_id:
            world.start_job(job["jobId"])
            world.finish_job(job["jobId"])


def test_only_a_spot_notice_of_this_gang_counts(tmp_path: Path) -> None:
    # Given what members write down: a Spot notice, a SIGTERM that our own TerminateJob sends, and another gang's notice
    results = open_objects(str(tmp_path))
    for job_id, member, kind in (("5f0c", 0, "sigterm"), ("5f0c", 2, "spot"), ("77aa", 1, "spot")):
        results.write(notice_key(job_id, member), json.dumps({"member": member, "kind": kind}).encode())
    # Then one member of this gang was noticed by Spot
    assert noticed_members(results, "5f0c") == [2]
