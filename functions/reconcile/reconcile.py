"""`reconcile`: look again at whatever is not settled, and do what follows from how things are.

Woken by Batch's job events, by the execution's status events and by a schedule. What the event says is not used beyond which run
to look at first: a lost, late, doubled or reordered event costs time and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

import gauges
from look_settings import LookSettings
from looking import Look
from spotline import settings
from spotline.allowances import Allowances
from spotline.clients import Clients, retry_config
from spotline.isolation import isolate
from spotline.launching import Launcher, gang_launched, utc_now
from spotline.metrics import emit
from spotline.run_table import RunTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_lambda import LambdaClient

    from seen import Seen
    from spotline.metrics import Measurement

logger = Logger()

CLOSING_MILLISECONDS = 60_000
"""What a reconcile of every run keeps of its time: for the run under way, and to hand out slots."""

ENDING_MILLISECONDS = 15_000
"""What is kept for the gang that is being launched when the time is over."""


@dataclass(frozen=True)
class Settings(LookSettings):
    """What template.yaml tells this function."""

    runs_table: str
    notify_function: str


class LookUnfinished(Exception):
    """AWS calls failed even after retries; the rest of the look was done. Lambda repeats it once, and the schedule does anyway."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Look at the run that the event names, or at all of them when it names none."""
    loaded = settings.load(Settings)
    clients = Clients.connect()
    table = RunTable(loaded.runs_table, clients.dynamodb)
    allowances = Allowances(loaded.runs_table, clients.dynamodb, loaded.limits)
    look = Look(
        clients,
        table,
        allowances,
        Launcher(clients, table, allowances, loaded),
        loaded,
        is_out_of_time=lambda: context.get_remaining_time_in_millis() < CLOSING_MILLISECONDS,
        must_end=lambda: context.get_remaining_time_in_millis() < ENDING_MILLISECONDS,
    )
    run_id = run_named_by(event)
    failed: list[str] = []
    if run_id is None:  # first, because a reconcile of every run may take long
        with isolate("summary of messages", failed):
            request_summary(table, loaded.notify_function)
    seen = look.again(run_id)
    seen.failed += failed
    if seen.done:
        logger.info("acted", actions=seen.done)
    for market in seen.launched:
        emit(gang_launched(market))
    if run_id is None:
        with isolate("gauges", seen.failed):
            for measured in measurements(seen, loaded, clients, allowances):
                emit(measured)
    if seen.failed:
        raise LookUnfinished("; ".join(seen.failed))
    return {"looked_at": seen.runs, "acted": seen.done}


def request_summary(table: RunTable, notify_function: str) -> None:
    """Let `notify` summarise the messages that were more than Slack takes, if there are any."""
    if table.has_unsent_messages():
        from spotline.starting import ask_to_tell  # noqa: PLC0415  seldom needed, and it imports contracts

        functions: LambdaClient = boto3.client("lambda", config=retry_config())
        ask_to_tell(functions, notify_function, {"kind": "summary"})


def measurements(seen: Seen, loaded: Settings, clients: Clients, allowances: Allowances) -> Iterator[Measurement]:
    """How things stand after a look over everything."""
    now = utc_now()
    yield from gauges.waiting(seen.jobs, loaded.queues, now)
    yield from gauges.hours(allowances.spent(now), loaded.on_demand_gang_hours_per_day)
    yield from gauges.successes(clients.steps, loaded.state_machine_arn, now)


def run_named_by(event: dict[str, Any]) -> str | None:
    """The run that an event is about: from our job's tags, or from the name of an execution.

    The schedule names none (and its `detail` is the text "{}"), nor does the event of a job that is not ours, nor an event that has
    another shape than AWS gives it: then everything is looked at.
    """
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict):
        return None
    named = detail.get("name") if event.get("source") == "aws.states" else None
    if event.get("source") == "aws.batch":
        tags = detail.get("tags")
        named = tags.get("spotline:run-id") if isinstance(tags, dict) else None
    return named if isinstance(named, str) and named else None
