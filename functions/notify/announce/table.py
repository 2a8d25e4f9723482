"""The edge to the runs table: message claims, and what is recorded of a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from announce.claims import Claim, ClaimLost
from spotline.documents import DocumentError
from spotline.run_table import UNSENT_PARTITION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from announce.messages import Announcement
    from announce.outcomes import MessageKey

# An execution can be redriven for 14 days ("Redriving executions", Step Functions developer guide) and each of its ends has a
# message of its own; the claims must outlive that.
KEPT = timedelta(days=90)
_TITLE_LIMIT = 200


class TableClaims:
    """Message claims as items of the runs table."""

    def __init__(self, table: str, client: DynamoDBClient) -> None:
        self._table = table
        self._client = client

    def read(self, key: MessageKey) -> Claim:
        """See `Claims.read`."""
        answer = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True)
        if "Item" not in answer:
            return Claim()
        item = answer["Item"]
        try:
            return Claim(
                unconfirmed=int(item["unconfirmed"]["N"]),
                lease_until=_time(item, "lease_until"),
                confirmed_at=_time(item, "confirmed_at"),
                revision=int(item["revision"]["N"]),
                summarised_at=_time(item, "summarised_at"),
            )
        except (KeyError, TypeError, ValueError) as cause:
            raise DocumentError(
                f"item {key.pk} {key.sk}", f"not the claim of a message ({cause!r}); delete it to post once more"
            ) from cause

    def write(self, key: MessageKey, claim: Claim) -> None:
        """See `Claims.write`."""
        try:
            self._client.put_item(**self._put(key, claim))
        except self._client.exceptions.ConditionalCheckFailedException as cause:
            raise ClaimLost(f"{key.pk} {key.sk}") from cause

    def hand_over(self, key: MessageKey, claim: Claim, said: Announcement) -> None:
        """See `Claims.hand_over`."""
        unsent = {"TableName": self._table, "Item": _unsent_item(key, said, _expiry())}
        try:
            self._client.transact_write_items(
                TransactItems=[{"Put": self._put(key, claim)}, {"Put": unsent}]  # type: ignore[typeddict-item]
            )
        except self._client.exceptions.TransactionCanceledException as cause:
            codes = {reason.get("Code") for reason in cause.response.get("CancellationReasons", ())}
            if codes & {"ConditionalCheckFailed", "TransactionConflict"}:
                raise ClaimLost(f"{key.pk} {key.sk}") from cause
            raise

    def _put(self, key: MessageKey, claim: Claim) -> Any:
        """The write of a claim, on the condition that the revision before it still stands."""
        item: dict[str, Any] = {
            **_key(key),
            "unconfirmed": {"N": str(claim.unconfirmed)},
            "revision": {"N": str(claim.revision)},
            "expires_at": {"N": str(_expiry())},
        }
        times = {
            "lease_until": claim.lease_until,
            "confirmed_at": claim.confirmed_at,
            "summarised_at": claim.summarised_at,
        }
        item |= {name: {"S": time.isoformat()} for name, time in times.items() if time is not None}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if claim.revision > 1:
            condition = {
                "ConditionExpression": "revision = :before",
                "ExpressionAttributeValues": {":before": {"N": str(claim.revision - 1)}},
            }
        return {"TableName": self._table, "Item": item, **condition}


@dataclass(frozen=True)
class Recorded:
    """What the table holds of a run: its record and its gangs', oldest generation first. Numbers are `Decimal`."""

    run: dict[str, Any]
    gangs: tuple[dict[str, Any], ...]


def read_run(table: str, client: DynamoDBClient, run_id: str) -> Recorded:
    """Read the items of a run; both are empty when nothing was recorded yet."""
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415  only when a message is really composed

    plain = TypeDeserializer().deserialize
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"RUN#{run_id}"}},
        ConsistentRead=True,
    )
    items = [{name: plain(value) for name, value in item.items()} for page in pages for item in page["Items"]]
    run = next((item for item in items if item["sk"] == "RUN"), {})
    return Recorded(run, tuple(item for item in items if item["sk"].startswith("GANG#")))


def write_cost(table: str, client: DynamoDBClient, run_id: str, cost: Mapping[str, Any]) -> None:
    """Write down in the run's record what it cost until its end; `cost` holds JSON's types."""
    from boto3.dynamodb.types import TypeSerializer  # noqa: PLC0415  see `read_run`

    exact = json.loads(json.dumps(cost), parse_float=Decimal)
    client.update_item(
        TableName=table,
        Key={"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "RUN"}},
        UpdateExpression="SET #cost = :cost",
        ExpressionAttributeNames={"#cost": "cost"},
        ExpressionAttributeValues={":cost": TypeSerializer().serialize(exact)},
    )


def unsent_name(key: MessageKey) -> str:
    """What a message that waits for a summary is called: a key can be longer than DynamoDB allows, so this is its digest."""
    return hashlib.sha256(f"{key.pk}\n{key.sk}".encode()).hexdigest()[:32]


def _unsent_item(key: MessageKey, said: Announcement, expires_at: int) -> dict[str, Any]:
    item = {
        "pk": {"S": UNSENT_PARTITION},
        "sk": {"S": unsent_name(key)},
        "kind": {"S": said.kind},
        "title": {"S": said.title[:_TITLE_LIMIT]},
        "expires_at": {"N": str(expires_at)},
    }
    link = next((link.url for link in said.links if link.label == "Execution"), None)
    return item if link is None else {**item, "link": {"S": link}}


def _expiry() -> int:
    return int((datetime.now(UTC) + KEPT).timestamp())


def _key(key: MessageKey) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _time(item: Any, name: str) -> datetime | None:
    return datetime.fromisoformat(item[name]["S"]) if name in item else None
