"""How many messages Slack gets: one item of the runs table, which every function asks before it posts.

Slack takes about one message a second from an incoming webhook, answers 429 with Retry-After to more, and may disable an app that goes on
("Rate limits", Slack developer documentation). So each message costs a minute divided by the limit, and costs add up in the item: it holds
the moment until which they are spent, and what is spent ahead of now is what was posted lately. Beside that it holds the moment from which
on the next message may be posted, a second after the last one: until then a message waits. Above the limit a message does not wait, it goes
into a summary (`announce.summaries`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
_PAUSE = 1000  # milliseconds between two posts
_CLOCKS_DIFFER = 60_000  # milliseconds, and more than the clocks of Lambda's hosts do
_KEY: Any = {"pk": {"S": "SLACK"}, "sk": {"S": "RATE"}}


@dataclass(frozen=True)
class _Spent:
    """The item's two moments: until when messages' costs are spent, and from when on the next message may be posted."""

    until: int
    free_at: int


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
        latest = moment + most_ahead * self._cost
        guess = moment + 1 if most_ahead else _NEVER  # as it is in a burst; anything else shows in the refusal
        found = _Spent(guess, guess)
        for _ in range(_ATTEMPTS):
            if found.until > latest:
                return None
            try:
                return timedelta(milliseconds=self._take(found, moment, latest))
            except self._client.exceptions.ConditionalCheckFailedException as refused:
                answer: Any = refused.response
                found = self._read(answer.get("Item", {}), moment)
        return None

    def _take(self, found: _Spent, now: int, latest: int) -> int:
        """Take the next turn if things are as they were found; the milliseconds to wait for it."""
        adds, sets, conditions = [], [], []
        values = {":now": now, ":latest": latest, ":cost": self._cost, ":pause": _PAUSE}
        for name, until, step in (("spent_until", found.until, ":cost"), ("free_at", found.free_at, ":pause")):
            if until > now:
                adds.append(f"{name} {step}")
                conditions.append(f"attribute_exists({name}) AND {name} > :now")
            else:
                sets.append(f"{name} = :next_{name}")
                values[f":next_{name}"] = now + values[step]
                conditions.append(f"(attribute_not_exists({name}) OR {name} <= :now)" if until != _DAMAGED else "")
        conditions.append("spent_until <= :latest" if found.until > now else "")
        expression = " ".join(
            [*(["ADD " + ", ".join(adds)] if adds else []), *(["SET " + ", ".join(sets)] if sets else [])]
        )
        condition = " AND ".join(filter(None, conditions))
        used = set(re.findall(r":\w+", f"{expression} {condition}"))
        arguments: Any = {
            "TableName": self._table,
            "Key": _KEY,
            "UpdateExpression": expression,
            "ExpressionAttributeValues": {name: {"N": str(values[name])} for name in used},
            "ReturnValues": "UPDATED_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **({"ConditionExpression": condition} if condition else {}),
        }
        answer = self._client.update_item(**arguments)
        return max(0, int(answer["Attributes"]["free_at"]["N"]) - _PAUSE - now)

    def _read(self, item: dict[str, Any], now: int) -> _Spent:
        """What is in the item; `_DAMAGED` for what no function can have written."""
        most = now + (self.at_once + 2) * self._cost + _CLOCKS_DIFFER

        def read(name: str) -> int:
            if name not in item:
                return _NEVER
            number = item[name].get("N", "")
            value = int(number) if re.fullmatch(r"-?[0-9]{1,18}", number) else _DAMAGED
            return value if value < most else _DAMAGED

        return _Spent(read("spent_until"), read("free_at"))


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
