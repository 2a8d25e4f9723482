"""Where the tests of a reconcile begin: a gang that runs, and others that wait behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.protocol.scenes import at_the_gang, gang_jobs, launch_all
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from spotline.gangs import Gang
    from tests.unit.protocol.steps import Execution as Ran


def a_running_gang(**limits: int) -> tuple[World, Ran, dict[str, Any]]:
    world = World(**limits)
    [execution] = at_the_gang(world)
    launch_all(world)
    [job] = gang_jobs(world)
    world.start_job(job["jobId"])
    return world, execution, job


def wait_behind(world: World, *versions: str) -> list[Ran]:
    """Runs whose launcher was called while others' gangs run."""
    for version in versions:
        world.land(version)
    for job in world.batch.unfinished():
        if "members" not in job:
            world.finish_job(job["jobId"])
    world.tell_steps()
    launch_all(world)
    return [one for one in world.steps.executions.values() if one.version_id in versions]


def open_gang(world: World) -> Gang:
    [gang] = world.table.open_gangs()
    return gang
