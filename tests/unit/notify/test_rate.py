"""A message in a second, so many in a minute, and more than that is refused a turn."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from announce.messages import SUMMARY, Announcement
from announce.rate import MOST_AT_ONCE, ROUTINE, Rate, RateLimit
from announce.summaries import SummaryTable
from spotline.documents import DocumentError
from tests.unit.protocol.calls import Clock
from tests.unit.protocol.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from tests.unit.notify.edge import Edge


class Slack:
    """The limit, and when the messages that got a turn are posted, in seconds since the beginning."""

    def __init__(self, per_minute: int, client: Any = None) -> None:
        self.clock, self.dynamodb = Clock(), FakeDynamoDB()
        self.asked, self.posted = list[float](), list[float]()
        self.began = self.clock.now
        rate = Rate("runs", cast("Any", client or self.dynamodb), per_minute)
        self.limit = RateLimit(rate, self.clock, self._wait)

    def _wait(self, seconds: float) -> None:
        self.asked.append((self.clock.now - self.began).total_seconds())
        self.posted.append(self.asked[-1] + seconds)

    def ask(self, kind: str = "run-failed") -> bool:
        return self.limit.wait_for_turn(Announcement(kind, "", "", ""))


@given(
    per_minute=st.integers(1, 60),
    asked=st.lists(st.tuples(st.sampled_from([0, 1, 900, 3_000, 61_000]), st.booleans()), max_size=200),
)
def test_whenever_they_come_a_second_lies_between_two_messages(per_minute: int, asked: list[tuple[int, bool]]) -> None:
    slack = Slack(per_minute)
    for pause, routine in asked:
        slack.clock.advance(timedelta(milliseconds=pause))
        slack.ask(ROUTINE if routine else "run-failed")
    for first, second in zip(slack.posted, slack.posted[1:], strict=False):
        assert second - first >= 0.999
    for end in slack.posted:
        assert sum(end - 60 < posted <= end for posted in slack.posted) <= per_minute + min(per_minute, MOST_AT_ONCE)


@pytest.mark.parametrize(("per_minute", "failures", "successes"), [(60, 20, 10), (20, 20, 10), (3, 3, 1), (1, 1, 1)])
def test_at_once_there_is_room_for_so_many(per_minute: int, failures: int, successes: int) -> None:
    slack = Slack(per_minute)
    assert sum(slack.ask(ROUTINE) for _ in range(99)) == successes
    assert sum(slack.ask() for _ in range(99)) == failures - successes
    assert slack.posted == [float(second) for second in range(failures)]
    assert slack.ask(SUMMARY)


def test_a_message_waits_for_the_one_before_it_and_no_longer() -> None:
    # Given a limit that is used up, so that a turn is free every three seconds
    slack = Slack(20)
    while slack.ask():
        pass
    slack.clock.advance(timedelta(seconds=30))
    # When messages go on coming
    began = len(slack.posted)
    for _ in range(60):
        slack.ask()
        slack.clock.advance(timedelta(seconds=1))
    # Then none of them keeps its function waiting, once those that came back at once are through
    waits = [posted - asked for posted, asked in zip(slack.posted, slack.asked, strict=True)][began:]
    assert max(waits[-10:]) == 0


def test_what_is_over_the_limit_costs_one_call() -> None:
    slack = Slack(20)
    while slack.ask():
        pass
    slack.dynamodb.line.counts.clear()
    assert not slack.ask()
    assert slack.dynamodb.line.counts.total() == 1


def test_dynamodb_counts_as_the_fake_does(edge: Edge) -> None:
    slack = Slack(3, edge.dynamodb)
    assert [slack.ask() for _ in range(5)] == [True, True, True, False, False]
    slack.clock.advance(timedelta(seconds=20))
    assert [slack.ask() for _ in range(2)] == [True, False]
    slack.clock.advance(timedelta(minutes=5))
    assert slack.ask()
    assert slack.posted == [0.0, 1.0, 2.0, 20.0, 320.0]


@pytest.mark.parametrize(
    "spent_until", [{"N": "9" * 30}, {"N": "-5"}, {"N": "1764610000.25"}, {"N": "1E+60"}, {"NULL": True}]
)
def test_a_damaged_record_of_the_rate_is_replaced(edge: Edge, spent_until: Any) -> None:
    slack = Slack(20, edge.dynamodb)
    edge.dynamodb.put_item(
        TableName="runs", Item={"pk": {"S": "SLACK"}, "sk": {"S": "RATE"}, "spent_until": spent_until}
    )
    assert slack.ask(ROUTINE)
    assert slack.ask(ROUTINE)
    assert slack.posted == [0.0, 1.0]


@pytest.mark.parametrize(
    "damage", [{}, {"summary": {"N": "1"}}, {"summary": {"S": "a"}, "members": {"S": "b"}}, {"summary": {"S": ""}}]
)
def test_a_damaged_record_of_a_summary_is_named(edge: Edge, damage: Any) -> None:
    edge.dynamodb.put_item(TableName="runs", Item={"pk": {"S": "SLACK"}, "sk": {"S": "SUMMARY"}, **damage})
    with pytest.raises(DocumentError, match="item SLACK SUMMARY: not the record of a summary"):
        SummaryTable("runs", edge.dynamodb).read()


@pytest.mark.parametrize("damage", [{}, {"title": {"N": "1"}, "kind": {"L": []}}])
def test_a_damaged_message_does_not_keep_the_others_from_their_summary(edge: Edge, damage: Any) -> None:
    table = SummaryTable("runs", edge.dynamodb)
    edge.dynamodb.put_item(TableName="runs", Item={"pk": {"S": "SLACK#UNSENT"}, "sk": {"S": "a"}, **damage})
    edge.dynamodb.put_item(
        TableName="runs", Item={"pk": {"S": "SLACK#UNSENT"}, "sk": {"S": "b"}, "title": {"S": "flights is done"}}
    )
    assert [(one.name, one.title) for one in table.unsent()] == [("a", ""), ("b", "flights is done")]
