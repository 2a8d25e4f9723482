"""The protocol, explored: whatever is lost, doubled, late, stopped, timed out or cut short, these invariants hold."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from spotline.runs import MarketChoice, Priority
from tests.soak.document import write_section
from tests.unit.protocol.calls import Crashed, Fuse, InternalServerError
from tests.unit.protocol.invariants import (
    assert_everything_told,
    assert_fenced,
    assert_metrics_go_forward,
    assert_no_token_lost,
    assert_nothing_missed,
    assert_told_once,
    assert_within_allowances,
)
from tests.unit.protocol.slack import Mood
from tests.unit.protocol.steps import SUPERSEDED
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

VERSIONS = ("a.1", "a.2", "b.1")
"""Two versions of one file, the second of which may come first, and another file."""
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
AT_ONCE = (
    "launch", "look at a run", "look", "land", "sweep", "notify", "summarise", "lead", "publish", "write metrics",
    "stop", "redrive", "redrive and launch", "stop, redrive and launch",
)  # fmt: skip
"""What may run at the same time, one AWS call of the one between two of the other. Each chooses what it is about when it begins."""
JOBS_ACT = ("lead", "publish", "write metrics")
LAGS = st.sampled_from([0, 0, 0, 1, 2])
"""How many changes old the descriptions of executions are."""


def picked(among: Iterable[str], pick: int) -> str:
    """One of several, whatever their number."""
    names = sorted(among)
    return names[pick % len(names)]


class Histories(RuleBasedStateMachine):
    """What can happen, in any order. A fuse ends a function of ours at one of its AWS calls, or loses a call's answer."""

    limits: ClassVar[dict[str, int]] = {}
    played: ClassVar[Counter[str]] = Counter()
    """What all histories come to."""

    @initialize(landed=st.lists(st.sampled_from(VERSIONS), unique=True), far=st.integers(0, 2))
    def begin(self, landed: list[str], far: int) -> None:
        """Some histories begin where the first gangs are asked for, some where they lead, some where they lead and are not wanted."""
        self.world = World(**self.limits)
        self.answers_lost = False
        self.shown: dict[str, int] = {}
        for version in landed:
            self.world.land(version)
        for job in self.world.batch.unfinished():
            self.world.finish_job(job["jobId"])
        self.world.tell_steps()
        if far:
            for task in list(self.world.launches):
                self.world.launch(task)
            for job in self.world.batch.unfinished():
                self.world.start_job(job["jobId"])
        if far == 2:
            for execution in self._executions("RUNNING"):
                self.world.stop(execution)
                self.world.clock.advance(timedelta(minutes=1))
                self.world.redrive(execution)

    def _with(self, fuse: Fuse | None, lag: int = 0) -> None:
        self.world.steps.lag = lag
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

    @rule(version=st.sampled_from(VERSIONS))
    def a_file_lands_and_its_event_is_lost(self, version: str) -> None:
        self.world.put(version)

    @rule(
        version=st.sampled_from(VERSIONS),
        market=st.sampled_from(MarketChoice),
        priority=st.sampled_from(Priority),
        keep=st.booleans(),
        fuse=FUSES,
    )
    def a_person_asks_for_a_run(
        self, version: str, market: MarketChoice, priority: Priority, keep: bool, fuse: Fuse | None
    ) -> None:
        self._with(fuse)
        self.world.ask_for(version, market, priority, keep=keep)

    @rule(fuse=FUSES)
    def the_schedule_says_sweep(self, fuse: Fuse | None) -> None:
        self._with(fuse)
        self.world.sweep()
        if fuse is None:
            assert_nothing_missed(self.world)

    @precondition(lambda self: self.world.endings)
    @rule(pick=PICK, mood=st.sampled_from(Mood), fuse=FUSES)
    def an_ending_is_told(self, pick: int, mood: Mood, fuse: Fuse | None) -> None:
        self._with(fuse)
        self.world.notify(self.world.endings[pick % len(self.world.endings)], mood)

    @rule(mood=st.sampled_from(Mood), fuse=FUSES)
    def messages_are_summarised(self, mood: Mood, fuse: Fuse | None) -> None:
        self._with(fuse)
        self.world.summarise(mood)

    @precondition(lambda self: self.world.steps.executions)
    @rule(pick=PICK, fuse=FUSES, lag=LAGS)
    def an_event_says_look_at_a_run(self, pick: int, fuse: Fuse | None, lag: int) -> None:
        names = sorted(self.world.steps.executions)
        self._with(fuse, lag)
        self.world.look_again(names[pick % len(names)])

    @rule(fuse=FUSES, lag=LAGS)
    def the_schedule_says_look(self, fuse: Fuse | None, lag: int) -> None:
        self._with(fuse, lag)
        self.world.look_again()
        if fuse is None and not lag:
            assert self.world.orphans() == []  # invariant 11

    @precondition(lambda self: self.world.launches)
    @rule(pick=PICK, fuse=FUSES, lag=LAGS)
    def launch_gang_runs(self, pick: int, fuse: Fuse | None, lag: int) -> None:
        self._with(fuse, lag)
        self.world.launch(self.world.launches[pick % len(self.world.launches)])

    # ---- several at once

    @rule(
        several=st.lists(st.tuples(st.sampled_from(AT_ONCE), PICK, FUSES, LAGS), min_size=2, max_size=3),
        order=st.lists(st.integers(0, 5), max_size=60),
    )
    def functions_run_at_once(self, several: list[tuple[str, int, Fuse | None, int]], order: list[int]) -> None:
        self.world.turns.run([partial(self._begin, *one) for one in several], order)

    def _begin(self, what: str, pick: int, fuse: Fuse | None, lag: int) -> None:
        function = self._prepared(what, pick)
        if function is not None:
            self._with(None if what in JOBS_ACT else fuse, lag)
            function()

    def _prepared(self, what: str, pick: int) -> Callable[[], object] | None:
        """A function, or what a job does or a person; None when there is nothing that it could be about."""
        world = self.world
        match what:
            case "launch" if world.launches:
                return partial(world.launch, world.launches.pop(pick % len(world.launches)))
            case "look at a run" if world.steps.executions:
                return partial(world.look_again, picked(world.steps.executions, pick))
            case "look":
                return world.look_again
            case "land":
                return partial(world.land, picked(VERSIONS, pick))
            case "sweep":
                return world.sweep
            case "notify" if world.endings:
                ending = world.endings[pick % len(world.endings)]
                return partial(world.notify, ending, Mood(picked(Mood, pick)))
            case "summarise":
                return partial(world.summarise, Mood(picked(Mood, pick)))
            case "lead" if runnable := [
                job["jobId"] for job in world.batch.unfinished() if job["status"] == "RUNNABLE"
            ]:
                return partial(world.start_job, picked(runnable, pick))
            case "publish" if world.leases:
                return partial(world.publish, picked(world.leases, pick))
            case "write metrics" if world.steps.executions:
                return partial(world.write_metrics, picked(world.steps.executions, pick))
        return partial(self._operate, what.removesuffix(" and launch").split(", "), "launch" in what, pick)

    def _operate(self, acts: list[str], launch: bool, pick: int) -> None:
        """What a person does to an execution, and the launcher that follows on it."""
        if "stop" in acts and (running := self._executions("RUNNING")):
            self.world.stop(running[pick % len(running)])
        if "redrive" in acts and (ended := self._executions("FAILED", "ABORTED")):
            self.world.redrive(ended[pick % len(ended)])
        if launch and self.world.launches:
            self.world.launch(self.world.launches.pop())

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
        versions = [one.version_id for one in self.world.steps.executions.values()]
        assert len(versions) == len(set(versions))

    @invariant()
    def metrics_never_go_back_to_an_older_version(self) -> None:  # 4
        assert_metrics_go_forward(self.world, self.shown)

    @invariant()
    def a_confirmed_message_is_never_repeated(self) -> None:  # 7
        assert_told_once(self.world)

    @invariant()
    def one_gang_of_a_run_publishes(self) -> None:  # 12
        assert_fenced(self.world)

    @invariant()
    def no_token_is_lost(self) -> None:
        assert_no_token_lost(self.world)

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
        self.played.update(
            histories=1,
            executions=len(self.world.steps.executions),
            jobs=len(self.world.batch.jobs),
            calls=self.world.line.counts.total(),
        )
        self.world.steps.lag = 0
        self.world.heal()
        assert self.world.settled(), stuck(
            self.world
        )  # 8: every failure is redriven to success; every token is answered
        self.world.look_again()
        assert list(self.world.table.open_gangs()) == []
        assert [item["holders"] for item in self.world.dynamodb.items.values() if "holders" in item] == []
        assert_nothing_missed(self.world)
        assert_everything_told(self.world)
        for check in (assert_fenced, assert_told_once):
            check(self.world)
        assert_metrics_go_forward(self.world, self.shown)


