"""Where many histories begin, and how one shows what a guard is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.protocol.guards import GUARDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.protocol.steps import Execution
    from tests.unit.protocol.world import World


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


def guards(guard: str, history: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """The history ends well with the guard, and not without it."""
    history()
    GUARDS[guard].take_out(monkeypatch)
    with pytest.raises(AssertionError):
        history()
