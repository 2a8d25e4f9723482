"""From an outcome to what is said about it: looks the facts up, and leaves out what cannot be had."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from announce import announcements, executions
from announce.diagnosis import diagnose, read_ending
from announce.measurements import measurements
from announce.outcomes import SUCCEEDED, DayLate, ExecutionEnded, FileRejected
from announce.spending import Spending
from announce.table import read_run
from spotline.documents import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from announce.measurements import Spent
    from announce.messages import Announcement
    from announce.outcomes import Outcome
    from announce.table import Recorded
    from spotline.cost_settings import CostSettings
    from spotline.metrics import Measurement

logger = Logger(child=True)

UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError)
"""What comes of values of other types than postprocess writes."""


@dataclass(frozen=True)
class Places:
    """Where the facts are, and who fetches them: `client` gives the boto3 client of a service."""

    cost: CostSettings
    runs_table: str
    job_log_group: str
    client: Callable[[str], Any]


@dataclass(frozen=True)
class Composed:
    """What is said, None when an outcome needs no message, and what is counted once it was said."""

    said: Announcement | None
    counted: Sequence[Measurement] = ()


def compose(outcome: Outcome, at: Places) -> Composed:
    """Find what there is to say about an outcome."""
    match outcome:
        case FileRejected():
            return Composed(announcements.file_rejected(outcome))
        case DayLate():
            return Composed(announcements.day_late(outcome))
        case ExecutionEnded():
            return _execution_ended(outcome, at)


def _execution_ended(ended: ExecutionEnded, at: Places) -> Composed:
    described = executions.describe(at.client("stepfunctions"), ended.execution_arn)
    recorded = read_run(at.runs_table, at.client("dynamodb"), ended.run_id)
    spent = _spent(ended.run_id, recorded, at)
    if described.superseded:
        logger.info("superseded: the run of the newer version tells its own end", run_id=ended.run_id)
        return Composed(None)
    facts = announcements.RunFacts(
        ended,
        described.run,
        recorded,
        described.started_at,
        described.stopped_at or datetime.now(UTC),
        described.redrivable,
        spent.cost if spent else None,
    )
    since = (described.redriven_at or described.started_at).timestamp()
    if ended.status == SUCCEEDED:
        return compose_success(facts, spent, since)
    ending = read_ending(executions.history(at.client("stepfunctions"), ended.execution_arn), ended.redrive_count)
    diagnosis = diagnose(ending, ended.status)
    log = _log(at, diagnosis.log_stream)
    counted = tuple(measurements(ended.status, recorded.run, spent, since))
    return Composed(announcements.run_failed(facts, diagnosis, at.job_log_group, log), counted)


def compose_success(facts: announcements.RunFacts, spent: Spent | None, since: float) -> Composed:
    """What a success says and counts; without the result when its record was damaged, which must not keep the end from being sent."""
    try:
        counted = tuple(measurements(SUCCEEDED, facts.recorded.run, spent, since))
        return Composed(announcements.run_succeeded(facts), counted)
    except UNREADABLE as cause:
        logger.warning("the run's result cannot be read", run_id=facts.ended.run_id, reason=repr(cause))
    without = replace(facts, recorded=replace(facts.recorded, run={}))
    return Composed(announcements.run_succeeded(without), tuple(measurements(SUCCEEDED, {}, spent, since)))


def _spent(run_id: str, recorded: Recorded, at: Places) -> Spent | None:
    """What the run cost; an estimate that cannot be made must not keep its end from being told."""
    spending = Spending(at.cost, at.runs_table, at.client("batch"), at.client("s3"), at.client("dynamodb"))
    try:
        return spending.settle(run_id, recorded, datetime.now(UTC))
    except (DocumentError, ClientError, BotoCoreError) as failure:
        logger.warning("no cost can be estimated", run_id=run_id, reason=str(failure))
        return None


def _log(at: Places, stream: str | None) -> list[str]:
    """The log's last lines; a log that cannot be read must not keep the failure from being told."""
    if stream is None:
        return []
    try:
        return executions.last_lines(at.client("logs"), at.job_log_group, stream)
    except (ClientError, BotoCoreError) as failure:
        logger.warning("the log cannot be read", log_stream=stream, reason=str(failure))
        return []
