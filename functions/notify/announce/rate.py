"""How many messages Slack gets: one item of the runs table, which every function asks before it posts.

Slack takes about one message a second from an incoming webhook, answers 429 with Retry-After to more, and may disable an app that goes on
("Rate limits", Slack developer documentation). So each message costs a minute divided by the limit, and costs add up in the item: it holds
the moment until which they are spent. What is spent ahead of now is what was posted lately. The message that finds it at n messages waits
n seconds, which keeps a second between any two. Above the limit a message does not wait, it goes into a summary (`announce.summaries`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from announce.messages import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from announce.messages import Announcement

ROUTINE = "run-succeeded"
"""The kind of message that nobody has to act on."""
MOST_AT_ONCE = 20
"""Messages that may be posted at once, a second apart: the last one's function waits as many seconds, of the minute that it has."""
_ATTEMPTS = 3
_NEVER, _DAMAGED = -1, -2
_CLOCKS_DIFFER = 60_000  # milliseconds, and more than the clocks of Lambda's hosts do
_KEY: Any = {"pk": {"S": "SLACK"}, "sk": {"S": "RATE"}}


class Rate:
    """The item. Two functions that ask at the same moment get different turns."""

    def __init__(self, table: str, client: DynamoDBClient, per_minute: int) -> None:
        self._table = table
        self._client = client
        self._cost = 60_000 // per_minute
        self.at_once = min(per_minute, MOST_AT_ONCE)

    def take_turn(self, now: datetime, most_ahead: int) -> timedelta | None:
        """Take a turn and say how long to wait for it; None when more than `most_ahead` messages were posted lately.

        A turn that nobody uses, because its function died or the SDK repeated the write, comes back with time.
        """
        moment = int(now.timestamp() * 1000)
        for _ in range(_ATTEMPTS):
            spent_until = self._add_cost(moment, moment + most_ahead * self._cost)
            if spent_until is None:
                return None
            if spent_until > moment:
                return timedelta(seconds=(spent_until - moment) / self._cost)
            if self._begin(moment, spent_until):
                return timedelta(0)
        return None

    def _add_cost(self, now: int, latest: int) -> int | None:
        """Add a message's cost if any is being spent, and not too much: then None.

        Returns the moment until which it was spent before; a past one when none is, and nothing was added.
        """
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_KEY,
                UpdateExpression="ADD spent_until :cost",
                ConditionExpression="attribute_exists(spent_until) AND spent_until > :now AND spent_until <= :latest",
                ExpressionAttributeValues=_numbers({":cost": self._cost, ":now": now, ":latest": latest}),
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            found: Any = refused.response
            spent_until = self._read(found.get("Item", {}), now)
            return spent_until if spent_until <= now else None
        return int(answer["Attributes"]["spent_until"]["N"]) - self._cost

    def _read(self, item: dict[str, Any], now: int) -> int:
        """Until when it is spent; `_NEVER` when the item is missing, and `_DAMAGED` when no function can have written it."""
        if "spent_until" not in item:
            return _NEVER
        spent_until = int(item["spent_until"].get("N", _DAMAGED))
        return spent_until if spent_until < now + (self.at_once + 2) * self._cost + _CLOCKS_DIFFER else _DAMAGED

    def _begin(self, now: int, spent_until: int) -> bool:
        """Take the first turn after a pause; False when another function was faster."""
        values = {":next": now + self._cost, ":now": now}
        condition = {"ConditionExpression": "attribute_not_exists(spent_until) OR spent_until <= :now"}
        if spent_until == _DAMAGED:
            condition = {}
            del values[":now"]
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_KEY,
                UpdateExpression="SET spent_until = :next",
                ExpressionAttributeValues=_numbers(values),
                **condition,  # type: ignore[arg-type]
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


class RateLimit:
    """The limit as a delivery meets it (`announce.delivery.Limit`).

    Half of the messages that may be posted at once are kept for those that somebody has to act on. A summary is never refused.
    """

    def __init__(self, rate: Rate, clock: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep

    def wait_for_turn(self, said: Announcement) -> bool:
        """Wait until the message may be posted; False when it is over the limit."""
        at_once = self._rate.at_once
        most = {ROUTINE: max(1, at_once // 2), SUMMARY: at_once + 1}.get(said.kind, at_once)
        wait = self._rate.take_turn(self._clock(), most - 1)
        if wait is not None:
            self._sleep(wait.total_seconds())
        return wait is not None or said.kind == SUMMARY


def _numbers(values: dict[str, int]) -> Any:
    return {name: {"N": str(value)} for name, value in values.items()}
