"""What moto's DynamoDB lacks: item operations that are atomic, and calls that cost what they touch."""

from __future__ import annotations

import copy
import inspect
import threading
from collections import defaultdict
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from twin.patches import replace

Json = Any


def answer_one_call_at_a_time() -> None:
    """moto looks at a condition and then writes, and other callers come between: a condition holds for two of them.

    A query besides fails when an item is added meanwhile, and a failed transaction takes back what others wrote since it began.
    DynamoDB's operations are serializable:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    """
    turn = threading.RLock()

    def make(original: Any) -> Any:
        def call_action(self: Any) -> Any:
            with turn:
                return original(self)

        return call_action

    replace(DynamoHandler, "call_action", make)


def copy_only_what_a_transaction_touches() -> None:
    """moto copies whole tables before each transaction, to roll back: the hundredth run's result costs a hundred times the first's.

    The original is given tables that hold copies of the touched items only; what became of these is put back if it succeeds.
    """

    def make(original: Any) -> Any:
        def transact_write_items(self: Any, transact_items: list[Json]) -> None:
            operations = [operation for item in transact_items for operation in item.values()]
            tables = {operation["TableName"]: self.get_table(operation["TableName"]) for operation in operations}
            parts = {name: _emptied(table) for name, table in tables.items()}
            touched = []
            for operation in operations:
                name = operation["TableName"]
                touched.append((name, self.get_keys_value(tables[name], operation.get("Item") or operation["Key"])))
            for name, key in touched:
                _put(parts[name], key, copy.deepcopy(tables[name].get_item(*key)))
            original(_with_tables(self, parts), transact_items)
            for name, key in touched:
                _put(tables[name], key, parts[name].get_item(*key))

        return transact_write_items

    replace(DynamoDBBackend, "transact_write_items", make)


def read_one_partition_to_query_it() -> None:
    """moto puts the whole table in order to query one partition of it: each run's few queries took longer the more runs there were."""

    def make(original: Any) -> Any:
        asked = inspect.signature(original)

        def query(self: Any, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
            if asked.bind(self, hash_key, *args, **kwargs).arguments.get("index_name"):
                return original(self, hash_key, *args, **kwargs)
            part = _emptied(self)
            if hash_key in self.items:
                part.items[hash_key] = self.items[hash_key]
            return original(part, hash_key, *args, **kwargs)

        return query

    replace(Table, "query", make)


def _emptied(table: Any) -> Any:
    part = copy.copy(table)
    part.items = defaultdict(dict)
    return part


def _with_tables(backend: Any, tables: dict[str, Any]) -> Any:
    other = object.__new__(type(backend))
    vars(other).update(vars(backend), tables=tables)
    return other


def _put(table: Any, key: tuple[Any, Any], item: Any) -> None:
    hash_key, range_key = key
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = item
    else:
        table.items[hash_key][range_key] = item
