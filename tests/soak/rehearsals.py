"""Small rehearsals that between them use every permission of the deployed system, and the facts that show when one is missing.

Each is played on a dataset of its own and comes to facts that are the same every time, so that two plays can be compared.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spotline.runs import MarketChoice
from tests.twin.deployed import CONTRACT, DAY, OVER, sample
from twin import compute

if TYPE_CHECKING:
    from collections.abc import Callable

    from spotline.runs import Run
    from tests.soak.company import Company, Facts

FUNCTIONS = ("Ingest", "Sweep", "LaunchGang", "Reconcile", "Notify")
ROUNDS = 24
"""Enough for a checkpoint to be pruned."""
ONE_MEMBER = 8
"""vCPUs of the gang's instances (template.yaml, GangInstanceType)."""
SPOT_GANGS = 3
"""Gangs that the state machine sends to Spot before it falls back, when each of them is interrupted."""


@dataclass(frozen=True)
class Rehearsal:
    """Something that is begun, and the facts that it should come to: a function that looks at them now."""

    name: str
    begin: Callable[[Company], Callable[[], Facts]]


def a_day(company: Company) -> Callable[[], Facts]:
    """A file goes the whole way."""
    dataset = company.new_dataset()
    company.agree(dataset, rounds=ROUNDS)
    run = company.land(dataset, sample())
    return lambda: company.outcome(run)


def two_days_at_once(company: Company) -> Callable[[], Facts]:
    """Two files want a gang where there is a slot for one."""
    runs = []
    for dataset in (company.new_dataset(), company.new_dataset()):
        company.agree(dataset, rounds=ROUNDS)
        runs.append(company.land(dataset, sample()))
    return lambda: {f"run {place}": company.outcome(run) for place, run in enumerate(runs)}


def bad_data(company: Company) -> Callable[[], Facts]:
    """A file breaks its contract beyond the tolerance."""
    dataset = company.new_dataset()
    company.agree(dataset, rounds=None, tolerance=0.0)
    run = company.land(dataset, sample(bad_rows=3))
    return lambda: company.outcome(run)


def a_reclaimed_day(company: Company) -> Callable[[], Facts]:
    """Spot takes an instance of the gang away after its first checkpoint."""
    company.spot.again(gangs=1)
    return a_day(company)


def a_misplaced_file(company: Company) -> Callable[[], Facts]:
    """A file lands under a key that names no day."""
    dataset = company.new_dataset()
    company.twin.client("s3").put_object(
        Bucket=company.stack.outputs["IngestBucket"], Key=f"data/{dataset}/someday/file.csv", Body=b"a\n1\n"
    )
    return lambda: {"messages": company.read_messages_of(dataset)}


def many_messages(company: Company) -> Callable[[], Facts]:
    """A file arrives under a wrong key after so many messages that Slack gets a summary."""
    before = len(company.summaries())
    company.spend_messages()
    a_misplaced_file(company)
    company.until(lambda: company.unsent() or len(company.summaries()) > before, "a message over the limit", 90)
    company.fire("ReconcileFunctionLookAgain")
    return lambda: {"messages": ["a summary"] * (len(company.summaries()) > before), "some wait": company.unsent() > 0}


def nonsense(company: Company) -> Callable[[], Facts]:
    """Functions are sent events that they fail on, and what they fail on is kept.

    Only a damaged record makes `reconcile` fail.
    """
    number = company.new_dataset()
    company.damage_record(number)
    poison = {"source": "aws.states", "kind": "nonsense", "number": number, "detail": {"name": number}}
    invoked = [function for function in FUNCTIONS if function != "LaunchGang"]
    for function in invoked:
        company.invoke(function, {**poison, "function": function})
    kept: dict[str, str] = {}

    def facts() -> Facts:
        kept.update(company.failed_events())
        return {"kept": sorted(name.split("-")[1] for event, name in kept.items() if number in event)}

    return facts


def a_look(company: Company) -> Callable[[], Facts]:
    """The schedule makes reconcile look. One that is under way when a permission goes would report what this one should."""
    time.sleep(5)
    began = int(time.time() * 1000)
    company.fire("ReconcileFunctionLookAgain")
    return lambda: {"measured": [name for name in company.measured_since(began) if name != "GangLaunched"]}


