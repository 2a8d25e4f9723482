"""Tells Slack how a run ended, and of files that could not be accepted: once each.

Called by the state machine's last state, by the rule on execution status, and by other functions. A call that fails here is
repeated by its caller: Lambda repeats an event twice and hands it to the on-failure destination then. Only the state machine's call
never fails, because a silent Slack must not fail a run: the rule's event is its second chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from announce import announcements, executions
from announce.claims import Verdict
from announce.delivery import InFlight, SlackRefused, SlackSilent, deliver
from announce.diagnosis import diagnose, read_ending
from announce.messages import Announcement, Message, to_message
from announce.outcomes import SUCCEEDED, DayLate, ExecutionEnded, FileRejected, Outcome, message_key, read_request
from announce.secrets import webhook_url
from announce.table import TableClaims, read_run
from announce.webhook import SlackWebhook
from spotline.settings import load

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Left for the claim to be closed after the last answer of Slack's.
CLOSING_SECONDS = 5


@dataclass(frozen=True)
class Settings:
    """What the function is told by its environment."""

    runs_table: str
    slack_webhook_secret: str
    job_log_group: str


CONFIG = Config(retries={"mode": "standard", "max_attempts": 8})


@cache
def _client(service: str) -> Any:
    """One client a service for the life of the execution environment."""
    return boto3.client(service, config=CONFIG)  # type: ignore[call-overload]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Post one outcome's message unless it was posted before; answers what came of it."""
    outcome = read_request(event)
    try:
        answer = announce_outcome(outcome, load(Settings), context.get_remaining_time_in_millis() / 1000)
    except (InFlight, SlackRefused, SlackSilent, BotoCoreError, ClientError) as failure:
        if not (isinstance(outcome, ExecutionEnded) and outcome.told_by_machine):
            raise
        logger.warning("success not told; the event of the execution's end tries again", reason=str(failure))
        answer = "not-told"
    logger.info("outcome handled", outcome=type(outcome).__name__, answer=answer)
    return {"answer": answer}


def announce_outcome(outcome: Outcome, settings: Settings, seconds: float) -> str:
    """Find the facts, say them, and see to it that they are said once."""
    url = webhook_url(_client("secretsmanager"), settings.slack_webhook_secret)
    if url is None:
        logger.warning("no Slack webhook is set: the message is not posted", outcome=str(outcome))
        return "webhook-unset"

    def compose(maybe_repeated: bool) -> Message | None:
        said = _announcement(outcome, settings)
        return to_message(said, maybe_repeated=maybe_repeated) if said else None

    verdict = deliver(
        message_key(outcome, datetime.now(UTC)),
        compose,
        claims=TableClaims(settings.runs_table, _client("dynamodb")),
        webhook=SlackWebhook(url, seconds - CLOSING_SECONDS),
        clock=lambda: datetime.now(UTC),
    )
    if verdict is Verdict.GIVEN_UP:
        logger.error("two posts may have arrived and Slack confirmed neither: given up", outcome=str(outcome))
    return verdict.value


def _announcement(outcome: Outcome, settings: Settings) -> Announcement | None:
    match outcome:
        case FileRejected():
            return announcements.file_rejected(outcome)
        case DayLate():
            return announcements.day_late(outcome)
        case ExecutionEnded():
            return _execution_announcement(outcome, settings)


def _execution_announcement(ended: ExecutionEnded, settings: Settings) -> Announcement | None:
    described = executions.describe(_client("stepfunctions"), ended.execution_arn)
    if described.superseded:
        logger.info("superseded: the run of the newer version tells its own end", run_id=ended.run_id)
        return None
    facts = announcements.RunFacts(
        ended,
        described.run,
        read_run(settings.runs_table, _client("dynamodb"), ended.run_id),
        described.started_at,
        described.stopped_at or datetime.now(UTC),
        described.redrivable,
    )
    if ended.status == SUCCEEDED:
        return announcements.run_succeeded(facts)
    ending = read_ending(executions.history(_client("stepfunctions"), ended.execution_arn), ended.redrive_count)
    diagnosis = diagnose(ending, ended.status)
    log = _log(settings.job_log_group, diagnosis.log_stream)
    return announcements.run_failed(facts, diagnosis, settings.job_log_group, log)


def _log(group: str, stream: str | None) -> list[str]:
    """The log's last lines; a log that cannot be read must not keep the failure from being told."""
    if stream is None:
        return []
    try:
        return executions.last_lines(_client("logs"), group, stream)
    except (ClientError, BotoCoreError) as failure:
        logger.warning("the log cannot be read", log_stream=stream, reason=str(failure))
        return []
