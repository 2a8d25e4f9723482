"""The protocol, explored: whatever is lost, doubled, late, stopped, timed out or cut short, these invariants hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from spotline.runs import Market
from tests.unit.protocol.fake_aws import Crashed, Fuse, InternalServerError
from tests.unit.protocol.world import World

VERSIONS = ("v1", "v2")
ENDS = [
    {"reason": "Host EC2 (instance i-1) terminated."},
    {"reason": "Essential container in task exited", "code": 75},
    {"reason": "Essential container in task exited", "code": 1},
    {"reason": "Essential container in task exited", "code": 76},
]
FUSES = st.one_of(
    st.none(),
    st.builds(Fuse, st.integers(0, 25), st.sampled_from([Crashed, InternalServerError])),
)
PICK = st.integers(0, 7)


class Histories(RuleBasedStateMachine):
    """What can happen, in any order. A fuse ends a function of ours at one of its AWS calls, or loses a call's answer."""

    limits: ClassVar[dict[str, int]] = {}

    @initialize(landed=st.lists(st.sampled_from(VERSIONS), unique=True))
    def begin(self, landed: list[str]) -> None:
        """Some histories begin where the first gangs are asked for."""
        self.world = World(**self.limits)
        self.answers_lost = False
        for version in landed:
            self.world.land(version)
        for job in self.world.batch.unfinished():
            self.world.finish_job(job["jobId"])
        self.world.tell_steps()

    def _with(self, fuse: Fuse | None) -> None:
        if fuse is not None:
            self.answers_lost |= fuse.ending is not Crashed
            self.world.fuse.calls, self.world.fuse.ending = fuse.calls, fuse.ending

    def _executions(self, *statuses: str) -> list[Any]:
        return [one for one in self.world.steps.executions.values() if one.status in statuses]

    # ---- events: delivered twice or late by being asked again, dropped by never being asked

    @rule(version=st.sampled_from(VERSIONS), fuse=FUSES)
    def a_file_lands_or_its_event_comes_again(self, version: str, fuse: Fuse | None) -> None:
        self._with(fuse)
        self.world.land(version)

    @precondition(lambda self: self.world.steps.executions)
    @rule(pick=PICK, fuse=FUSES)
    def an_event_says_look_at_a_run(self, pick: int, fuse: Fuse | None) -> None:
        names = sorted(self.world.steps.executions)
        self._with(fuse)
        self.world.look_again(names[pick % len(names)])

    @rule(fuse=FUSES)
    def the_schedule_says_look(self, fuse: Fuse | None) -> None:
        self._with(fuse)
        self.world.look_again()
        if fuse is None:
            assert self.world.orphans() == []  # invariant 11

    @precondition(lambda self: self.world.launches)
    @rule(pick=PICK, fuse=FUSES)
    def launch_gang_runs(self, pick: int, fuse: Fuse | None) -> None:
        self._with(fuse)
        self.world.launch(self.world.launches[pick % len(self.world.launches)])

    # ---- jobs

    @precondition(lambda self: any(job["status"] == "RUNNABLE" for job in self.world.batch.jobs.values()))
    @rule(pick=PICK)
    def a_job_starts(self, pick: int) -> None:
        jobs = [job["jobId"] for job in self.world.batch.jobs.values() if job["status"] == "RUNNABLE"]
        self.world.start_job(jobs[pick % len(jobs)])

    @precondition(lambda self: any(job["status"] == "RUNNING" for job in self.world.batch.jobs.values()))
    @rule(pick=PICK, told=st.booleans())
    def a_job_ends_well(self, pick: int, told: bool) -> None:
        running = [job["jobId"] for job in self.world.batch.unfinished() if job["status"] == "RUNNING"]
        self.world.finish_job(running[pick % len(running)])
        if told:
            self.world.tell_steps()

    @precondition(lambda self: self.world.batch.unfinished())
    @rule(pick=PICK, how=st.sampled_from(ENDS), whole=st.booleans())
    def a_job_ends_badly(self, pick: int, how: dict[str, Any], whole: bool) -> None:
        unfinished = self.world.batch.unfinished()
        job = unfinished[pick % len(unfinished)]
        job_id = job["jobId"] if whole or "arrayProperties" not in job else f"{job['jobId']}:{pick % 2}"
        self.world.batch.end(job_id, "FAILED", **how)
        self.world.tell_steps()

    @precondition(lambda self: self.world.leases)
    @rule(pick=PICK)
    def a_leader_awakes_and_publishes_if_it_may(self, pick: int) -> None:
        leases = sorted(self.world.leases)
        self.world.publish(leases[pick % len(leases)])

    # ---- operators, time

    @precondition(lambda self: self._executions("RUNNING"))
    @rule(pick=PICK)
    def an_operator_stops_it(self, pick: int) -> None:
        running = self._executions("RUNNING")
        self.world.stop(running[pick % len(running)])

    @precondition(lambda self: self._executions("RUNNING"))
    @rule(pick=PICK)
    def its_task_times_out(self, pick: int) -> None:
        running = self._executions("RUNNING")
        self.world.time_out(running[pick % len(running)])

    @precondition(lambda self: self._executions("FAILED", "ABORTED"))
    @rule(pick=PICK)
    def an_operator_redrives_it(self, pick: int) -> None:
        ended = self._executions("FAILED", "ABORTED")
        self.world.clock.advance(timedelta(seconds=10))
        self.world.redrive(ended[pick % len(ended)])

    @precondition(lambda self: self._executions("RUNNING"))
    @rule(pick=PICK)
    def it_is_stopped_and_redriven(self, pick: int) -> None:
        running = self._executions("RUNNING")
        self.world.stop(running[pick % len(running)])
        self.world.clock.advance(timedelta(minutes=1))
        self.world.redrive(running[pick % len(running)])

    @rule(minutes=st.sampled_from([1, 7, 16, 61]))
    def time_passes(self, minutes: int) -> None:
        self.world.clock.advance(timedelta(minutes=minutes))

    # ---- what must hold

    @invariant()
    def one_execution_per_object_version(self) -> None:  # 3
        assert len(self.world.steps.executions) == len(
            {one.input["source"]["version_id"] for one in self.world.steps.executions.values()}
        )

    @invariant()
    def no_gang_publishes_after_a_newer_one_claimed(self) -> None:  # 12
        assert_fenced(self.world)

    @invariant()
    def a_gang_has_one_job(self) -> None:
        names = [job["jobName"] for job in self.world.batch.jobs.values() if "members" in job]
        assert self.answers_lost or len(names) == len(set(names))

    @invariant()
    def allowances_are_kept(self) -> None:
        assert_within_allowances(self.world)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.heal()
        assert self.world.settled(), stuck(
            self.world
        )  # 8: every failure is redriven to success; every token is answered
        self.world.look_again()
        assert list(self.world.table.open_gangs()) == []
        assert [item["holders"] for item in self.world.dynamodb.items.values() if "holders" in item] == []
        assert_fenced(self.world)


