"""The runs table: a run's result and its day's metrics, written in one transaction.

`RUN#<run id>` / `RUN` gets the attributes `result` and `cost`; `DAY#<dataset>#<YYYYMMDD>` / `FILE#<file>` holds the metrics of the
newest version of that file that was processed.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Magnitudes that a DynamoDB number can hold ("Supported data types and naming rules", DynamoDB developer guide).
_SMALLEST, _LARGEST = 1e-130, 1e126
_CONFLICTS = 6


class Written(StrEnum):
    """What the transaction changed."""

    RUN_AND_DAY = "run-and-day"
    RUN_ONLY = "run-only"


@dataclass(frozen=True)
class DayKey:
    """The file that metrics belong to: one file of one day of one dataset."""

    dataset: str
    day: str
    file: str

    @property
    def key(self) -> dict[str, Any]:
        """The primary key of the day's item."""
        return {"pk": {"S": f"DAY#{self.dataset}#{self.day}"}, "sk": {"S": f"FILE#{self.file}"}}


class ResultTable:
    """The table, behind what postprocess does with it."""

    def __init__(self, name: str, client: DynamoDBClient) -> None:
        self._name = name
        self._client = client

    def record(
        self, run_id: str, recorded: Mapping[str, Any], day: DayKey, order: str | None, metrics: Mapping[str, Any]
    ) -> Written:
        """Write the run's result and, unless a newer version of the file was there first, the day's metrics.

        Parameters
        ----------
        recorded
            The run record's attributes of the result: `result`, and `cost` if there is one.
        order
            The source order of the file's version; None when the version is gone, which leaves the day as it is.
        metrics
            The attributes of the day's item beside its key and order.
        """
        # With these two the record is in the index of a day's runs, even before reconcile has noted its execution.
        attributes = {"run_id": run_id, "run_day": day.day, "dataset": day.dataset, **recorded}
        of_run = {
            "Update": {
                "TableName": self._name,
                "Key": {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "RUN"}},
                "UpdateExpression": f"SET {', '.join(f'#{name} = :{name}' for name in attributes)}",
                "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
                "ExpressionAttributeValues": {f":{name}": to_attribute(value) for name, value in attributes.items()},
            }
        }
        if order is None:
            self._write([of_run])
            return Written.RUN_ONLY
        item = {
            "run_id": run_id,
            "dataset": day.dataset,
            "day": day.day,
            "file": day.file,
            "source_order": order,
            **metrics,
        }
        of_day = {
            "Put": {
                "TableName": self._name,
                "Item": {**day.key, **{name: to_attribute(value) for name, value in item.items()}},
                # A rerun of the same version may write again; an older version may not.
                "ConditionExpression": "attribute_not_exists(pk) OR source_order <= :order",
                "ExpressionAttributeValues": {":order": {"S": order}},
            }
        }
        refused = self._write([of_run, of_day])
        if not refused:
            return Written.RUN_AND_DAY
        self._write([of_run])
        return Written.RUN_ONLY

    def read_gangs(self, run_id: str, newest: int) -> list[dict[str, Any]]:
        """What is recorded of the run's gangs up to the generation `newest`, oldest first."""
        found = []
        for generation in range(1, newest + 1):
            item = self._read({"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": f"GANG#{generation:04d}"}})
            if item is not None:
                found.append(item)
        return found

    def read_days_before(self, day: DayKey, days: int) -> list[dict[str, Any]]:
        """What is kept of this file's metrics of the last `days` days before, oldest first; days without are left out."""
        date = datetime.strptime(day.day, "%Y%m%d").replace(tzinfo=UTC)
        found = []
        for back in range(days, 0, -1):
            item = self._read(replace(day, day=f"{date - timedelta(days=back):%Y%m%d}").key)
            if item is not None:
                found.append(item)
        return found

    def _read(self, key: dict[str, Any]) -> dict[str, Any] | None:
        item = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else {name: to_plain(value) for name, value in item.items()}

    def _write(self, items: Sequence[Mapping[str, Any]]) -> bool:
        """Write all items or none; True when a condition did not hold.

        A transaction is refused while another writer is at one of its items (reconcile keeps run records), and the SDK does not
        retry that: six tries within about six seconds do.
        """
        for attempt in range(_CONFLICTS):
            try:
                self._client.transact_write_items(TransactItems=list(items))  # type: ignore[arg-type]
            except self._client.exceptions.TransactionCanceledException as refusal:
                codes = {reason.get("Code") for reason in refusal.response.get("CancellationReasons", [])}
                if "ConditionalCheckFailed" in codes:
                    return True
                if "TransactionConflict" not in codes or attempt == _CONFLICTS - 1:
                    raise
                time.sleep(0.1 * 2**attempt * (1 + random.random()))  # noqa: S311  spreads writers, guards nothing
            else:
                return False
        raise AssertionError("the last conflict raises")


def to_attribute(value: Any) -> dict[str, Any]:
    """A JSON value as a DynamoDB attribute, exactly.

    A float becomes the decimal that Python prints for it, which reads back as the same float. DynamoDB holds neither infinities
    nor magnitudes outside 1e-130 to 1e126: such a number becomes its text.

    Examples
    --------
    >>> to_attribute(0.1), to_attribute(1e-200), to_attribute(None)
    ({'N': '0.1'}, {'S': '1e-200'}, {'NULL': True})
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case float():
            return {"N": str(Decimal(repr(value)))} if _is_in_range(value) else {"S": repr(value)}
        case str():
            return {"S": value}
        case Mapping():
            return {"M": {str(name): to_attribute(item) for name, item in value.items()}}
        case Sequence():
            return {"L": [to_attribute(item) for item in value]}
    raise TypeError(f"the table cannot hold a {type(value).__name__}")


def to_plain(value: Mapping[str, Any]) -> Any:
    """A DynamoDB attribute as a JSON value: what `to_attribute` made of one; a number without a fraction becomes an int."""
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(content) if content.lstrip("-").isdigit() else float(content)
        case "M":
            return {name: to_plain(item) for name, item in content.items()}
        case "L":
            return [to_plain(item) for item in content]
    return content


def _is_in_range(value: float) -> bool:
    return value == 0 or (math.isfinite(value) and _SMALLEST <= abs(value) < _LARGEST)
