"""Sends messages to Slack and a topic: how a run ended, and files that could not be accepted, each of them once.

Called by the state machine's last state, by the rule on execution status, and by other functions. A call that fails here is
repeated by its caller: Lambda repeats an event twice and hands it to the on-failure destination then. Only the state machine's call
never fails, because a silent Slack must not fail a run: the rule's event is its second chance. Neither channel waits for the other:
each has claims of its own, and what one confirmed is not repeated because the other did not. Slack takes about one message a second:
what is more goes into a summary, for which `reconcile` calls every two minutes as long as messages wait for one.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from announce.claims import Verdict
from announce.delivery import Channel, InFlight, Refused, Silent, deliver
from announce.outcomes import SLACK, TOPIC, ExecutionEnded, SummaryDue, message_key, read_request
from announce.rate import Rate, RateLimit
from announce.secrets import WebhookMalformed, webhook_url
from announce.table import TableClaims
from announce.topic import Topic
from announce.webhook import SlackWebhook
from spotline.cost_settings import CostSettings
from spotline.documents import DocumentError
from spotline.metrics import NAMESPACE, emit
from spotline.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from announce.composing import Composed
    from announce.delivery import Limit
    from announce.outcomes import Outcome

logger = Logger()
metrics = Metrics(namespace=os.environ.get(NAMESPACE, "Spotline"))

# Left for the claim to be closed after the last answer of Slack's.
CLOSING_SECONDS = 5
# What a summary takes: its turn and Slack's answer; reading its messages and deleting them.
SUMMARY_SECONDS = 30
NOT_TOLD = (InFlight, Refused, Silent, WebhookMalformed, DocumentError, BotoCoreError, ClientError)


@dataclass(frozen=True)
class Settings(CostSettings):
    """What the function is told by its environment."""

    runs_table: str
    job_log_group: str
    slack_webhook_secret: str
    messages_topic: str
    slack_messages_per_minute: int


class NotTold(Exception):
    """A channel does not have the message yet; Lambda tries again, and the other channel is not told twice for that."""


CONFIG = Config(retries={"mode": "standard", "max_attempts": 8})
# A publish that is repeated behind our back is a message told twice: see `announce.claims`.
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=10)


@cache
def _client(service: str) -> Any:
    """One client a service for the life of the execution environment."""
    return boto3.client(service, config=ONCE if service == "sns" else CONFIG)  # type: ignore[call-overload]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Post one outcome's message to each channel unless it was posted there before; answers what came of it."""
    outcome = read_request(event)
    settings, seconds = load(Settings), context.get_remaining_time_in_millis() / 1000
    if isinstance(outcome, SummaryDue):
        return {SLACK: summarise(settings, seconds)}
    answers, failures = tell(outcome, settings, seconds)
    metrics.add_metric("MessageToldOrUnneeded", MetricUnit.Count, len(answers))
    metrics.add_metric("MessageNotTold", MetricUnit.Count, len(failures))
    metrics.flush_metrics()  # here and not by `log_metrics`, which warns of nothing to publish after each exception
    logger.info("outcome handled", outcome=type(outcome).__name__, answers=answers)
    if failures:
        told = "; ".join(f"{channel}: {failure}" for channel, failure in failures.items())
        if not (isinstance(outcome, ExecutionEnded) and outcome.told_by_machine):
            raise NotTold(told)
        logger.warning("success not told; the event of the execution's end tries again", reason=told)
    return answers | dict.fromkeys(failures, "not-told")


def tell(outcome: Outcome, settings: Settings, seconds: float) -> tuple[dict[str, str], dict[str, Exception]]:
    """Tell each channel: what came of it, and what went wrong, by channel. The facts are looked up once for all."""
    claims = TableClaims(settings.runs_table, _client("dynamodb"))
    key = message_key(outcome, utc_now())
    composed = cache(partial(_compose, outcome, settings))
    answers: dict[str, str] = {}
    failures: dict[str, Exception] = {}
    for name, connect, limit in _channels(settings, seconds):
        try:
            channel = connect()
            if channel is None:
                logger.warning("no Slack webhook is set: the message is not posted", outcome=str(outcome))
                answers[name] = "webhook-unset"
                continue
            verdict = deliver(
                key.on(name), lambda: composed().said, claims=claims, channel=channel, clock=utc_now, limit=limit
            )
        except NOT_TOLD as failure:
            failures[name] = failure
            continue
        answers[name] = verdict.value
        if verdict is Verdict.GIVEN_UP:
            logger.error("two posts may have arrived and neither was confirmed: given up", channel=name)
    if answers.get(TOPIC) == Verdict.POST.value:  # an outcome counts once, whoever hears of it how often
        for measured in composed().counted:
            emit(measured)
    return answers, failures


def _compose(outcome: Outcome, settings: Settings) -> Composed:
    from announce.composing import Places, compose  # noqa: PLC0415  a message that was told already need not pay for it

    return compose(outcome, Places(settings, settings.runs_table, settings.job_log_group, _client))


def summarise(settings: Settings, seconds: float) -> str:
    """Post what waits for a summary, and answer what came of it.

    Nothing is raised when it could not be posted: the call would be kept among the failed events, once every two minutes, and `reconcile`
    asks again anyway.
    """
    from announce.summaries import SummaryTable, send_summaries  # noqa: PLC0415  seldom needed, and a summary is composed with much

    until = utc_now().timestamp() + seconds - CLOSING_SECONDS
    channel = _slack(settings.slack_webhook_secret, until)
    if channel is None:
        logger.warning("no Slack webhook is set: messages wait for it to be summarised")
        return "webhook-unset"
    try:
        verdicts = send_summaries(
            SummaryTable(settings.runs_table, _client("dynamodb")),
            claims=TableClaims(settings.runs_table, _client("dynamodb")),
            channel=channel,
            limit=_limit(settings),
            is_out_of_time=lambda: until - utc_now().timestamp() < SUMMARY_SECONDS,
            clock=utc_now,
        )
    except InFlight as other:
        logger.info("another function summarises", reason=str(other))
        return Verdict.IN_FLIGHT.value
    except NOT_TOLD as failure:
        logger.error("the summary was not sent, the next one will be tried in two minutes", reason=str(failure))  # noqa: TRY400  the reason says it all
        metrics.add_metric("MessageNotTold", MetricUnit.Count, 1)
        metrics.flush_metrics()
        return "not-told"
    if Verdict.GIVEN_UP in verdicts:
        logger.error("two posts of a summary may have arrived and neither was confirmed: given up")
    return verdicts[-1].value if verdicts else Verdict.NOTHING_TO_SAY.value


def _channels(settings: Settings, seconds: float) -> Iterator[tuple[str, Callable[[], Channel | None], Limit | None]]:
    """The topic first: it takes one call, and Slack may take all the time there is."""
    yield TOPIC, lambda: Topic(settings.messages_topic, _client("sns")), None
    until = utc_now().timestamp() + seconds - CLOSING_SECONDS
    yield SLACK, lambda: _slack(settings.slack_webhook_secret, until), _limit(settings)


def _limit(settings: Settings) -> Limit:
    rate = Rate(settings.runs_table, _client("dynamodb"), settings.slack_messages_per_minute)
    return RateLimit(rate, utc_now, time.sleep)


def _slack(secret: str, until: float) -> SlackWebhook | None:
    url = webhook_url(_client("secretsmanager"), secret)
    return None if url is None else SlackWebhook(url, until - utc_now().timestamp())


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)
