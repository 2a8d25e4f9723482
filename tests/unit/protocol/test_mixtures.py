"""What one reconcile reads is read at different moments: no mixture of them may lose a token or end a job that is waited for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.unit.protocol.invariants import assert_no_token_lost
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, guards, launch_all
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.protocol.steps import Execution

MOST_CALLS = 24
"""More than a reconcile of one run makes, so that the last pauses come after its end."""


def a_stopped_run(*, says_redrives: bool = True) -> tuple[World, Execution]:
    """Its gang runs, and the execution was stopped a moment ago. `says_redrives` is whether its definition does."""
    world = World()
    world.says_redrives = says_redrives
    [execution] = at_the_gang(world)
    launch_all(world)
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.stop(execution)
    return world, execution


def redrive_and_launch(world: World, execution: Execution) -> None:
    world.redrive(execution)
    launch_all(world)


def redrive_launch_and_stop(world: World, execution: Execution) -> None:
    redrive_and_launch(world, execution)
    world.stop(execution)


def redrive_stop_redrive_and_launch(world: World, execution: Execution) -> None:
    redrive_and_launch(world, execution)
    world.stop(execution)
    redrive_and_launch(world, execution)


def assert_awaited(world: World, execution: Execution) -> None:
    """The Task waits behind the token that it asked with, none of its attempts was used, and its gang's job was not ended."""
    assert_no_token_lost(world)
    assert execution.retried == {}, "the Task that waits was answered"
    if execution.status == "RUNNING":
        for gang in world.table.open_gangs():
            if gang.task_token == execution.waits_for and gang.job_id is not None:
                assert world.batch.jobs[gang.job_id]["status"] == "RUNNABLE", "the gang that is waited for was ended"


def a_redrive_between_two_calls(
    calls: int, act: Callable[[World, Execution], None], *, whole: bool = False, says_redrives: bool = True
) -> None:
    # Given a reconcile of a stopped run that pauses after so many calls
    world, execution = a_stopped_run(says_redrives=says_redrives)
    reconcile = partial(world.look_again, None if whole else execution.name)
    # When the execution is redriven meanwhile, and its gang launched
    world.turns.run([reconcile, partial(act, world, execution)], [0] * calls + [1] * 60)
    # Then the new gang is let be
    assert_awaited(world, execution)
    world.heal()
    assert world.settled()


@pytest.mark.parametrize("whole", [False, True], ids=["one run", "every run"])
@pytest.mark.parametrize("act", [redrive_and_launch, redrive_launch_and_stop, redrive_stop_redrive_and_launch])
@pytest.mark.parametrize("calls", range(MOST_CALLS))
def test_whatever_happens_between_two_calls_of_a_reconcile(
    calls: int, act: Callable[[World, Execution], None], whole: bool
) -> None:
    a_redrive_between_two_calls(calls, act, whole=whole)


def test_records_are_read_before_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    # A record of the definition before does not say in which redrive its Task asked: there, the order is all that there is.
    def no_redrive_disturbs() -> None:
        for calls in range(MOST_CALLS):
            a_redrive_between_two_calls(calls, redrive_and_launch, says_redrives=False)

    guards("records are read before the execution", no_redrive_disturbs, monkeypatch)


def a_description_from_before_the_redrive(lag: int = 1, *, whole: bool = False, says_redrives: bool = True) -> World:
    # Given a gang that was launched right after a redrive
    world, execution = a_stopped_run(says_redrives=says_redrives)
    world.look_again(execution.name)
    redrive_and_launch(world, execution)
    # When DescribeExecution still answers as before it
    world.steps.lag = lag
    world.look_again(None if whole else execution.name)
    # Then no token is lost
    assert_no_token_lost(world)
    world.steps.lag = 0
    return world


@pytest.mark.parametrize("lag", [1, 2])
@pytest.mark.parametrize("whole", [False, True], ids=["one run", "every run"])
def test_a_description_from_before_the_redrive_ends_nothing(
    lag: int, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def the_new_gang_is_let_be() -> None:
        world = a_description_from_before_the_redrive(lag, whole=whole)
        assert_awaited(world, next(iter(world.steps.executions.values())))

    if lag == 1:
        guards("descriptions are dated by their redrives", the_new_gang_is_let_be, monkeypatch)
    else:
        the_new_gang_is_let_be()


def test_a_gang_that_is_closed_by_mistake_answers_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    # A record of the definition before cannot show that the description is older than it: its Task asks again.
    def its_task_asks_again() -> None:
        world = a_description_from_before_the_redrive(says_redrives=False)
        world.heal()
        assert world.settled()

    guards("a closed gang's token is answered", its_task_asks_again, monkeypatch)


@pytest.mark.parametrize("whole", [False, True], ids=["one run", "every run"])
def test_a_description_from_before_the_start_ends_nothing(whole: bool) -> None:
    # Given a run whose preprocess was submitted a moment after its start
    world = World()
    world.land("v1")
    [execution] = world.steps.executions.values()
    # When Step Functions does not know the execution yet
    world.steps.lag = 1
    world.look_again(None if whole else execution.name)
    # Then its job is let be
    assert [job["status"] for job in world.batch.jobs.values()] == ["RUNNABLE"]


def test_a_launcher_that_meets_a_late_description_keeps_its_job() -> None:
    world, execution = a_stopped_run()
    world.redrive(execution)
    world.steps.lag = 1
    launch_all(world)
    assert_awaited(world, execution)