def stuck(world: World) -> str:
    return "\n".join(
        [str(one) for one in world.steps.executions.values()]
        + [str(job) for job in world.batch.unfinished()]
        + [str(item) for item in world.dynamodb.items.values()]
    )


class CrowdedHistories(Histories):
    """Both markets have room for one gang, and the day for one attempt."""

    limits: ClassVar[dict[str, int]] = {"on_demand_gang_hours_per_day": 6}


def explore(machine: type[Histories], examples: int, steps: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


def test_every_history_keeps_the_invariants() -> None:
    explore(Histories, examples=300, steps=40)


def test_every_history_of_a_crowded_day_keeps_the_invariants() -> None:
    explore(CrowdedHistories, examples=150, steps=40)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("machine", "heading"),
    [(Histories, "Explored histories"), (CrowdedHistories, "Explored histories of a crowded day")],
)
def test_many_long_histories_keep_the_invariants(machine: type[Histories], heading: str) -> None:
    began, machine.played = time.monotonic(), Counter()
    explore(machine, examples=4000, steps=80)
    write_section(
        heading,
        f"{machine.played['histories']:,} histories of up to 80 steps each (`tests/unit/protocol/test_histories.py`), in "
        f"{(time.monotonic() - began) / 60:.0f} minutes: {machine.played['executions']:,} executions, {machine.played['jobs']:,} jobs, "
        f"{machine.played['calls']:,} calls of AWS, and every invariant held after each step.",
    )


def test_an_undisturbed_run_goes_all_the_way() -> None:
    world = World()
    world.land("v1")
    world.heal()
    [execution] = world.steps.executions.values()
    assert execution.status == "SUCCEEDED"
    assert world.publications == [1]


def test_a_version_that_was_replaced_meanwhile_leaves_no_metrics() -> None:
    world = World()
    world.land("a.1")
    world.land("a.2")
    world.heal()
    older, newer = world.steps.executions.values()
    assert (older.state, older.status, newer.status) == (SUPERSEDED, "SUCCEEDED", "SUCCEEDED")
    assert world.metrics() == {"a": "a.2"}
    assert [ending.run_id for ending in world.endings] == [newer.name]
