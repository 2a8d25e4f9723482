"""What bounds the bill: how many gangs run at a time in a market, and how many hours they may run on On-Demand in a day.

Both are kept by conditional writes on one item, and both are idempotent: a gang takes its slot or reserves its hours once, however
often it asks, so that a caller which died in between is simply repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from spotline.runs import Market

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from spotline.gangs import Gang

KEPT = timedelta(days=90)
"""How long a day's hours stay readable; the table's TTL removes them then."""


@dataclass(frozen=True)
class Limits:
    """What the stack's parameters allow.

    `hours_per_day` are hours of whole gangs on On-Demand, and `attempt` is the longest that one gang may run: the timeout of the
    job definition, which is what a gang reserves.
    """

    spot_gangs: int
    on_demand_gangs: int
    hours_per_day: int
    attempt: timedelta


class Allowances:
    """Slots and hours in the runs table.

    A market's slots are the item `SLOTS` / `<market>` with the set `holders`. A day's hours are the item `BUDGET#<YYYYMMDD>` /
    `ON_DEMAND`, in seconds: `spent` in all, and one attribute for each gang's share of it.
    """

    def __init__(self, table: str, client: DynamoDBClient, limits: Limits) -> None:
        self._table = table
        self._client = client
        self._limits = limits

    def take_slot(self, gang: Gang) -> bool:
        """Take a slot of the gang's market, unless all are taken. A gang that holds one already keeps it."""
        most = self._limits.spot_gangs if gang.market is Market.SPOT else self._limits.on_demand_gangs
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_slots_key(gang.market),
                UpdateExpression="ADD holders :mine",
                ConditionExpression="contains(holders, :me) OR attribute_not_exists(holders) OR size(holders) < :most",
                ExpressionAttributeValues={
                    ":mine": {"SS": [gang.name]},
                    ":me": {"S": gang.name},
                    ":most": {"N": str(most)},
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def free_slot(self, market: Market, holder: str) -> None:
        """Give back the slot of a holder (`Gang.name`); one that holds none is no error."""
        self._client.update_item(
            TableName=self._table,
            Key=_slots_key(market),
            UpdateExpression="DELETE holders :holder",
            ExpressionAttributeValues={":holder": {"SS": [holder]}},
        )

    def slot_holders(self, market: Market) -> set[str]:
        """The names of the gangs that hold a slot."""
        item = self._read(_slots_key(market))
        return set(item.get("holders", {}).get("SS", []))

    def reserve_hours(self, gang: Gang) -> bool:
        """Reserve the longest that the gang may run, on the day (UTC) on which its Task asked for it, unless that is too much.

        Spot has no limit but its slots. A gang that has reserved, or given back, is not asked twice.
        """
        if gang.market is Market.SPOT:
            return True
        seconds = int(self._limits.attempt.total_seconds())
        room = self._limits.hours_per_day * 3600 - seconds
        if room < 0:
            return False
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_day_key(gang.launched_at),
                UpdateExpression="SET #gang = :seconds, expires_at = :later ADD spent :seconds",
                ConditionExpression="attribute_not_exists(#gang) AND (attribute_not_exists(spent) OR spent <= :room)",
                ExpressionAttributeNames={"#gang": gang.name},
                ExpressionAttributeValues={
                    ":seconds": {"N": str(seconds)},
                    ":room": {"N": str(room)},
                    ":later": {"N": str(int((gang.launched_at + KEPT).timestamp()))},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            return gang.name in cast("dict[str, Any]", refused.response).get("Item", {})
        return True

    def settle_hours(self, gang: Gang, used: timedelta) -> None:
        """Put what the gang really used in the place of what it reserved. What was given back whole stays given back."""
        if gang.market is Market.SPOT:
            return
        reserved = int(self._read(_day_key(gang.launched_at)).get(gang.name, {}).get("N", "0"))
        seconds = int(used.total_seconds())
        if not reserved or seconds == reserved:
            return
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_day_key(gang.launched_at),
                UpdateExpression="SET #gang = :used ADD spent :more",
                ConditionExpression="#gang = :reserved",
                ExpressionAttributeNames={"#gang": gang.name},
                ExpressionAttributeValues={
                    ":used": {"N": str(seconds)},
                    ":more": {"N": str(seconds - reserved)},
                    ":reserved": {"N": str(reserved)},
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def spent(self, day: datetime) -> timedelta:
        """What gangs have used of the day's (UTC) On-Demand hours, and what those that run have reserved."""
        return timedelta(seconds=int(self._read(_day_key(day)).get("spent", {}).get("N", "0")))

    def _read(self, key: dict[str, Any]) -> dict[str, Any]:
        return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {})


def _slots_key(market: Market) -> dict[str, Any]:
    return {"pk": {"S": "SLOTS"}, "sk": {"S": market.value}}


def _day_key(day: datetime) -> dict[str, Any]:
    return {"pk": {"S": f"BUDGET#{day:%Y%m%d}"}, "sk": {"S": Market.ON_DEMAND.value}}
