"""Each patch to moto's DynamoDB: what stock moto does without it, and what it does with it.

A stock case fails once moto has closed the gap: then the patch can go.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

from clouds import clients
from twin import patches
from twin.patches import dynamodb as fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = ("run", "part")
PATIENCE_SECONDS = 0.5
"""How long one caller waits for another that may not come: it comes in stock moto, and must not in ours."""


@pytest.fixture(params=[1, 2], ids=["hash key", "hash and range key"])
def table(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A stock table with one key attribute or two."""
    names = KEYS[: request.param]
    with mock_aws():
        client = clients.client("dynamodb")
        client.create_table(
            TableName="runs",
            KeySchema=[
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (*names, "value")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-value",
                    "KeySchema": [{"AttributeName": "value", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Rows(client, names)
        patches.restore()


class Rows:
    """A table of rows with a key and a value."""

    def __init__(self, client: Any, names: tuple[str, ...]) -> None:
        self.client, self._names = client, names

    def key(self, name: str) -> dict[str, Any]:
        return {attribute: {"S": name} for attribute in self._names}

    def put(self, name: str, value: str, **more: Any) -> dict[str, Any]:
        return {"Put": {"TableName": "runs", "Item": {**self.key(name), "value": {"S": value}}, **more}}

    def update(self, name: str, value: str, **more: Any) -> dict[str, Any]:
        how = {"UpdateExpression": "SET #v = :v", "ExpressionAttributeNames": {"#v": "value"}}
        values = {"ExpressionAttributeValues": {":v": {"S": value}}}
        return {"Update": {"TableName": "runs", "Key": self.key(name), **how, **values, **more}}

    def delete(self, name: str) -> dict[str, Any]:
        return {"Delete": {"TableName": "runs", "Key": self.key(name)}}

    def there(self, name: str) -> dict[str, Any]:
        check = {"ConditionExpression": "attribute_exists(run)"}
        return {"ConditionCheck": {"TableName": "runs", "Key": self.key(name), **check}}

    def write(self, *operations: dict[str, Any]) -> None:
        self.client.transact_write_items(TransactItems=list(operations))

    def partition(self, name: str) -> list[str]:
        found = self.client.query(
            TableName="runs", KeyConditionExpression="run = :run", ExpressionAttributeValues={":run": {"S": name}}
        )
        return [item["run"]["S"] for item in found["Items"]]

    def with_value(self, value: str) -> list[str]:
        found = self.client.query(
            TableName="runs",
            IndexName="by-value",
            KeyConditionExpression="#v = :v",
            ExpressionAttributeNames={"#v": "value"},
            ExpressionAttributeValues={":v": {"S": value}},
        )
        return [item["run"]["S"] for item in found["Items"]]

    def all(self) -> dict[str, str]:
        return {item["run"]["S"]: item["value"]["S"] for item in self.client.scan(TableName="runs")["Items"]}


def winners(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many of two callers, each of whom reads before either writes if that can be, create one and the same item."""
    both_have_read = threading.Barrier(2)
    read = Table.get_item

    def slowly(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = read(self, *args, **kwargs)
        try:
            both_have_read.wait(PATIENCE_SECONDS)
        except threading.BrokenBarrierError:
            return found
        return found

    def create(value: str) -> bool:
        item = rows.put("a", value, ConditionExpression="attribute_not_exists(run)")["Put"]
        client = clients.client("dynamodb")
        try:
            client.put_item(**item)
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as callers:
        patched.setattr(Table, "get_item", slowly)
        return sum(callers.map(create, ["one", "two"]))


def test_moto_lets_two_callers_create_one_item(table: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    assert winners(table, monkeypatch) == 2


def test_one_of_two_callers_creates_an_item(table: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed.answer_one_call_at_a_time()

    assert winners(table, monkeypatch) == 1


def copied_items(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many items a transaction about one item copies, in a table of a hundred."""
    for number in range(100):
        rows.client.put_item(**rows.put(f"{number}", "old")["Put"])
    copied, copy = [], Item.__deepcopy__

    def noted(self: Any, memo: dict[int, Any]) -> Any:
        copied.append(self)
        return copy(self, memo)

    with monkeypatch.context() as patched:
        patched.setattr(Item, "__deepcopy__", noted)
        rows.write(rows.put("7", "new"))
    assert rows.all()["7"] == "new"
    return len(copied)


def test_moto_copies_a_whole_table_for_a_transaction(table: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    assert copied_items(table, monkeypatch) >= 100


def test_a_transaction_copies_what_it_touches(table: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed.copy_only_what_a_transaction_touches()

    assert copied_items(table, monkeypatch) <= 3


def test_a_transaction_does_all_that_it_says(table: Rows) -> None:
    fixed.copy_only_what_a_transaction_touches()
    table.write(*(table.put(name, "old") for name in "abcd"))

    table.write(
        table.put("a", "put"),
        table.update("b", "updated"),
        table.delete("c"),
        table.there("d"),
        table.update("e", "made"),
    )

    assert table.all() == {"a": "put", "b": "updated", "d": "old", "e": "made"}


def test_a_refused_transaction_does_nothing(table: Rows) -> None:
    fixed.copy_only_what_a_transaction_touches()
    table.write(*(table.put(name, "old") for name in "abc"))

    with pytest.raises(ClientError, match=r"\[None, None, None, ConditionalCheckFailed\]") as refused:
        table.write(table.put("a", "put"), table.update("b", "updated"), table.delete("c"), table.there("nobody"))

    assert refused.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert table.all() == dict.fromkeys("abc", "old")


@pytest.mark.parametrize("name", ["runs", "arn"])
def test_a_transaction_names_a_table_by_name_or_arn(table: Rows, name: str) -> None:
    fixed.copy_only_what_a_transaction_touches()
    arn = table.client.describe_table(TableName="runs")["Table"]["TableArn"]
    operation = table.put("a", "put")
    operation["Put"]["TableName"] = {"arn": arn}.get(name, name)

    table.write(operation)

    assert table.all() == {"a": "put"}


def test_a_transaction_about_no_table_is_refused_as_such(table: Rows) -> None:
    fixed.copy_only_what_a_transaction_touches()
    operation = table.put("a", "put")
    operation["Put"]["TableName"] = "nothing"

    with pytest.raises(ClientError) as refused:
        table.write(operation)

    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def looked_at(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many items a query of one partition sorts, in a table of a hundred."""
    for number in range(100):
        rows.client.put_item(**rows.put(f"{number}", "old")["Put"])
    found: list[Any] = []
    all_items = Table.all_items

    def noted(self: Any) -> Any:
        found.extend(all_items(self))
        return all_items(self)

    with monkeypatch.context() as patched:
        patched.setattr(Table, "all_items", noted)
        assert rows.partition("7") == ["7"]
    assert rows.partition("nothing") == []
    return len(found)


def test_moto_looks_at_a_whole_table_to_query_a_partition(table: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at(table, monkeypatch) == 100


def test_a_query_looks_at_one_partition(table: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed.read_one_partition_to_query_it()

    assert looked_at(table, monkeypatch) == 1


def test_a_query_of_an_index_looks_at_all_partitions(table: Rows) -> None:
    fixed.read_one_partition_to_query_it()
    table.write(table.put("a", "this"), table.put("b", "that"), table.put("c", "this"))

    assert sorted(table.with_value("this")) == ["a", "c"]
