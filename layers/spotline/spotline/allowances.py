"""What bounds the bill: how many gangs run at a time in a market, and how many hours they may run on On-Demand in a day.

Both are kept by conditional writes on one item, and both are idempotent: a gang takes its slot or reserves its hours once, however
often it asks, so that a caller which died in between is simply repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

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


class HoursContended(ClientError):
    """Two launches reserved hours at the same moment, and DynamoDB let neither or one of them. To be repeated."""


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

    def reserve_hours(self, gang: Gang, now: datetime) -> bool:
        """Reserve the longest that the gang may run, on the day (UTC) on which it is launched, unless that is too much.

        The reservation and the day that it is on are written together, the day into the gang's record, so that whoever settles it knows
        where it is. Spot has no limit but its slots. A gang that has reserved, or given back, is not asked twice; nor is one whose
        record was closed meanwhile, which is not launched anyway.
        """
        if gang.market is Market.SPOT or gang.hours_day is not None:
            return True
        seconds = int(self._limits.attempt.total_seconds())
        room = self._limits.hours_per_day * 3600 - seconds
        if room < 0:
            return False
        day = f"{now:%Y%m%d}"
        reservation: Any = {
            "TableName": self._table,
            "Key": _day_key(day),
            "UpdateExpression": "SET #gang = :seconds, expires_at = :later ADD spent :seconds",
            "ConditionExpression": "attribute_not_exists(#gang) AND (attribute_not_exists(spent) OR spent <= :room)",
            "ExpressionAttributeNames": {"#gang": gang.name},
            "ExpressionAttributeValues": {
                ":seconds": {"N": str(seconds)},
                ":room": {"N": str(room)},
                ":later": {"N": str(int((now + KEPT).timestamp()))},
            },
        }
        noted: Any = {
            "TableName": self._table,
            "Key": _gang_key(gang),
            "UpdateExpression": "SET hours_day = :day",
            "ConditionExpression": "attribute_exists(open_gang) AND attribute_not_exists(hours_day)",
            "ExpressionAttributeValues": {":day": {"S": day}},
        }
        try:
            self._client.transact_write_items(TransactItems=[{"Update": reservation}, {"Update": noted}])
        except self._client.exceptions.TransactionCanceledException as refused:
            return self._has_reserved(gang, day, refused.response)
        return True

    def _has_reserved(self, gang: Gang, day: str, refusal: Any) -> bool:
        """Whether a reservation was refused because there is one already, or no need of one; else there is too little room."""
        if any(reason.get("Code") == "TransactionConflict" for reason in refusal.get("CancellationReasons", ())):
            raise HoursContended(refusal, "TransactWriteItems")
        record = self._read(_gang_key(gang))
        return "open_gang" not in record or "hours_day" in record or gang.name in self._read(_day_key(day))

    def settle_hours(self, gang: Gang, used: timedelta) -> None:
        """Put what the gang really used in the place of what it reserved. What was given back whole stays given back.

        A gang that a version before this one launched has no day in its record: it has reserved on the day on which its Task asked.
        """
        if gang.market is Market.SPOT:
            return
        day = (
            gang.hours_day or self._read(_gang_key(gang)).get("hours_day", {}).get("S") or f"{gang.launched_at:%Y%m%d}"
        )
        reserved = int(self._read(_day_key(day)).get(gang.name, {}).get("N", "0"))
        seconds = int(used.total_seconds())
        if not reserved or seconds == reserved:
            return
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_day_key(day),
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
        return timedelta(seconds=int(self._read(_day_key(f"{day:%Y%m%d}")).get("spent", {}).get("N", "0")))

    def _read(self, key: dict[str, Any]) -> dict[str, Any]:
        return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {})


def _slots_key(market: Market) -> dict[str, Any]:
    return {"pk": {"S": "SLOTS"}, "sk": {"S": market.value}}


def _day_key(day: str) -> dict[str, Any]:
    return {"pk": {"S": f"BUDGET#{day}"}, "sk": {"S": Market.ON_DEMAND.value}}


def _gang_key(gang: Gang) -> dict[str, Any]:
    return {"pk": {"S": f"RUN#{gang.run_id}"}, "sk": {"S": f"GANG#{gang.generation:04d}"}}
