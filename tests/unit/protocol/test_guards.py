"""The guards of the invariants, each with the history that it is there for: what holds with it breaks without it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analysis.outcomes import FencedOff
from tests.unit.protocol.guards import GUARDS
from tests.unit.protocol.invariants import (
    assert_fenced,
    assert_metrics_go_forward,
    assert_nothing_missed,
    assert_told_once,
)
from tests.unit.protocol.scenes import at_the_gang, gang_jobs, guards, launch_all
from tests.unit.protocol.slack import Mood
from tests.unit.protocol.steps import SPOT
from tests.unit.protocol.world import World

# ---- 3: one run per object version


def one_execution_after_two_events() -> None:
    world = World()
    world.land("v1")
    world.heal()
    world.land("v1")
    assert len(world.steps.executions) == 1


def test_the_execution_of_a_version_has_the_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("a version's one name", one_execution_after_two_events, monkeypatch)


def a_lost_event() -> None:
    world = World()
    world.put("a.1")
    world.heal()
    assert_nothing_missed(world)
    assert world.metrics() == {"a": "a.1"}


def test_a_sweep_finds_what_no_event_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("the sweep", a_lost_event, monkeypatch)


# ---- 4: an older version's metrics never overwrite a newer one's


def an_older_versions_postprocess_is_the_slower_one() -> None:
    world = World()
    world.land("a.1")
    world.land("a.2")  # within the same second, as S3 counts them
    older, newer = world.steps.executions
    shown: dict[str, int] = {}
    for run_id in (newer, older):
        world.write_metrics(run_id)
        assert_metrics_go_forward(world, shown)


def test_an_older_version_leaves_a_newer_ones_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("metrics' source order", an_older_versions_postprocess_is_the_slower_one, monkeypatch)


# ---- 7: a confirmed message is never repeated, an unconfirmed one once, saying so


def an_ended_run() -> World:
    world = World()
    world.land("v1")
    world.stop(*world.steps.executions.values())
    return world


def the_machine_and_the_event_tell_at_once() -> None:
    for first in range(6):
        world = an_ended_run()
        [ending] = world.endings
        world.turns.run([partial(world.notify, ending)] * 2, [0] * first + [1] * 9)
        world.notify(ending)
        assert_told_once(world)
        assert list(world.slack.arrived.values()) == [["first"]]


def test_a_message_is_claimed_before_it_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("a message's claim", the_machine_and_the_event_tell_at_once, monkeypatch)


def slack_never_answers() -> None:
    world = an_ended_run()
    for _ in range(4):
        world.notify(world.endings[0], Mood.SILENT)
        world.clock.advance(timedelta(minutes=3))
    assert_told_once(world)
    assert list(world.slack.arrived.values()) == [["first", "repeated"]]


def test_an_unconfirmed_message_is_repeated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("a message's bound", slack_never_answers, monkeypatch)


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
    guards("a closed gang's token is answered", an_older_launcher_is_slower_than_the_next_one, monkeypatch)


def a_next_gang_beside_a_frozen_one() -> World:
    """The first gang's leader trains on, unseen, while a redrive has launched the second."""
    world = World()
    [execution] = at_the_gang(world)
    launch_all(world)
    world.start_job(gang_jobs(world)[0]["jobId"])
    world.stop(execution)
    world.clock.advance(timedelta(minutes=1))
    world.redrive(execution)
    launch_all(world)
    world.look_again()
    return world


def a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts() -> World:
    world = a_next_gang_beside_a_frozen_one()
    second = gang_jobs(world)[-1]["jobId"]
    assert second != gang_jobs(world)[0]["jobId"]
    world.start_job(second)
    return world


def test_a_newer_generation_takes_the_checkpoint_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def settles() -> None:
        world = a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts()
        world.heal(rounds=8)
        assert world.settled()

    guards("a generation is raised", settles, monkeypatch)


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

    guards("strays are ended", no_orphan_after_a_look, monkeypatch)


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

    guards("a look after the submission", no_orphan_without_any_look, monkeypatch)


# ---- 12: at most one gang of a run can publish


def a_frozen_leader_awakes_and_publishes_first() -> None:
    world = a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts()
    first, second = (job["jobId"] for job in gang_jobs(world))
    world.publish(second)
    world.publish(first)
    assert_fenced(world)
    assert world.publications == [2]


def test_a_fenced_off_leader_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("leaders' conditional writes", a_frozen_leader_awakes_and_publishes_first, monkeypatch)


def a_frozen_leader_publishes_before_the_next_one_claims() -> None:
    world = World()
    [execution] = at_the_gang(world)
    launch_all(world)
    [first] = gang_jobs(world)
    world.start_job(first["jobId"])
    world.stop(execution)
    world.clock.advance(timedelta(minutes=1))
    world.redrive(execution)
    launch_all(world)
    world.look_again()
    assert world.publish(first["jobId"])
    world.heal()
    assert_fenced(world)
    assert world.settled()


def test_what_an_unseen_gang_published_is_not_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    guards("an analysis is published once", a_frozen_leader_publishes_before_the_next_one_claims, monkeypatch)


def two_leaders_at_once(order: list[int]) -> World:
    """One publishes while a newer one claims the checkpoint, one AWS call of the one between two of the other."""
    world = a_next_gang_beside_a_frozen_one()
    first, second = (job["jobId"] for job in gang_jobs(world))
    world.turns.run([lambda: world.publish(first), lambda: world.start_job(second)], order)
    if second in world.leases:
        world.publish(second)
    return world


@pytest.mark.parametrize("calls", range(8))
@pytest.mark.parametrize("first", [0, 1])
def test_two_leaders_at_once_publish_once(first: int, calls: int) -> None:
    world = two_leaders_at_once([first] * calls + [1 - first] * 20)
    assert len(world.publications) == 1
    assert_fenced(world)
    world.heal()
    assert world.settled()


def test_a_leader_never_claims_after_a_newer_one() -> None:
    world = a_frozen_gang_holds_the_checkpoint_while_the_next_one_starts()
    run_id = next(iter(world.steps.executions))
    with pytest.raises(FencedOff):
        world.claim(run_id, 1, "late")


def test_every_guard_has_its_history() -> None:
    told = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [guard for guard in GUARDS if f'guards("{guard}"' not in told] == []
