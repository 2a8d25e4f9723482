"""What a reconcile costs grows with what changed, and not with what waits."""

from __future__ import annotations

import time

import pytest

from benchmarks.growth import BEFORE, retrier_now, submit_burst
from tests.unit.protocol.crowds import calls_of, one_runs_and_many_wait
from tests.unit.protocol.scenes import gang_jobs

MOST_CALLS, MOST_SECONDS = 50, 5


@pytest.mark.parametrize("many", [20, 2000])
def test_gangs_that_wait_cost_a_full_reconcile_nothing(many: int) -> None:
    world = one_runs_and_many_wait(many)
    began = time.monotonic()
    seen = world.look.again()
    assert time.monotonic() - began < MOST_SECONDS
    assert calls_of(world) <= MOST_CALLS
    assert (seen.done, seen.failed) == ([], [])


@pytest.mark.parametrize("many", [50, 300])
def test_an_event_costs_what_its_own_run_costs(many: int) -> None:
    # Given many runs that wait for a slot, and are all stopped at once
    world = one_runs_and_many_wait(many)
    names = [name for name, execution in world.steps.executions.items() if execution.waits_for.startswith("t" * 800)]
    for name in names:
        world.stop(world.steps.executions[name])
    # When each of these ends is told
    for name in names:
        world.look_again(name)
    # Then each costs the same, and its execution is described once
    assert world.line.counts["describe_execution"] == many
    assert calls_of(world) <= 12 * many


def test_a_slot_that_an_event_frees_costs_a_handful_of_calls() -> None:
    world = one_runs_and_many_wait(2000)
    [job] = gang_jobs(world)
    run_id = job["tags"]["spotline:run-id"]
    world.finish_job(job["jobId"])
    world.look_again(run_id)
    assert len(gang_jobs(world)) == 2, "whoever waited longest was launched"
    assert calls_of(world) <= 40


def test_ends_that_no_event_told_of_are_found_by_a_full_reconcile() -> None:
    # Given runs that wait, some of which were stopped unnoticed
    world = one_runs_and_many_wait(200)
    stopped = [execution for execution in world.steps.executions.values() if "t" * 800 in execution.waits_for][::20]
    for execution in stopped:
        world.stop(execution)
    world.line.counts.clear()
    world.look_again()
    # Then these are closed, and only these were read
    assert len(list(world.table.open_gangs())) == 201 - len(stopped)
    assert world.line.counts["describe_execution"] <= len(stopped) + 2


def test_a_burst_of_files_outlasts_the_rate_of_batch() -> None:
    # Batch takes 50 submissions a second ("AWS Batch service quotas", AWS Batch user guide): 10,000 files in a minute are 167.
    assert submit_burst(10_000, within=60, retrier=BEFORE).failed > 0
    for seed in range(3):
        assert submit_burst(10_000, within=60, retrier=retrier_now(), seed=seed).failed == 0
