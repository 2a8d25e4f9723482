"""Permissions of DynamoDB's operations.

Source: "Actions, resources, and condition keys for Amazon DynamoDB" (Service Authorization Reference) and "DynamoDB API
permissions: Actions, resources, and conditions reference" (DynamoDB developer guide).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends

from twin import credentials
from twin.iam.policies import Ask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twin.iam.requests import Call

_WITHOUT_RESOURCE = frozenset(
    {"DescribeEndpoints", "DescribeLimits", "ListBackups", "ListContributorInsights", "ListGlobalTables", "ListTables"}
)
_TRANSACTED = {
    "ConditionCheck": "ConditionCheckItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
}


def asks(call: Call) -> list[Ask]:
    """The permissions that a DynamoDB call needs: in a transaction those of each of its items."""
    parameters, operation = call.parameters, call.operation
    if operation in _WITHOUT_RESOURCE:
        return [Ask(f"dynamodb:{operation}")]
    if operation in ("TransactWriteItems", "TransactGetItems"):
        return [
            _ask(call, _TRANSACTED[kind], item["TableName"], keys=[item.get("Key") or item.get("Item") or {}])
            for entry in parameters.get("TransactItems", [])
            for kind, item in entry.items()
        ]
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [
            _ask(call, operation, table, keys=_batch_keys(entry))
            for table, entry in parameters.get("RequestItems", {}).items()
        ]
    if name := parameters.get("GlobalTableName"):
        return [Ask(f"dynamodb:{operation}", f"arn:aws:dynamodb::{credentials.account()}:global-table/{name}")]
    if "ResourceArn" in parameters:
        return [Ask(f"dynamodb:{operation}", parameters["ResourceArn"])]
    if index := parameters.get("IndexName"):
        return [Ask(f"dynamodb:{operation}", f"{_table_arn(call, parameters['TableName'])}/index/{index}")]
    key = parameters.get("Key") or parameters.get("Item")
    return [_ask(call, operation, parameters.get("TableName", "*"), keys=[key] if key else [])]


def _ask(call: Call, action: str, table: str, keys: Iterable[dict[str, Any]]) -> Ask:
    hash_key = _hash_key(call, table)
    leading = [str(next(iter(key[hash_key].values()))) for key in keys if hash_key in key]
    context = {"dynamodb:leadingkeys": tuple(leading)} if leading else {}
    return Ask(f"dynamodb:{action}", _table_arn(call, table), context)


def _table_arn(call: Call, table: str) -> str:
    return table if table.startswith("arn:") else call.arn(f"table/{table}")


def _hash_key(call: Call, table: str) -> str:
    name = table.rsplit("/", 1)[-1]
    found = dynamodb_backends[credentials.account()][call.region].tables.get(name)
    return str(found.hash_key_attr) if found else ""


def _batch_keys(entry: Any) -> list[dict[str, Any]]:
    if isinstance(entry, dict):
        return list(entry.get("Keys", []))
    requests = [request for item in entry for request in item.values()]
    return [request.get("Key") or request.get("Item") or {} for request in requests]
