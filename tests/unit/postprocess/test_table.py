"""What the job writes into the table: a run's result always, a day's metrics never of an older version than it had."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from postprocess.table import DayKey, ResultTable, Written, to_attribute, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

DAY = DayKey("flights", "20130209", "flights.csv")
deserialized = cast("Callable[[Mapping[str, Any]], Any]", TypeDeserializer().deserialize)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="runs",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def item(client: Any, pk: str, sk: str) -> dict[str, Any]:
    found = client.get_item(TableName="runs", Key={"pk": {"S": pk}, "sk": {"S": sk}}).get("Item", {})
    return {name: deserialized(value) for name, value in found.items()}


def record(client: Any, run: str, order: str | None, rows: int) -> Written:
    return ResultTable("runs", client).record(run, {"result": {"rows": rows}}, DAY, order, {"metrics": {"rows": rows}})


@pytest.mark.parametrize("runs", [[("old", "1", 10), ("new", "2", 20)], [("new", "2", 20), ("old", "1", 10)]])
def test_in_either_order_the_newer_version_s_metrics_stand(
    client: DynamoDBClient, runs: list[tuple[str, str, int]]
) -> None:
    for run, order, rows in runs:
        record(client, run, order, rows)

    day = item(client, "DAY#flights#20130209", "FILE#flights.csv")
    assert (day["run_id"], day["metrics"], day["source_order"]) == ("new", {"rows": 20}, "2")
    assert item(client, "RUN#old", "RUN")["result"] == {"rows": 10}
    assert item(client, "RUN#new", "RUN")["result"] == {"rows": 20}


def test_what_was_written_is_reported(client: DynamoDBClient) -> None:
    assert record(client, "new", "2", 20) is Written.RUN_AND_DAY
    assert record(client, "old", "1", 10) is Written.RUN_ONLY


def test_a_rerun_of_the_same_version_replaces_its_own_metrics(client: DynamoDBClient) -> None:
    record(client, "run", "1", 10)
    record(client, "run-r1", "1", 11)

    assert item(client, "DAY#flights#20130209", "FILE#flights.csv")["run_id"] == "run-r1"


def test_the_run_s_record_is_found_by_its_day(client: DynamoDBClient) -> None:
    record(client, "run", "1", 10)

    stored = item(client, "RUN#run", "RUN")
    assert (stored["run_id"], stored["run_day"], stored["dataset"]) == ("run", "20130209", "flights")


def test_a_version_that_is_gone_leaves_the_day_as_it_is(client: DynamoDBClient) -> None:
    assert record(client, "run", None, 10) is Written.RUN_ONLY
    assert item(client, "DAY#flights#20130209", "FILE#flights.csv") == {}


def test_other_attributes_of_the_run_s_record_stay(client: DynamoDBClient) -> None:
    client.put_item(TableName="runs", Item={"pk": {"S": "RUN#run"}, "sk": {"S": "RUN"}, "generation": {"N": "3"}})

    record(client, "run", "1", 10)

    assert item(client, "RUN#run", "RUN")["generation"] == 3


def test_the_days_before_are_read_oldest_first(client: DynamoDBClient) -> None:
    for date in ("20130131", "20130207", "20130209", "20130110"):
        day = DayKey("flights", date, "flights.csv")
        ResultTable("runs", client).record("run", {}, day, "1", {"metrics": {"rows": 1}})

    found = ResultTable("runs", client).read_days_before(DAY, 14)

    assert [(item["day"], item["metrics"]) for item in found] == [("20130131", {"rows": 1}), ("20130207", {"rows": 1})]


def test_another_file_of_the_day_is_another_series(client: DynamoDBClient) -> None:
    ResultTable("runs", client).record("run", {}, DayKey("flights", "20130208", "other.csv"), "1", {})

    assert ResultTable("runs", client).read_days_before(DAY, 7) == []


def test_gangs_are_read_up_to_the_newest(client: DynamoDBClient) -> None:
    for generation in (1, 3):
        item = {"pk": {"S": "RUN#run"}, "sk": {"S": f"GANG#{generation:04d}"}, "generation": {"N": str(generation)}}
        client.put_item(TableName="runs", Item=item)

    assert [gang["generation"] for gang in ResultTable("runs", client).read_gangs("run", 3)] == [1, 3]


class Busy:
    """A table whose items others are writing for the first `conflicts` transactions."""

    class exceptions:  # noqa: N801  as boto3 names it
        class TransactionCanceledException(Exception):
            def __init__(self, *codes: str) -> None:
                self.response = {"CancellationReasons": [{"Code": code} for code in codes]}

    def __init__(self, conflicts: int) -> None:
        self.conflicts = conflicts
        self.written = 0

    def transact_write_items(self, **_: Any) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise self.exceptions.TransactionCanceledException("TransactionConflict", "None")
        self.written += 1


def test_a_conflict_with_another_writer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postprocess.table.time.sleep", lambda _: None)
    busy = Busy(conflicts=3)

    assert record(busy, "run", "1", 10) is Written.RUN_AND_DAY
    assert busy.written == 1


def test_an_endless_conflict_fails_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postprocess.table.time.sleep", lambda _: None)

    with pytest.raises(Busy.exceptions.TransactionCanceledException):
        record(Busy(conflicts=99), "run", "1", 10)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_reads_back_as_it_was(value: float) -> None:
    read = deserialized(to_attribute(value))

    assert float(read) == value
    if isinstance(read, Decimal):
        assert read == Decimal(repr(value))


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(), st.lists))
def test_what_is_written_is_read_again(document: Any) -> None:
    assert to_plain(to_attribute(document)) == document


def test_what_json_can_hold_the_table_can_hold() -> None:
    document = {"a": None, "b": True, "c": 3, "d": "x", "e": [1.5, {"f": float("inf")}], "g": ()}

    assert deserialized(to_attribute(document)) == {
        "a": None,
        "b": True,
        "c": 3,
        "d": "x",
        "e": [Decimal("1.5"), {"f": "inf"}],
        "g": [],
    }
    with pytest.raises(TypeError, match="set"):
        to_attribute({1})
