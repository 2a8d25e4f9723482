"""Many runs at once, built where they stand: what a reconcile costs with them is counted, not how they came there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from spotline.gangs import Gang
from spotline.runs import Market, Priority
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, launch_all
from tests.unit.protocol.steps import SPOT_ONLY, Execution
from tests.unit.protocol.world import World

TOKEN = "t" * 800
"""About as long as a task token of Step Functions."""


def one_runs_and_many_wait(many: int) -> World:
    """A gang runs in the only Spot slot, and behind it so many wait, which asked an hour ago."""
    world = World()
    at_the_gang(world, "v1")
    launch_all(world)
    world.start_job(gang_jobs(world)[0]["jobId"])
    source = {"bucket": "in", "size": 9, "version_id": "w"}
    for number in range(many):
        name = f"flights-20130209-{number:016x}"
        document: dict[str, Any] = {"run_id": name, "dataset": "flights", "day": "20130209", "market": "spot-only"}
        document["source"] = {**source, "key": f"data/flights/20130209/{number}.csv"}
        execution = Execution(name, document, world.clock.now, state=SPOT_ONLY, waits_for=f"{TOKEN}{number}")
        execution.keep_description(world.clock.now)
        world.steps.executions[name] = execution
        world.table.raise_generation(name, execution_arn=execution.arn)
        world.table.record_gang(
            Gang(
                name,
                1,
                Market.SPOT,
                execution.waits_for,
                execution.arn,
                world.clock.now,
                priority=Priority.BACKFILL,
                redrives=0,
            )
        )
    world.clock.advance(timedelta(hours=1))
    world.line.counts.clear()
    return world


def calls_of(world: World) -> int:
    """The AWS calls since the last time that this was asked."""
    calls = sum(world.line.counts.values())
    world.line.counts.clear()
    return calls
