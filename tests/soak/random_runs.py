"""One run of the soak under random faults: played as its plan says, mended by redrives, and looked at from all sides."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spotline.failures import ErrorName, failure_in
from spotline.runs import MarketChoice
from tests.soak.random_plans import Blow, Kind, Landing, Plan
from tests.twin.deployed import DAY, sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spotline.runs import Run
    from tests.soak.random_cloud import RandomCloud

ROUNDS = 40
MOST_REDRIVES = 8
_NOTICED_SECONDS = 5.0  # within which an event that was not lost has started the run
_CALLS_FAILED = ("S3.", "Batch.", "Lambda.", "LaunchUnfinished", "Sandbox.Timedout", "States.Timeout")
"""How errors are named that a Task of the state machine met itself, beyond its retries; its five minutes are five seconds here."""


@dataclass
class Outcome:
    """What came of a run that ended well: what was done to it, how it failed meanwhile, and how long it took."""

    plan: Plan
    struck: list[Blow] = field(default_factory=list)
    missed: list[Blow] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    landing_lost: bool = False
    gangs: int = 0
    seconds: float = 0.0


def rehearse(cloud: RandomCloud, plan: Plan, undisturbed: Mapping[str, Any] | None) -> Outcome:
    """Play a plan to its good end.

    Parameters
    ----------
    undisturbed
        The metrics that must come of it; None for the run that finds them out.

    Raises
    ------
    AssertionError
        Something did not hold; the message names the run's seed.
    """
    began = time.monotonic()
    outcome = Outcome(plan)
    run = land(cloud, plan, outcome)
    try:
        play(cloud, run, outcome)
        if plan.landing is Landing.REPEATED:
            cloud.announce(run)
        look_from_all_sides(cloud, run, outcome, undisturbed)
    except Exception as wrong:
        raise AssertionError(f"seed {plan.seed}, run {run.run_id}: {wrong}\n{outcome}\n{story(cloud, run)}") from wrong
    outcome.seconds = time.monotonic() - began
    return outcome


def land(cloud: RandomCloud, plan: Plan, outcome: Outcome) -> Run:
    """Put the plan's file, and see to it that its run is started."""
    dataset = f"soak-{plan.seed}" if plan.seed >= 0 else "soak-undisturbed"
    cloud.agree(dataset, rounds=ROUNDS)
    by_event = plan.market is MarketChoice.SPOT_FIRST
    announced = by_event and plan.landing is not Landing.LOST
    with cloud.with_events_of_landing() if announced else cloud.without_events_of_landing():
        run = cloud.land(dataset, sample(bad_rows=1), plan.market)
    if not by_event:
        cloud.start(run)
    while not _exists_soon(cloud, run):
        outcome.landing_lost = True
        cloud.sweep()
    return run


def _exists_soon(cloud: RandomCloud, run: Run) -> bool:
    end = time.monotonic() + _NOTICED_SECONDS
    while not cloud.exists(run):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def play(cloud: RandomCloud, run: Run, outcome: Outcome) -> None:
    """Strike where the plan says, and redrive whenever the run has failed, until it has succeeded."""
    blows = deque(outcome.plan.blows)
    while True:
        if blows:
            job_id = cloud.moment(run, blows[0].stage)
            if job_id is not None:
                _strike(cloud, run, blows.popleft(), job_id, outcome)
                continue
            if cloud.status(run) not in ("FAILED", "ABORTED", "TIMED_OUT"):
                outcome.missed.append(blows.popleft())
                continue
        if cloud.ended(run, seconds=600) == "SUCCEEDED":
            outcome.missed += blows
            return
        outcome.failures.append(failure_of(cloud.execution(run), outcome))
        assert len(outcome.failures) <= MOST_REDRIVES, "no end of redrives"
        cloud.redrive(run)


def _strike(cloud: RandomCloud, run: Run, blow: Blow, job_id: str, outcome: Outcome) -> None:
    time.sleep(blow.seconds)
    if cloud.jobs.running(run.run_id, blow.stage) != job_id or not cloud.strike(run, blow, job_id):
        outcome.missed.append(blow)
        return
    outcome.struck.append(blow)
    if blow.kind is Kind.STOP and blow.patient:
        cloud.until(lambda: not cloud.jobs.unfinished(run.run_id), f"the stopped {run.run_id} to leave no job")


def failure_of(described: Mapping[str, Any], outcome: Outcome) -> str:
    """The name of the failure that an execution ended with; it must have one."""
    status, error, cause = described["status"], described.get("error", ""), described.get("cause", "")
    if status == "ABORTED":
        assert any(blow.kind is Kind.STOP for blow in outcome.struck), "stopped by nobody"
        return "stopped"
    assert status == "FAILED", f"it is {status}"
    failure = failure_in(cause)
    if failure is not None:
        assert error in ("States.TaskFailed", failure.error), f"{error} is not {failure.error}"
        return failure.error.value
    assert error.startswith(_CALLS_FAILED), f"{error} has no type: {cause}"
    assert error not in list(ErrorName)
    return str(error)


def look_from_all_sides(cloud: RandomCloud, run: Run, outcome: Outcome, undisturbed: Mapping[str, Any] | None) -> None:
    """Check what must hold of a run that has succeeded."""
    # No orphan job, and no lost token: nothing of it runs, and no gang of it is open
    cloud.until(lambda: not cloud.jobs.unfinished(run.run_id), "its last job to end")
    cloud.until(lambda: not any("open_gang" in item for item in cloud.table(run)), "its gangs to be settled")
    waited_in_vain = [event for event in cloud.history(run) if _is_token_timeout(event)]
    assert not waited_in_vain, "a token was never answered"
    # Never two publishing gangs
    published, claimed = cloud.claims.manifests[run.run_id], cloud.claims.pointers[run.run_id]
    assert len(published) == 1, f"generations {published} published"
    assert claimed == sorted(claimed), f"an older gang wrote the pointer after a newer one: {claimed}"
    outcome.gangs = sum(item["sk"]["S"].startswith("GANG#") for item in cloud.table(run))
    # The metrics of an undisturbed run
    if undisturbed is not None:
        found = cloud.metrics(run.dataset, DAY)
        different = {name for name in found.keys() | undisturbed.keys() if found.get(name) != undisturbed.get(name)}
        assert not different, {name: (found.get(name), undisturbed.get(name)) for name in different}


def _is_token_timeout(event: Mapping[str, Any]) -> bool:
    details = event.get("taskTimedOutEventDetails", {})
    return str(details.get("resource", "")).endswith("waitForTaskToken")


def story(cloud: RandomCloud, run: Run) -> str:
    """What a person needs to see of a run that went wrong: how it went on, what still runs, what is written down."""
    if not cloud.exists(run):
        return "it was never started"
    history = [
        f"{event['timestamp']:%H:%M:%S} {event['type']} {_told(event)}"
        for event in cloud.history(run)
        if not event["type"].startswith(("Choice", "Pass"))
    ]
    jobs = [f"{job['jobName']} {job_id} {job['status']}" for job_id, job in cloud.jobs.unfinished(run.run_id).items()]
    records = [str(item)[:500] for item in cloud.table(run)]
    return "\n".join([*history[-60:], *jobs, *records])


def _told(event: Mapping[str, Any]) -> str:
    """The name of a state, or an error and its typed failure."""
    details: Mapping[str, Any] = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    failure = failure_in(details["cause"]) if "cause" in details else None
    return f"{details.get('name', '')}{details.get('error', '')} {failure or details.get('cause', '')[:300]}".strip()
