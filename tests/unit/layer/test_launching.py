"""Launching a gang: what it takes before its job is submitted, and what becomes of that however far the launch comes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from spotline.allowances import Limits
from spotline.batch_jobs import GangPlaces
from spotline.failures import FENCED_OFF, NOT_AWAITED, NOT_RUNNING
from spotline.gangs import SUBMITTING, Gang
from spotline.launching import Launched, LaunchSettings, gang_launched, utc_now
from spotline.metrics import Measurement
from spotline.runs import Market
from tests.unit.protocol.calls import ClientException
from tests.unit.protocol.scenes import at_the_gang, gang_jobs
from tests.unit.protocol.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.protocol.steps import Execution

MARKETS = pytest.mark.parametrize("market", Market)
ATTEMPT = timedelta(hours=6)


class Scene:
    """A recorded gang that is about to be launched, and the account that it is launched in."""

    def __init__(self, market: Market, **limits: int) -> None:
        self.world = World(**limits)
        [self.execution] = at_the_gang(self.world)
        task = self.world.launches.pop()
        generation = self.world.table.raise_generation(task.run_id, execution_arn=task.execution_arn)
        self.gang = Gang(
            task.run_id,
            generation,
            market,
            task.task_token,
            task.execution_arn,
            self.world.clock.now,
            redrives=task.redrives,
        )
        self.world.table.record_gang(self.gang)

    def launch(self) -> Launched:
        return self.world.launcher.launch(self.gang)

    def taken(self) -> tuple[set[str], timedelta]:
        """Who holds the market's slots, and what is spent of the day's hours."""
        allowances = self.world.allowances
        return allowances.slot_holders(self.gang.market), allowances.spent(self.world.clock.now)

    def holds_all(self) -> tuple[set[str], timedelta]:
        """What is taken while the gang has its slot and its hours."""
        return {self.gang.name}, ATTEMPT if self.gang.market is Market.ON_DEMAND else timedelta(0)

    def record(self) -> dict[str, Any]:
        return self.world.dynamodb.items[f"RUN#{self.gang.run_id}", f"GANG#{self.gang.generation:04d}"]

    def before_submission(self, happens: Callable[[], object]) -> None:
        """Let something happen after the launcher has claimed the submission, and before Batch has the job."""
        submit = self.world.batch.submitted

        def overtaken(**submission: Any) -> str:
            happens()
            return submit(**submission)

        self.world.batch.submitted = overtaken  # type: ignore[method-assign]


NOTHING: tuple[set[str], timedelta] = (set(), timedelta(0))


@MARKETS
def test_a_gang_is_submitted_with_its_slot_and_its_hours(market: Market) -> None:
    scene = Scene(market)
    scene.world.clock.advance(timedelta(minutes=3))
    assert scene.launch() is Launched.SUBMITTED
    [job] = gang_jobs(scene.world)
    assert job["jobName"] == f"{scene.gang.run_id}-g1"
    assert job["jobQueue"] == ("spot" if market is Market.SPOT else "on-demand")
    assert (scene.record()["job_id"], job["status"]) == (job["jobId"], "RUNNABLE")
    assert scene.record()["submitting_at"] == scene.world.clock.now.isoformat()
    assert scene.taken() == scene.holds_all()
    assert scene.execution.waits_for == scene.gang.task_token


@MARKETS
def test_a_gang_without_a_slot_waits_and_takes_nothing(market: Market) -> None:
    scene = Scene(market)
    other = replace(scene.gang, run_id="other")
    assert scene.world.allowances.take_slot(other)
    assert scene.launch() is Launched.WAITING
    assert (gang_jobs(scene.world), scene.taken()) == ([], ({other.name}, timedelta(0)))
    assert "submitting_at" not in scene.record()
    assert scene.execution.waits_for == scene.gang.task_token
    assert [gang.generation for gang in scene.world.table.open_gangs()] == [1]


def test_a_gang_without_hours_fails_and_gives_its_slot_back() -> None:
    scene = Scene(Market.ON_DEMAND, on_demand_gang_hours_per_day=5)
    assert scene.launch() is Launched.EXHAUSTED
    assert (gang_jobs(scene.world), scene.taken()) == ([], NOTHING)
    assert (scene.execution.status, scene.execution.error) == ("FAILED", "Budget.Exhausted")
    assert json.loads(scene.execution.cause)["sentence"] == (
        "Of the day's 5 On-Demand gang hours too few are left for an attempt. Redrive tomorrow (UTC), or raise"
        " OnDemandGangHoursPerDay and redrive: training goes on from the last checkpoint"
    )
    assert scene.record()["outcome"] == "Budget.Exhausted"
    assert list(scene.world.table.open_gangs()) == []


def test_hours_are_reserved_on_the_day_of_the_launch() -> None:
    scene = Scene(Market.ON_DEMAND)
    asked = scene.world.clock.now
    scene.world.clock.advance(timedelta(days=1))
    scene.launch()
    assert scene.world.allowances.spent(asked) == timedelta(0)
    assert scene.taken() == scene.holds_all()


@MARKETS
def test_a_gang_that_somebody_else_submits_keeps_what_was_taken_for_it(market: Market) -> None:
    # Given a launcher that claimed the submission, and has taken slot and hours under the gang's name
    scene = Scene(market)
    assert scene.world.table.claim_submission(scene.gang, scene.world.clock.now)
    assert scene.launch() is Launched.ELSEWHERE
    assert (gang_jobs(scene.world), scene.taken()) == ([], scene.holds_all())
    # And when that one died over it, its claim lapses
    scene.world.clock.advance(SUBMITTING)
    assert scene.launch() is Launched.SUBMITTED
    assert scene.launch() is Launched.ELSEWHERE
    assert (len(gang_jobs(scene.world)), scene.taken()) == (1, scene.holds_all())


@MARKETS
def test_what_was_taken_for_a_gang_that_was_closed_meanwhile_is_given_back(market: Market) -> None:
    # Given a gang that a reconcile closes once its launcher has taken slot and hours
    scene = Scene(market)
    reserve = scene.world.allowances.reserve_hours

    def overtaken(gang: Gang, now: datetime) -> bool:
        reserved = reserve(gang, now)
        scene.world.table.close_gang(gang, "ended")
        return reserved

    scene.world.allowances.reserve_hours = overtaken  # type: ignore[method-assign]
    assert scene.launch() is Launched.ELSEWHERE
    assert (gang_jobs(scene.world), scene.taken()) == ([], NOTHING)


@MARKETS
def test_a_gang_that_batch_refuses_fails_with_batch_s_reason(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(market)

    def refuse(**_: Any) -> str:
        raise ClientException

    monkeypatch.setattr(scene.world.batch, "submitted", refuse)
    assert scene.launch() is Launched.REFUSED
    assert scene.taken() == NOTHING
    assert (scene.execution.status, scene.execution.error) == ("FAILED", "Job.Misconfigured")
    sentence = json.loads(scene.execution.cause)["sentence"]
    assert sentence.startswith(f"Batch refused the gang's job: {ClientException()}. ")
    assert sentence.endswith("the definition or the queue, then redrive")
    assert scene.record()["outcome"] == "Job.Misconfigured"


@pytest.mark.parametrize("other", [None, "another job"], ids=["closed", "another job"])
def test_a_job_that_cannot_be_recorded_is_ended(other: str | None) -> None:
    # Given a gang that gets another job, or is closed, while its job is submitted
    scene = Scene(Market.SPOT)
    table, gang = scene.world.table, scene.gang
    scene.before_submission(lambda: table.record_job(gang, other) if other else table.close_gang(gang, "ended"))
    assert scene.launch() is Launched.STOPPED
    [job] = gang_jobs(scene.world)
    assert (job["status"], job["statusReason"]) == ("FAILED", NOT_AWAITED)
    assert scene.record().get("job_id") == other


def raise_generation(scene: Scene) -> None:
    scene.world.table.raise_generation(scene.gang.run_id, execution_arn=scene.gang.execution_arn)


def redrive(scene: Scene) -> None:
    scene.world.stop(scene.execution)
    scene.world.redrive(scene.execution)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (raise_generation, FENCED_OFF),
        (lambda scene: scene.world.stop(scene.execution), NOT_RUNNING),
        (redrive, NOT_RUNNING),
    ],
    ids=["a newer gang", "a stop", "a redrive"],
)
@MARKETS
def test_a_job_that_nobody_waits_for_once_it_is_there_is_ended(
    happens: Callable[[Scene], None], reason: str, market: Market
) -> None:
    scene = Scene(market)
    scene.before_submission(lambda: happens(scene))
    assert scene.launch() is Launched.STOPPED
    [job] = gang_jobs(scene.world)
    assert (job["status"], job["statusReason"]) == ("FAILED", reason)
    # And its record leads to it, so that a reconcile answers the token and gives back what it holds
    assert (scene.record()["job_id"], scene.taken()) == (job["jobId"], scene.holds_all())


def test_a_job_stays_while_its_execution_may_run() -> None:
    # Given a description of the execution from before the redrive that the gang was asked for in
    scene = Scene(Market.SPOT)
    scene.gang = replace(scene.gang, redrives=1)
    scene.before_submission(lambda: scene.world.stop(scene.execution))
    assert scene.launch() is Launched.SUBMITTED
    [job] = gang_jobs(scene.world)
    assert job["status"] == "RUNNABLE"


def test_a_record_without_redrives_goes_by_when_its_task_asked() -> None:
    def launch(asked: Callable[[Execution], datetime]) -> Launched:
        scene = Scene(Market.SPOT)
        scene.gang = replace(scene.gang, redrives=None, launched_at=asked(scene.execution))
        scene.world.clock.advance(timedelta(minutes=1))
        scene.before_submission(lambda: scene.world.stop(scene.execution))
        return scene.launch()

    assert launch(lambda execution: execution.started_at) is Launched.STOPPED
    assert launch(lambda execution: execution.started_at + timedelta(hours=1)) is Launched.SUBMITTED


def test_an_execution_that_is_not_known_for_long_is_taken_for_ended() -> None:
    scene = Scene(Market.SPOT)
    scene.world.clock.advance(timedelta(hours=2))
    scene.before_submission(scene.world.steps.executions.clear)
    assert scene.launch() is Launched.STOPPED


SETTINGS = LaunchSettings(
    spot_queue="spot",
    spot_job_definition="gang-spot",
    spot_forming_seconds=600,
    spot_max_gangs=5,
    on_demand_queue="on-demand",
    on_demand_job_definition="gang-on-demand",
    on_demand_forming_seconds=900,
    on_demand_max_gangs=2,
    on_demand_gang_hours_per_day=12,
    gang_members=4,
    gang_attempt_seconds=21600,
)


def test_settings_say_where_gangs_run_and_what_they_may_cost() -> None:
    assert SETTINGS.places == GangPlaces(
        spot_queue="spot",
        spot_job_definition="gang-spot",
        spot_forming_seconds=600,
        on_demand_queue="on-demand",
        on_demand_job_definition="gang-on-demand",
        on_demand_forming_seconds=900,
        members=4,
    )
    assert SETTINGS.limits == Limits(spot_gangs=5, on_demand_gangs=2, hours_per_day=12, attempt=ATTEMPT)


@MARKETS
def test_a_launched_gang_counts_for_its_market(market: Market) -> None:
    assert gang_launched(market) == Measurement("GangLaunched", 1, "Count", {"Market": market.value})


def test_functions_go_by_the_time_in_utc() -> None:
    before = datetime.now(UTC)
    assert before <= utc_now() <= datetime.now(UTC)
    assert utc_now().tzinfo is UTC
