# ruff: noqa: N803  arguments are named as the API names them
"""DynamoDB in memory: one table, and of its expressions what this project says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.unit.protocol.calls import ConditionalCheckFailedException, Line, TransactionCanceledException, call

MEGABYTE = 1 << 20
"""What a page of a query holds at most ("Query", Amazon DynamoDB API reference)."""
MOST_IN_A_BATCH, PROCESSED_OF_A_BATCH = 25, 20
"""Items of one BatchWriteItem (DynamoDB API reference), and how many of them this one processes."""


def _plain(value: Any) -> Any:
    [(kind, content)] = value.items()
    return {"S": str, "N": int, "SS": set, "M": dict}[kind](content)


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, set):
        return {"SS": sorted(value)}
    if isinstance(value, dict):
        return {"M": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


@dataclass
class FakeDynamoDB:
    """One table; of DynamoDB's expressions, what `RunTable`, `Allowances`, a sweep's `Lease` and `notify` say."""

    line: Line = field(default_factory=Line)
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(
            ConditionalCheckFailedException=ConditionalCheckFailedException,
            TransactionCanceledException=TransactionCanceledException,
        )
    )

    @call
    def put_item(self, *, Item: dict[str, Any], **more: Any) -> None:
        self._put(Item=Item, **more)

    def _put(self, *, Item: dict[str, Any], **more: Any) -> None:
        at = (Item["pk"]["S"], Item["sk"]["S"])
        self._check(self.items.get(at, {}), **more)
        self.items[at] = {name: _plain(value) for name, value in Item.items()}

    @call
    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:
        assert ConsistentRead
        item = self.items.get((Key["pk"]["S"], Key["sk"]["S"]))
        return {} if item is None else {"Item": _item(item)}

    @call
    def update_item(self, *, Key: dict[str, Any], UpdateExpression: str, **more: Any) -> dict[str, Any]:
        return self._update(Key=Key, UpdateExpression=UpdateExpression, **more)

    def _update(self, *, Key: dict[str, Any], UpdateExpression: str, **more: Any) -> dict[str, Any]:
        at = (Key["pk"]["S"], Key["sk"]["S"])
        item = dict(self.items.get(at, {}))
        names, values = self._check(item, **more)
        updated = _apply(UpdateExpression, item, names, values)
        self.items[at] = item | {"pk": at[0], "sk": at[1]}
        returned = self.items[at] if more.get("ReturnValues") == "ALL_NEW" else updated
        return {"Attributes": {name: _typed(item[name]) for name in returned if name in item}}

    def _check(self, item: dict[str, Any], **more: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """The expression's names and values; refuses an item for which the condition does not hold."""
        values = {name: _plain(value) for name, value in more.get("ExpressionAttributeValues", {}).items()}
        names = more.get("ExpressionAttributeNames", {})
        condition = more.get("ConditionExpression")
        if condition and not holds(condition, item, names, values):
            raise ConditionalCheckFailedException(Item=_item(item))
        return names, values

    @call
    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> None:
        before = dict(self.items)
        for item in TransactItems:
            [(verb, arguments)] = item.items()
            write: Any = {"Put": self._put, "Update": self._update}[verb]
            try:
                write(**arguments)
            except ConditionalCheckFailedException as refused:
                self.items.clear()
                self.items.update(before)
                raise TransactionCanceledException(
                    CancellationReasons=[{"Code": "ConditionalCheckFailed"}]
                ) from refused

    def get_paginator(self, name: str) -> Any:
        assert name == "query"
        return SimpleNamespace(paginate=self.query)

    @call
    def batch_write_item(self, *, RequestItems: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """Deletes so many as it likes of the items, and names the rest."""
        [(table, requests)] = RequestItems.items()
        assert len(requests) <= MOST_IN_A_BATCH
        for request in requests[:PROCESSED_OF_A_BATCH]:
            key = request["DeleteRequest"]["Key"]
            self.items.pop((key["pk"]["S"], key["sk"]["S"]), None)
        rest = requests[PROCESSED_OF_A_BATCH:]
        return {"UnprocessedItems": {table: rest} if rest else {}}

    @call
    def query(self, *, ExpressionAttributeValues: dict[str, Any], **more: Any) -> Any:
        if more.get("KeyConditionExpression") == "pk = :pk":
            assert more["ConsistentRead"]
            pk = ExpressionAttributeValues[":pk"]["S"]
            of_pk = [_item(self.items[at]) for at in sorted(at for at in self.items if at[0] == pk)]
            if "Limit" in more:
                return {"Items": of_pk[: more["Limit"]]}
            self.line.count_pages("query", len(repr(of_pk)), MEGABYTE)
            return [{"Items": of_pk}]
        if more.get("IndexName") == "failed-runs":
            since = ExpressionAttributeValues[":since"]["S"]
            failed = [item for item in self.items.values() if "failed_run" in item]
            return [{"Items": [_item(item) for item in failed if item.get("stopped_at", "") > since]}]
        one_run = None if "IndexName" in more else ExpressionAttributeValues[":pk"]["S"]
        found = sorted(
            ((at, item) for at, item in self.items.items() if "open_gang" in item and one_run in (None, item["pk"])),
            key=lambda found: found[0],
        )
        self.line.count_pages("query", sum(len(repr(item)) for _, item in found), MEGABYTE)
        return [{"Items": [_item(item) for _, item in found]}]


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _typed(value) for name, value in item.items()}


def holds(condition: str, item: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> bool:
    """Whether a ConditionExpression holds for an item."""
    text = re.sub(r"[#:]?\b[a-z_]\w*(?!\w*\()|#\w+", lambda word: f"of({word[0]!r})", condition)
    text = re.sub(r" = ", " == ", text).replace(" AND ", " and ").replace(" OR ", " or ")

    def of(word: str) -> Any:
        return values[word] if word.startswith(":") else item.get(names.get(word, word))

    functions = {
        "of": of,
        "attribute_exists": lambda value: value is not None,
        "attribute_not_exists": lambda value: value is None,
        "contains": lambda held, one: held is not None and one in held,
        "size": len,
    }
    return bool(eval(text, {"__builtins__": {}}, functions))


def _apply(expression: str, item: dict[str, Any], names: dict[str, str], values: dict[str, Any]) -> list[str]:
    updated = []
    for verb, rest in re.findall(r"(SET|ADD|REMOVE|DELETE) (.*?)(?= (?:SET|ADD|REMOVE|DELETE) |$)", expression):
        for clause in rest.split(", "):
            word, *operand = clause.replace(" = ", " ").split()
            name = names.get(word, word)
            updated.append(name)
            value = values[operand[0]] if operand else None
            if verb == "SET":
                item[name] = value
            elif verb == "REMOVE":
                item.pop(name, None)
            elif verb == "ADD":
                item[name] = item.get(name, set()) | value if isinstance(value, set) else item.get(name, 0) + value
            elif name in item:
                assert isinstance(value, set)
                item[name] = item[name] - value
                if not item[name]:
                    del item[name]  # DynamoDB keeps no empty set
    return updated