def a_lost_event(company: Company) -> Callable[[], Facts]:
    """Files arrive and no event reports it; a contract waits for another that does not come."""
    events = company.twin.client("events")
    rule = company.find_rule("IngestFunctionFileLanded")
    late = company.new_dataset()
    spotline = {"tolerance": {"maxRejectedShare": 0.5, "minRows": 1}, "delivery": {"expectedBy": "00:00"}}
    company.twin.client("s3").put_object(
        Bucket=company.stack.outputs["IngestBucket"],
        Key=f"contracts/{late}.json",
        Body=json.dumps({**CONTRACT, "spotline": spotline}).encode(),
    )
    events.disable_rule(Name=rule)
    runs = []
    for dataset in (company.new_dataset(), company.new_dataset()):
        company.agree(dataset, rounds=None)
        runs.append(company.land(dataset, sample()))
    company.fire("SweepFunctionSweepOnSchedule")

    def facts() -> Facts:
        found = [company.has_run(run) for run in runs]
        if all(found):
            events.enable_rule(Name=rule)
        return {"late": bool(company.read_messages_of(late)), "runs": found}

    return facts


def a_lost_end(company: Company) -> Callable[[], Facts]:
    """A run fails, and the events of its end are lost."""
    events = company.twin.client("events")
    rules = [company.find_rule(f"{function}FunctionExecutionEnded") for function in ("Notify", "Reconcile")]
    dataset = company.new_dataset()
    company.agree(dataset, rounds=None, tolerance=0.0)
    for rule in rules:
        events.disable_rule(Name=rule)
    try:
        run = company.land(dataset, sample(bad_rows=3))
        company.until(lambda: is_over(company, run), "the run to fail", 90)
    finally:
        for rule in rules:
            events.enable_rule(Name=rule)
    company.fire("SweepFunctionSweepOnSchedule")
    return lambda: {"messages": company.read_messages_of(dataset), "recorded as": company.read_record(run)}


def a_backfill(company: Company) -> Callable[[], Facts]:
    """An operator asks again for a day that has run, with force, and the function has time for one file at a time."""
    dataset = company.new_dataset()
    company.agree(dataset, rounds=None)
    run = company.land(dataset, sample())
    company.twin.client("s3").put_object(
        Bucket=run.source.bucket, Key=f"data/{dataset}/{DAY}/second.csv", Body=sample()
    )
    company.until(lambda: statuses(company, dataset) == ["SUCCEEDED"] * 2, "two runs to end", 90)
    functions, name = company.twin.client("lambda"), company.stack.resources["SweepFunction"].physical_id
    whole_time = functions.get_function_configuration(FunctionName=name)["Timeout"]
    functions.update_function_configuration(FunctionName=name, Timeout=29)  # what it wants left over is 30
    asked = {"from": DAY, "to": DAY, "dataset": dataset, "force": True}
    answer = company.invoke("Sweep", asked, kind="RequestResponse")
    functions.update_function_configuration(FunctionName=name, Timeout=whole_time)

    def facts() -> Facts:
        return {"answered": "errorType" not in (answer or {}), "runs": statuses(company, dataset)}

    return facts


def statuses(company: Company, dataset: str) -> list[str]:
    """How the executions of a dataset stand."""
    listed = company.twin.client("stepfunctions").list_executions(
        stateMachineArn=company.stack.outputs["StateMachineArn"], maxResults=1000
    )
    return sorted(run["status"] for run in listed["executions"] if run["name"].startswith(f"{dataset}-{DAY}-"))


def spend_on_demand(company: Company) -> Callable[[], None]:
    """Spend the day's hours of On-Demand gangs; what is returned gives them back."""
    table, name = company.twin.client("dynamodb"), company.stack.outputs["RunsTable"]
    key = {"pk": {"S": f"BUDGET#{datetime.now(UTC):%Y%m%d}"}, "sk": {"S": "ON_DEMAND"}}
    table.put_item(TableName=name, Item={**key, "spent": {"N": "999999"}})
    return lambda: table.delete_item(TableName=name, Key=key)


def a_spent_day(company: Company) -> Callable[[], Facts]:
    """A run insists on On-Demand when the day's hours there are spent."""
    give_back = spend_on_demand(company)
    dataset = company.new_dataset()
    company.agree(dataset, rounds=ROUNDS)
    uploaded = company.land(dataset, sample())
    run = replace(uploaded, run_id=f"{uploaded.run_id}-r1", market=MarketChoice.ON_DEMAND)
    assert company.start(run)

    def facts() -> Facts:
        described = company.execution(run)
        if described["status"] in OVER:
            give_back()
        return {"execution": described["status"], "error": described.get("error", "")}

    return facts


def a_wasted_day(company: Company) -> Callable[[], Facts]:
    """Spot takes an instance from each gang that a run has there, and the day's hours of On-Demand are spent: it fails unpublished."""
    give_back = spend_on_demand(company)
    company.spot.again(gangs=SPOT_GANGS)
    dataset = company.new_dataset()
    company.agree(dataset, rounds=ROUNDS * SPOT_GANGS)
    run = company.land(dataset, sample())

    def facts() -> Facts:
        found = company.outcome(run)
        if found["execution"] in OVER:
            company.spot.again(gangs=0)
            give_back()
        return found

    return facts


