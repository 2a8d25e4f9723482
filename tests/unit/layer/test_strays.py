"""Which jobs of a run should not run, whatever is recorded of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from spotline.executions import KNOWN_AFTER, Execution
from spotline.failures import FENCED_OFF, NOT_AWAITED, NOT_RUNNING
from spotline.gangs import Gang
from spotline.runs import Market
from spotline.strays import OurJob, RunSight, Stage, find_strays

NOW = datetime(2013, 2, 9, 12, tzinfo=UTC)
RUNNING = Execution("arn:execution", "RUNNING")
GANG = Gang("r", 2, Market.SPOT, "token", RUNNING.arn, NOW)


def job(stage: Stage, name: str = "j", age: timedelta = timedelta(0), generation: int = 0) -> OurJob:
    return OurJob(name, "r", stage, RUNNING.arn, NOW - age, generation)


def sight(execution: Execution, newest_generation: int, open_gangs: list[Gang]) -> RunSight:
    return RunSight(execution, newest_generation, open_gangs, NOW)


ONE_OF_EACH = [job(Stage.PREPROCESS), job(Stage.ANALYSIS, generation=2), job(Stage.POSTPROCESS)]


@pytest.mark.parametrize("one", ONE_OF_EACH, ids=lambda one: one.stage)
def test_the_jobs_of_a_running_execution_are_left_alone(one: OurJob) -> None:
    assert find_strays([one], sight(RUNNING, 2, [GANG])) == []


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT", "SUCCEEDED"])
@pytest.mark.parametrize("one", ONE_OF_EACH, ids=lambda one: one.stage)
def test_no_job_of_any_stage_outlives_its_execution(one: OurJob, status: str) -> None:
    run = sight(Execution(RUNNING.arn, status), 2, [GANG])
    assert find_strays([one], run) == [(one, NOT_RUNNING)]


def test_a_job_of_another_stack_is_left_alone() -> None:
    foreign = replace(job(Stage.PREPROCESS), execution_arn="arn:another")
    assert find_strays([foreign], sight(Execution(RUNNING.arn, "FAILED"), 0, [])) == []


def test_a_gang_of_an_older_generation_is_ended() -> None:
    old = job(Stage.ANALYSIS, generation=1)
    assert find_strays([old], sight(RUNNING, 2, [GANG])) == [(old, FENCED_OFF)]


def test_a_gang_whose_record_is_closed_is_ended() -> None:
    late = job(Stage.ANALYSIS, generation=2)
    assert find_strays([late], sight(RUNNING, 2, [])) == [(late, NOT_AWAITED)]


def test_of_two_jobs_of_a_gang_the_recorded_one_stays() -> None:
    jobs = [job(Stage.ANALYSIS, name, generation=2) for name in ("first", "second")]
    run = sight(RUNNING, 2, [replace(GANG, job_id="first")])
    assert find_strays(jobs, run) == [(jobs[1], NOT_AWAITED)]


def test_of_two_jobs_of_a_sync_task_the_later_one_stays() -> None:
    jobs = [job(Stage.PREPROCESS, "first", timedelta(minutes=1)), job(Stage.PREPROCESS, "second")]
    assert find_strays(jobs, sight(RUNNING, 0, [])) == [(jobs[0], NOT_AWAITED)]


def test_a_job_from_before_a_redrive_is_ended() -> None:
    old = job(Stage.POSTPROCESS, age=timedelta(hours=1))
    redriven = sight(replace(RUNNING, redriven_at=NOW - timedelta(minutes=1)), 2, [])
    assert find_strays([old, job(Stage.PREPROCESS, "new")], redriven) == [(old, NOT_AWAITED)]


@pytest.mark.parametrize("one", ONE_OF_EACH, ids=lambda one: one.stage)
def test_a_job_whose_execution_is_not_known_yet_is_left_alone_for_a_while(one: OurJob) -> None:
    # Given an execution that Step Functions does not know: not yet, or no more
    unknown = sight(Execution(RUNNING.arn, "UNKNOWN"), 2, [GANG])
    assert find_strays([one], unknown) == []
    old = replace(one, created_at=NOW - KNOWN_AFTER)
    assert find_strays([old], unknown) == [(old, NOT_RUNNING)]


@pytest.mark.parametrize(
    ("status", "redrives", "expected"),
    [
        ("RUNNING", 1, None),
        ("RUNNING", 2, NOT_AWAITED),
        ("FAILED", 1, NOT_RUNNING),
        ("FAILED", 0, None),
        ("RUNNING", 0, None),
    ],
    ids=["its own redrive", "a later one", "its own, ended", "described before it, ended", "described before it"],
)
def test_a_job_belongs_to_the_redrive_that_its_tag_names(status: str, redrives: int, expected: str | None) -> None:
    one = replace(job(Stage.PREPROCESS), redrives=1)
    found = find_strays([one], sight(Execution(RUNNING.arn, status, redrives=redrives), 0, []))
    assert found == ([] if expected is None else [(one, expected)])
