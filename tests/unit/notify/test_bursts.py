"""Many runs end at once: Slack takes a message a second, and nothing is lost, nothing comes twice, nobody reads a thousand messages."""

from __future__ import annotations

import heapq
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

import notify
from spotline.run_table import RunTable
from tests.unit.notify.edge import ARN, RUN_ID, Edge, invoke
from tests.unit.notify.slack_server import SlackServer
from tests.unit.protocol.calls import Clock
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

RETRIES = (timedelta(minutes=1), timedelta(minutes=2))
"""When Lambda repeats an asynchronous event that failed ("How Lambda handles errors and retries with asynchronous invocation")."""
RECONCILES = timedelta(minutes=2)
BACKFILL = 1825


class RateLimitedSlack(SlackServer):
    """Takes a message a second and answers 429 with Retry-After to more, as Slack may ("Rate limits", Slack developer documentation)."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._taken: list[datetime] = []

    def answer(self, handler: BaseHTTPRequestHandler, message: dict[str, Any]) -> None:
        now = self._clock.now
        if any(abs((now - taken).total_seconds()) < 0.95 for taken in self._taken):
            self.answers[:] = [(429, {"Retry-After": "1"})]
        else:
            self._taken.append(now)
        super().answer(handler, message)


class Topic:
    def __init__(self) -> None:
        self.published = 0

    def publish(self, **_: Any) -> None:
        self.published += 1


class Secrets:
    url = ""

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": self.url}


@dataclass
class Company:
    """The function, what it reaches, and whoever invokes it: Lambda with each event, and reconcile's schedule."""

    slack: RateLimitedSlack
    clock: Clock
    dynamodb: FakeDynamoDB = field(default_factory=FakeDynamoDB)
    topic: Topic = field(default_factory=Topic)
    secrets: Secrets = field(default_factory=Secrets)
    dead_letters: list[Any] = field(default_factory=list)
    slept: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.advance(timedelta(seconds=seconds))

    def play(self, events: list[tuple[timedelta, dict[str, Any]]]) -> None:
        """Deliver each event at its time, and again when it failed, until nothing is left to do."""
        order = itertools.count()
        began = self.clock.now
        due: list[Any] = [(began + after, next(order), event, 0) for after, event in events]
        heapq.heapify(due)
        reconcile = began + RECONCILES
        while due or self._has_unsent():
            if not due or due[0][0] >= reconcile:
                self.clock.now, reconcile = reconcile, reconcile + RECONCILES
                if self._has_unsent():
                    invoke({"kind": "summary"})
                continue
            self.clock.now, _, event, attempt = heapq.heappop(due)
            try:
                invoke(event)
            except notify.NotTold:
                if attempt == len(RETRIES):
                    self.dead_letters.append(event)
                else:
                    heapq.heappush(due, (self.clock.now + RETRIES[attempt], next(order), event, attempt + 1))

    def _has_unsent(self) -> bool:
        return RunTable("runs", cast("Any", self.dynamodb)).has_unsent_messages()

    def sent_alone(self) -> Counter[str]:
        """The runs that had a message of their own."""
        texts = "\n".join(message["text"] for message in self.slack.accepted)
        return Counter(re.findall(r"^(run-\d+) ·", texts, re.MULTILINE))

    def summarised(self) -> list[int]:
        """How many messages each summary stands for."""
        found = (re.match(r"\S+ ([\d,]+) more messages", message["text"]) for message in self.slack.accepted)
        return [int(match[1].replace(",", "")) for match in found if match]


def ended(number: int, status: str) -> dict[str, Any]:
    detail = {"executionArn": ARN.replace(RUN_ID, f"run-{number}"), "status": status, "redriveCount": 0}
    return {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}


@pytest.fixture
def company(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    clock = Clock()
    slack = RateLimitedSlack(clock)
    with slack:
        company = Company(slack, clock)
        company.secrets.url = slack.url
        clients: dict[str, Any] = {
            "stepfunctions": edge.steps,
            "dynamodb": company.dynamodb,
            "batch": edge.batch,
            "logs": edge.logs,
            "sns": company.topic,
            "secretsmanager": company.secrets,
        }
        edge.steps.history = []
        monkeypatch.setattr(notify, "_client", clients.__getitem__)
        monkeypatch.setattr(notify, "utc_now", clock)
        monkeypatch.setattr("announce.composing._spent", lambda *_: None)  # the slowest part, and no part of this
        monkeypatch.setattr("slack_sdk.http_retry.handler.time.sleep", company.sleep)
        yield company


@pytest.mark.parametrize(("count", "within"), [(BACKFILL, timedelta(minutes=1)), (300, timedelta(0))])
def test_a_backfill_that_ends_within_a_minute_is_a_few_messages(
    company: Company, count: int, within: timedelta
) -> None:
    # Given as many ends of runs as a backfill has, one in ten a failure, each told twice as EventBridge may
    events = [
        (within * number / count, ended(number, "FAILED" if number % 10 == 0 else "SUCCEEDED"))
        for number in range(count)
    ]
    # When they come
    company.play(events + events[::50])
    # Then each is in one message,
    alone, summaries = company.sent_alone(), company.summarised()
    assert company.dead_letters == []
    assert set(alone.values()) == {1}
    assert len(alone) + sum(summaries) == count
    for number in range(count):
        claim = company.dynamodb.items[f"RUN#run-{number}", f"MESSAGE#0#{events[number][1]['detail']['status']}"]
        assert ("confirmed_at" in claim) == (alone[f"run-{number}"] == 1) == ("summarised_at" not in claim)
    # and Slack got few, none of them too early; the topic got all.
    assert len(company.slack.received) == len(company.slack.accepted) <= 50
    assert len(summaries) <= 2
    assert company.topic.published == count


def test_failures_keep_their_own_message_among_many_successes(company: Company) -> None:
    successes = [(timedelta(seconds=number / 10), ended(number, "SUCCEEDED")) for number in range(600)]
    failures = [(timedelta(seconds=4 * number), ended(1000 + number, "FAILED")) for number in range(15)]
    company.play(successes + failures)
    alone = company.sent_alone()
    assert all(alone[f"run-{1000 + number}"] for number in range(15))
    assert sum(company.summarised()) + len(alone) == 615


def test_a_message_that_comes_alone_is_not_delayed(company: Company) -> None:
    company.play([(timedelta(seconds=4 * number), ended(number, "SUCCEEDED")) for number in range(30)])
    assert company.slept == 0
    assert len(company.sent_alone()) == 30


def test_a_summary_names_the_worst_first_and_says_where_the_rest_is(company: Company) -> None:
    events = [(timedelta(0), ended(number, "SUCCEEDED")) for number in range(60)]
    events += [(timedelta(0), ended(100 + number, "FAILED")) for number in range(40)]
    company.play(events)
    summary = next(message for message in company.slack.accepted if "more messages" in message["text"])
    lines = summary["text"].splitlines()
    assert re.match(r"❌ \d+ more messages, \d+ of failed runs", lines[0])
    assert re.match(r"\d+ failed: (flights 2013-02-09 failed: \S+; ){5}and \d+ more", lines[2])
    assert lines[3].startswith("50 done: flights 2013-02-09 is done; ")
    assert "docs/operate.md" in summary["text"]
    assert len([line for line in lines if "console.aws.amazon.com" in line]) == 5