def a_stopped_day(company: Company) -> Callable[[], Facts]:
    """An operator stops a run whose preprocess job runs: Step Functions ends that job itself."""
    dataset = company.new_dataset()
    company.agree(dataset, rounds=None)
    run = company.land(dataset, sample())
    company.until(lambda: company.jobs(run, "MainQueue"), "a preprocess job", 60)
    company.stop(run)
    return lambda: {"execution": company.execution(run)["status"], "jobs": company.jobs(run, "MainQueue")}


def a_stopped_gang(company: Company) -> Callable[[], Facts]:
    """An operator stops a run whose gang waits for its instances: nobody ends that job but reconcile."""
    compute.set_capacity("spot", 0)
    run = a_run_with_a_gang(company)
    company.stop(run)
    return lambda: {"execution": company.execution(run)["status"], "members": company.why_members_ended(run)}


def half_a_gang(company: Company) -> Callable[[], Facts]:
    """Spot has an instance for one member of two, and that one is ended: the other must not wait any longer."""
    compute.set_capacity("spot", ONE_MEMBER)
    run = a_run_with_a_gang(company)
    company.until(lambda: company.members(run, "RUNNING"), "a member to run", 60)
    compute.set_capacity("spot", 0)  # or else the instance that becomes free is the other's
    company.terminate(company.members(run, "RUNNING")[0])

    def facts() -> Facts:
        described = company.execution(run)
        return {"execution": described["status"], "error": described.get("error", "")}

    return facts


def an_overtaken_gang(company: Company) -> Callable[[], Facts]:
    """A Task asks for a gang while an older one of the same run waits for its instances."""
    compute.set_capacity("spot", 0)
    run = a_run_with_a_gang(company)
    asked = {
        "task_token": "nobody waits for this gang",
        "execution_arn": company.arn(run),
        "run_id": run.run_id,
        "priority": "daily",
        "market": "SPOT",
    }
    answer = company.invoke("LaunchGang", asked, kind="RequestResponse")
    company.stop(run)
    return lambda: {"execution": company.execution(run)["status"], "fenced off": len(answer.get("fenced_off", []))}


def is_over(company: Company, run: Run) -> bool:
    """Whether the run's execution has begun and ended."""
    return company.has_run(run) and company.status(run) != "RUNNING"


def a_run_with_a_gang(company: Company) -> Run:
    """A run that has come as far as its gang's job."""
    dataset = company.new_dataset()
    company.agree(dataset, rounds=ROUNDS)
    run = company.land(dataset, sample())
    # Until then the launcher itself would end the job of an execution that is stopped.
    company.until(
        lambda: company.has_launched(run) or is_over(company, run),
        "launch_gang to have launched the gang",
        90,
    )
    assert company.has_launched(run), f"the run ended before its gang was launched: {company.execution(run)['status']}"
    return run


REHEARSALS = (
    Rehearsal("a misplaced file", a_misplaced_file),
    Rehearsal("many messages", many_messages),
    Rehearsal("a look", a_look),
    Rehearsal("bad data", bad_data),
    Rehearsal("a day", a_day),
    Rehearsal("nonsense", nonsense),
    Rehearsal("a lost event", a_lost_event),
    Rehearsal("a lost end", a_lost_end),
    Rehearsal("a spent day", a_spent_day),
    Rehearsal("a stopped day", a_stopped_day),
    Rehearsal("a stopped gang", a_stopped_gang),
    Rehearsal("half a gang", half_a_gang),
    Rehearsal("an overtaken gang", an_overtaken_gang),
    Rehearsal("a backfill", a_backfill),
    Rehearsal("two days at once", two_days_at_once),
    Rehearsal("a reclaimed day", a_reclaimed_day),
    Rehearsal("a wasted day", a_wasted_day),
)


def settled(
    look: Callable[[], Facts], *, wanted: Facts | None = None, quiet: float = 5.0, limit: float = 90.0
) -> Facts:
    """The facts once they are as wanted, or once they have not changed for `quiet` seconds and nothing is to come.

    Where something is wanted that is twice as long: what one function could not do another may do a little later.
    """
    end, since, facts = time.monotonic() + limit, time.monotonic(), look()
    patience = quiet if wanted is None else 2 * quiet
    while time.monotonic() < end and facts != wanted:
        if time.monotonic() - since > patience and not under_way(facts):
            break
        time.sleep(0.2)
        now = look()
        if now != facts:
            facts, since = now, time.monotonic()
    return facts


def under_way(facts: Facts) -> bool:
    """Whether there is more to come: a run that has not begun or not ended, or something of what is sent, measured or kept."""
    seen = json.dumps(facts)
    marks = ("RUNNING", '"none"', '"messages": []', '"measured": []', '"kept": []', '"late": false', '"runs": [false')
    return any(mark in seen for mark in marks)
