"""Messages over the rate limit, in one message: what waits for it, and that each is in one summary.

What waits is an item for each message, in a partition of its own, written together with the message's claim. A summary begins by writing
down which of them it stands for, so that a repetition stands for the same ones. It ends by deleting them, and only then the next one
begins. All of this can be cut short anywhere: the next call goes on.
"""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from announce.announcements import Unsent, messages_summary
from announce.delivery import InFlight, deliver
from announce.outcomes import MessageKey
from spotline.documents import DocumentError
from spotline.run_table import UNSENT_PARTITION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from announce.claims import Claims, Verdict
    from announce.delivery import Channel, Limit
    from announce.messages import Announcement

MOST_IN_A_SUMMARY = 5000
"""Their names make 180 KB of the summary's item, which may have 400."""
_BATCH = 25  # BatchWriteItem, DynamoDB API reference
_KEY: Any = {"pk": {"S": "SLACK"}, "sk": {"S": "SUMMARY"}}


@dataclass(frozen=True)
class Summary:
    """The summary under way, or the last one when it stands for nothing any more. Empty before the first one."""

    name: str = ""
    members: frozenset[str] = frozenset()

    @property
    def key(self) -> MessageKey:
        """Where its message is claimed and confirmed."""
        return MessageKey(f"SUMMARY#{self.name}", "MESSAGE")


class SummaryTable:
    """Summaries, and the messages that wait for one, as items of the runs table."""

    def __init__(self, table: str, client: DynamoDBClient) -> None:
        self._table = table
        self._client = client

    def read(self) -> Summary:
        """The summary under way, or the last one; raises `DocumentError` for a record that cannot be read."""
        item = self._client.get_item(TableName=self._table, Key=_KEY, ConsistentRead=True).get("Item")
        if item is None:
            return Summary()
        try:
            summary = Summary(item["summary"]["S"], frozenset(item["members"]["SS"] if "members" in item else ()))
        except KeyError:
            summary = Summary()
        if not summary.name:
            raise DocumentError(
                "item SLACK SUMMARY", "not the record of a summary; delete it: its messages go into the next one"
            )
        return summary

    def unsent(self) -> Iterator[Unsent]:
        """The messages that wait, read consistently."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": UNSENT_PARTITION}},
            ConsistentRead=True,
        )
        for item in (item for page in pages for item in page["Items"]):
            name, *others = (item.get(field, {}).get("S", "") for field in ("sk", "kind", "title", "link"))
            yield Unsent(name, *others)

    def begin(self, last: Summary, members: frozenset[str]) -> Summary:
        """Begin the next summary; raises `InFlight` when another function did since `last` was read."""
        new = Summary(str(uuid.uuid4()), members)
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if last.name:
            condition = {
                "ConditionExpression": "summary = :last AND attribute_not_exists(members)",
                "ExpressionAttributeValues": {":last": {"S": last.name}},
            }
        item = {**_KEY, "summary": {"S": new.name}, "members": {"SS": sorted(members)}}
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition)
        except self._client.exceptions.ConditionalCheckFailedException as cause:
            raise InFlight("another function began a summary first") from cause
        return new

    def end(self, summary: Summary) -> None:
        """Delete the messages that a summary stands for. The summary is over once they are gone."""
        names = sorted(summary.members)
        for start in range(0, len(names), _BATCH):
            self._delete(names[start : start + _BATCH])
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_KEY,
                UpdateExpression="REMOVE members",
                ConditionExpression="summary = :summary",
                ExpressionAttributeValues={":summary": {"S": summary.name}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return  # another function ended it, and the next one began

    def _delete(self, names: list[str]) -> None:
        requests: Any = [
            {"DeleteRequest": {"Key": {"pk": {"S": UNSENT_PARTITION}, "sk": {"S": name}}}} for name in names
        ]
        pause = 0.05
        while requests:  # Lambda's timeout ends it at the latest, and the next call goes on
            answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._table, [])
            if requests:
                time.sleep(pause)
                pause = min(2 * pause, 5.0)


def send_summaries(
    table: SummaryTable,
    *,
    claims: Claims,
    channel: Channel,
    limit: Limit,
    is_out_of_time: Callable[[], bool] = lambda: False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Verdict]:
    """Post summaries until no message waits for one; what came of each.

    Raises
    ------
    InFlight, Refused, Silent
        A summary is not confirmed. It stands for the same messages at the next call.
    """
    verdicts: list[Verdict] = []
    while not is_out_of_time():
        summary = table.read()
        if not summary.members:
            members = frozenset(one.name for one in itertools.islice(table.unsent(), MOST_IN_A_SUMMARY))
            if not members:
                break
            summary = table.begin(summary, members)
        compose = partial(_compose, table, summary.members)
        verdicts.append(deliver(summary.key, compose, claims=claims, channel=channel, clock=clock, limit=limit))
        table.end(summary)
    return verdicts


def _compose(table: SummaryTable, members: frozenset[str]) -> Announcement:
    """What the summary says. Names come in order, so that what waits behind the last one is not read."""
    last = max(members)
    waiting = itertools.takewhile(lambda one: one.name <= last, table.unsent())
    return messages_summary([one for one in waiting if one.name in members])
