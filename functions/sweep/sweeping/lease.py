"""That one sweep works at a time, and where the next one goes on: one item of the runs table.

An invocation takes the lease for as long as Lambda lets it live, so that a lease that has expired is nobody's. One that runs out of time
leaves its place and a ticket, with which the invocation that it asks for takes over, and no other. Whoever finds the lease taken stops.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from sweeping.days import BEGINNING, OTHER, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

KEY: dict[str, Any] = {"pk": {"S": "SWEEP"}, "sk": {"S": "LEASE"}}

CLOCKS = timedelta(minutes=1)
"""How far the clocks of two invocations may differ."""

HANDOVER = timedelta(minutes=10)
"""How long the lease is kept for the invocation that was asked for; one that Lambda could not start by then is left to the next hour."""

_LONG_AGO = datetime.fromtimestamp(0, UTC)
LONGEST = timedelta(minutes=30)
"""No invocation takes the lease for longer: Lambda ends it after 15 minutes. An item that says so was edited, and is nobody's lease."""

_DAYS = re.compile(rf"[0-9]{{8}}-[0-9]{{8}}|{OTHER}")


class Lease:
    """The one lease of a stack's sweeps, for one invocation."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._holder = uuid4().hex
        self._is_left = False

    def take(self, ticket: str, lifetime: timedelta) -> Place | None:
        """Take the lease, and answer where to go on; None while another invocation has it.

        A call that the SDK repeats, because its answer was lost, finds the lease taken by this invocation, and takes it again.
        """
        now = datetime.now(UTC)
        try:
            taken = self._client.update_item(
                TableName=self._table,
                Key=KEY,
                UpdateExpression="SET lease_holder = :holder, lease_until = :until REMOVE lease_ticket",
                ConditionExpression="attribute_not_exists(lease_until) OR lease_until < :now"
                " OR lease_until > :longest OR lease_ticket = :ticket OR lease_holder = :holder",
                ExpressionAttributeValues={
                    ":holder": {"S": self._holder},
                    ":until": _seconds(now + lifetime + CLOCKS),
                    ":now": _seconds(now),
                    ":longest": _seconds(now + LONGEST),
                    ":ticket": {"S": ticket or self._holder},
                },
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return _read_place(taken["Attributes"])

    def hand_over(self, place: Place) -> str:
        """Leave the lease to the invocation that shows the ticket that is answered."""
        ticket = uuid4().hex
        self._leave(place, datetime.now(UTC) + HANDOVER, ticket)
        return ticket

    def leave_at(self, place: Place) -> None:
        """Leave the lease to whoever comes next, who goes on at `place`."""
        self._leave(place, _LONG_AGO, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the lease to whoever comes next, who begins with the newest days, unless it was left already.

        That is right after an error, too: a file that fails each time must not keep the next sweeps from the days before it.
        """
        if not self._is_left:
            self.leave_at(BEGINNING)

    def _leave(self, place: Place, until: datetime, ticket: str) -> None:
        self._client.update_item(
            TableName=self._table,
            Key=KEY,
            UpdateExpression="SET swept_days = :days, swept_key = :key, lease_until = :until, lease_ticket = :ticket",
            ConditionExpression="lease_holder = :holder",
            ExpressionAttributeValues={
                ":holder": {"S": self._holder},
                ":days": {"S": place.days},
                ":key": {"S": place.after},
                ":until": _seconds(until),
                ":ticket": {"S": ticket},
            },
        )
        self._is_left = True


def _seconds(moment: datetime) -> Any:
    return {"N": str(int(moment.timestamp()))}


def _read_place(item: Mapping[str, Any]) -> Place:
    """The place that an item holds; the beginning when somebody put something else there."""
    days, after = (item.get(name, {}).get("S", "") for name in ("swept_days", "swept_key"))
    return Place(days, after) if _DAYS.fullmatch(days) else BEGINNING
