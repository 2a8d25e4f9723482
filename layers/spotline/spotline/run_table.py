"""The runs table: what is written down about runs and their gangs.

One table. A run's record is a cache of what DescribeExecution and DescribeJobs say; only the generation, which fences gangs
off, is true here first. Items of one run share a partition: `RUN#<run id>` with sort key `RUN`, `GANG#<generation>` and others.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spotline.gangs import Gang
from spotline.runs import Market

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

OPEN_GANGS_INDEX = "open-gangs"
_OPEN = "yes"


class RunTable:
    """The table, behind functions named after what they mean."""

    def __init__(self, name: str, client: DynamoDBClient) -> None:
        self._name = name
        self._client = client

    def raise_generation(self, run_id: str, *, execution_arn: str) -> int:
        """Raise the run's generation by one, atomically, and return it: every older gang is fenced off from now on."""
        names, values, sets = _assignments({"execution_arn": execution_arn})
        answer = self._client.update_item(
            TableName=self._name,
            Key=_run_key(run_id),
            UpdateExpression=f"ADD generation :one SET {', '.join(sets)}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":one": {"N": "1"}, **values},
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["generation"]["N"])

    def newest_generation(self, run_id: str) -> int:
        """The run's generation now; 0 before its first gang."""
        answer = self._client.get_item(TableName=self._name, Key=_run_key(run_id), ConsistentRead=True)
        return int(answer.get("Item", {}).get("generation", {"N": "0"})["N"])

    def note(self, run_id: str, **attributes: str) -> None:
        """Write attributes of the run's record."""
        names, values, sets = _assignments(attributes)
        self._client.update_item(
            TableName=self._name,
            Key=_run_key(run_id),
            UpdateExpression=f"SET {', '.join(sets)}",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def record_gang(self, gang: Gang) -> None:
        """Record a gang before its job is submitted, so that no token is ever without a record."""
        self._client.put_item(
            TableName=self._name,
            Item={
                **_gang_key(gang.run_id, gang.generation),
                "open_gang": {"S": _OPEN},
                "run_id": {"S": gang.run_id},
                "generation": {"N": str(gang.generation)},
                "market": {"S": gang.market.value},
                "task_token": {"S": gang.task_token},
                "execution_arn": {"S": gang.execution_arn},
                "launched_at": {"S": gang.launched_at.isoformat()},
            },
        )

    def record_job(self, gang: Gang, job_id: str) -> None:
        """Record the job that was submitted for a gang."""
        self._update_gang(gang, "SET job_id = :job", {":job": {"S": job_id}})

    def close_gang(self, gang: Gang, outcome: str) -> None:
        """Nothing is left to do about a gang: take it out of the index of open ones."""
        self._update_gang(
            gang,
            "SET outcome = :outcome, closed_at = :now REMOVE open_gang, task_token",
            {":outcome": {"S": outcome}, ":now": {"S": datetime.now(UTC).isoformat()}},
        )

    def open_gangs(self) -> Iterator[Gang]:
        """Every gang that is not closed. The index lags behind the table by moments: a look is repeated anyway."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=OPEN_GANGS_INDEX,
            KeyConditionExpression="open_gang = :open",
            ExpressionAttributeValues={":open": {"S": _OPEN}},
        )
        for page in pages:
            yield from map(_gang, page["Items"])

    def gangs(self, run_id: str) -> list[Gang]:
        """The open gangs of one run, oldest first, read consistently."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :gang)",
            FilterExpression="attribute_exists(open_gang)",
            ExpressionAttributeValues={":pk": _run_key(run_id)["pk"], ":gang": {"S": "GANG#"}},
            ConsistentRead=True,
        )
        return [_gang(item) for page in pages for item in page["Items"]]

    def _update_gang(self, gang: Gang, expression: str, values: Mapping[str, Any]) -> None:
        self._client.update_item(
            TableName=self._name,
            Key=_gang_key(gang.run_id, gang.generation),
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
        )


def _assignments(attributes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Any], list[str]]:
    names = {f"#{name}": name for name in attributes}
    values = {f":{name}": {"S": value} for name, value in attributes.items()}
    return names, values, [f"#{name} = :{name}" for name in attributes]


def _run_key(run_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "RUN"}}


def _gang_key(run_id: str, generation: int) -> dict[str, Any]:
    return {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": f"GANG#{generation:04d}"}}


def _gang(item: Mapping[str, Any]) -> Gang:
    return Gang(
        run_id=item["run_id"]["S"],
        generation=int(item["generation"]["N"]),
        market=Market(item["market"]["S"]),
        task_token=item["task_token"]["S"],
        execution_arn=item["execution_arn"]["S"],
        launched_at=datetime.fromisoformat(item["launched_at"]["S"]),
        job_id=item.get("job_id", {}).get("S"),
    )