def assert_fenced(world: World) -> None:
    """Of each run at most one gang can publish: once a newer one has claimed the checkpoint, no older one does, and none twice."""
    newest: dict[str, int] = {}
    published: set[tuple[str, int]] = set()
    for act, run, generation in world.leaders:
        assert generation >= newest.get(run, 0), (
            f"generation {generation} of {run} {act} after {newest[run]} had claimed"
        )
        newest[run] = generation
        if act == "published":
            assert (run, generation) not in published
            published.add((run, generation))


def assert_within_allowances(world: World) -> None:
    for (pk, market), item in world.dynamodb.items.items():
        if pk == "SLOTS":
            assert len(item.get("holders", ())) <= slots(world, market)
        if pk.startswith("BUDGET#"):
            assert 0 <= item["spent"] <= world.look_settings.on_demand_gang_hours_per_day * 3600
    unfinished = {job["jobId"] for job in world.batch.unfinished()}
    busy = [gang.market for gang in world.table.open_gangs() if gang.job_id in unfinished]
    for market in Market:
        assert busy.count(market) <= slots(world, market)


def slots(world: World, market: str) -> int:
    told = world.look_settings
    return told.spot_max_gangs if market == "SPOT" else told.on_demand_max_gangs


def stuck(world: World) -> str:
    return "\n".join(
        [str(one) for one in world.steps.executions.values()]
        + [str(job) for job in world.batch.unfinished()]
        + [str(item) for item in world.dynamodb.items.values()]
    )


class CrowdedHistories(Histories):
    """Both markets have room for one gang, and the day for one attempt."""

    limits: ClassVar[dict[str, int]] = {"on_demand_gang_hours_per_day": 6}


def explore(machine: type[Histories], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


def test_every_history_keeps_the_invariants() -> None:
    explore(Histories, examples=500, steps=50)


def test_every_history_of_a_crowded_day_keeps_the_invariants() -> None:
    explore(CrowdedHistories, examples=300, steps=50)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", [Histories, CrowdedHistories])
def test_many_long_histories_keep_the_invariants(machine: type[Histories]) -> None:
    explore(machine, examples=4000, steps=80)


def test_an_undisturbed_run_goes_all_the_way() -> None:
    world = World()
    world.land("v1")
    world.heal()
    [execution] = world.steps.executions.values()
    assert execution.status == "SUCCEEDED"
    assert world.publications == [1]
